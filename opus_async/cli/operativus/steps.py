"""``opus-async operativus steps``: lists the steps of a workflow."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opus_async.cli.errors import Exit
from opus_async.cli.event_loop import drive
from opus_async.cli.job_progress import progress_for
from opus_async.cli.operativus import shown
from opus_async.cli.options import ConnectionOptions
from opus_async.cli.platforms.operativus import WORKFLOW_ID, connect

if TYPE_CHECKING:
    from opus_async.operativus import Step


@dataclass(frozen=True, kw_only=True)
class StepsOptions(ConnectionOptions):
    """Options of ``operativus steps``.

    Attributes:
        workflow_id: The workflow.
        json: Whether to print JSON.
    """

    workflow_id: str
    json: bool


OPTIONS = StepsOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = "example:\n  opus-async operativus steps wf_abc123\n"
    parser.add_argument("workflow_id", metavar="ID", help=WORKFLOW_ID)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(options: StepsOptions) -> int:
    """List the steps."""
    steps = drive(_list(options))
    if options.json:
        listed = {"workflow_id": options.workflow_id, "steps": [shown.step_as_json(step) for step in steps]}
        print(json.dumps(listed, indent=2, ensure_ascii=False))
    else:
        print(shown.steps_table(steps))
    return Exit.OK


async def _list(options: StepsOptions) -> list[Step]:
    async with connect(options, listeners=[progress_for(options)]) as client:
        steps = await client.steps.list(options.workflow_id)
        if not steps:  # servers say the same of a workflow that is not there
            await client.workflows.get(options.workflow_id)
        return steps
