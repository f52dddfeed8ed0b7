"""``opus-async operativus workflows``: lists the workflows."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opus_async.cli.errors import Exit, print_hint
from opus_async.cli.event_loop import drive
from opus_async.cli.job_progress import progress_for
from opus_async.cli.operativus import shown
from opus_async.cli.options import ConnectionOptions
from opus_async.cli.platforms.operativus import connect

if TYPE_CHECKING:
    from opus_async.operativus import Workflow

PAGE = 200
"""Rows per request, as many as servers give: all of them are wanted."""


@dataclass(frozen=True, kw_only=True)
class WorkflowsOptions(ConnectionOptions):
    """Options of ``operativus workflows``.

    Attributes:
        json: Whether to print JSON.
    """

    json: bool


OPTIONS = WorkflowsOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(options: WorkflowsOptions) -> int:
    """List the workflows."""
    found = drive(_list(options))
    if options.json:
        listed = {"workflows": [shown.workflow_as_json(each) for each in found]}
        print(json.dumps(listed, indent=2, ensure_ascii=False))
        return Exit.OK
    print(shown.workflows_table(found))
    if not found:
        print_hint("There are no workflows: 'opus-async operativus apply FILE' makes some.")
    return Exit.OK


async def _list(options: WorkflowsOptions) -> list[Workflow]:
    async with connect(options, listeners=[progress_for(options)]) as client:
        return [workflow async for workflow in client.workflows.list(page_size=PAGE)]
