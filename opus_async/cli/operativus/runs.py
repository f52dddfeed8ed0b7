"""``opus-async operativus runs``: lists the runs of a workflow."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opus_async.cli.argument_types import count
from opus_async.cli.errors import Exit, print_hint
from opus_async.cli.event_loop import drive
from opus_async.cli.job_progress import progress_for
from opus_async.cli.operativus import shown
from opus_async.cli.options import ConnectionOptions
from opus_async.cli.platforms.operativus import WORKFLOW_ID, connect, run_as_json
from opus_async.text import counted

if TYPE_CHECKING:
    from opus_async.operativus import Run

USUAL = 20
_LARGEST_PAGE = 200

_EPILOG = """\
A run shows when the server's queue has come to it, half a minute after its order or later. STATUS is the
server's own word; a PAUSED run is answered with 'opus-async operativus resume RUN --output TEXT'.

examples:
  opus-async operativus runs wf_abc123
  opus-async operativus runs wf_abc123 --limit 1000 --json |
      jq '.runs[] | select(.status == "PAUSED") | .id'
"""


@dataclass(frozen=True, kw_only=True)
class RunsOptions(ConnectionOptions):
    """Options of ``operativus runs``.

    Attributes:
        workflow_id: The workflow.
        limit: How many runs are listed, at most.
        json: Whether to print JSON.
    """

    workflow_id: str
    limit: int
    json: bool


OPTIONS = RunsOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = _EPILOG
    parser.add_argument("workflow_id", metavar="ID", help=WORKFLOW_ID)
    parser.add_argument(
        "--limit", type=count, default=USUAL, metavar="N", help=f"list the newest N only ({USUAL})"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(options: RunsOptions) -> int:
    """List the runs."""
    runs, total = drive(_list(options))
    if options.json:
        listed = {
            "workflow_id": options.workflow_id,
            "total": total,
            "runs": [run_as_json(each) for each in runs],
        }
        print(json.dumps(listed, indent=2, ensure_ascii=False))
        return Exit.OK
    print(shown.runs_table(runs))
    if total is not None and total > len(runs):
        print_hint(f"These are the newest of {counted(total, 'run')}; --limit lists more.")
    return Exit.OK


async def _list(options: RunsOptions) -> tuple[list[Run], int | None]:
    """The runs, and how many there are, where the server tells."""
    async with connect(options, listeners=[progress_for(options)]) as client:
        pages = client.runs.list(options.workflow_id, page_size=min(options.limit, _LARGEST_PAGE))
        runs = []
        async for each in pages:
            runs.append(each)
            if len(runs) == options.limit:
                break
        if not runs:  # servers say the same of a workflow that is not there
            await client.workflows.get(options.workflow_id)
        return runs, pages.total
