"""``opus-async operativus resume``: answers a run that waits for a person."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opus_async.cli.errors import Exit, print_hint
from opus_async.cli.event_loop import drive
from opus_async.cli.job_progress import progress_for
from opus_async.cli.operativus import texts
from opus_async.cli.options import ConnectionOptions
from opus_async.cli.platforms.operativus import connect

if TYPE_CHECKING:
    from opus_async.operativus import ResumedRun

_EPILOG = """\
The text is what the next step gets. The answer is sent once; the server accepts it for any run, also for one
that does not wait, and what becomes of it shows in the run, half a minute later or more. A batch that runs
notices by itself.

examples:
  opus-async operativus resume run_7f3a9c12 --output 'Approved. Proceed.'
  opus-async operativus resume run_7f3a9c12 --output - < approved.txt
"""


@dataclass(frozen=True, kw_only=True)
class ResumeOptions(ConnectionOptions):
    """Options of ``operativus resume``.

    Attributes:
        run_id: The run.
        output: The approved text; ``-`` for stdin.
        json: Whether to print JSON.
    """

    run_id: str
    output: str
    json: bool


OPTIONS = ResumeOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = _EPILOG
    parser.add_argument("run_id", metavar="RUN", help="the run: its id, which 'operativus runs' lists")
    parser.add_argument("--output", required=True, metavar="TEXT", help="the approved text; - reads stdin")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(options: ResumeOptions) -> int:
    """Answer the run."""
    text = texts.given(options.output, "--output", stdin=sys.stdin)
    resumed = drive(_resume(options, text))
    if options.json:
        print(json.dumps({"run_id": resumed.run_id, "job_id": resumed.job_id}, indent=2))
    else:
        print(f"The answer to run {resumed.run_id} was accepted.")
    print_hint("Whether the run goes on shows in its status, half a minute later or more.")
    return Exit.OK


async def _resume(options: ResumeOptions, text: str) -> ResumedRun:
    async with connect(options, listeners=[progress_for(options)]) as client:
        return await client.runs.resume(options.run_id, text)
