"""``opus-async operativus show``: shows a workflow and its steps."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opus_async.cli.errors import Exit
from opus_async.cli.event_loop import drive
from opus_async.cli.job_progress import progress_for
from opus_async.cli.operativus import shown
from opus_async.cli.options import ConnectionOptions
from opus_async.cli.platforms.operativus import WORKFLOW_ID, connect
from opus_async.cli.program import command_line
from opus_async.cli.tables import printable

if TYPE_CHECKING:
    from opus_async.operativus import Step, Workflow


@dataclass(frozen=True, kw_only=True)
class ShowOptions(ConnectionOptions):
    """Options of ``operativus show``.

    Attributes:
        workflow_id: The workflow.
        json: Whether to print JSON.
    """

    workflow_id: str
    json: bool


OPTIONS = ShowOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = "example:\n  opus-async operativus show wf_abc123\n"
    parser.add_argument("workflow_id", metavar="ID", help=WORKFLOW_ID)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(options: ShowOptions) -> int:
    """Show a workflow."""
    workflow, steps = drive(_get(options))
    if options.json:
        print(json.dumps(shown.workflow_as_json(workflow, steps), indent=2, ensure_ascii=False))
        return Exit.OK
    print(printable(f"{workflow.name or '(no name)'} ({workflow.id})"))
    if workflow.description:
        print(printable(workflow.description))
    print()
    print(shown.steps_table(steps) if steps else "It has no steps, and cannot be run.")
    if steps:
        print(f"\nTry: {command_line('operativus', 'run', workflow.id, '--input', 'TEXT')}", file=sys.stderr)
    return Exit.OK


async def _get(options: ShowOptions) -> tuple[Workflow, list[Step]]:
    async with connect(options, listeners=[progress_for(options)]) as client:
        workflow = await client.workflows.get(options.workflow_id)
        return workflow, await client.steps.list(workflow.id)
