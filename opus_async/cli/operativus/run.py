"""``opus-async operativus run``: runs a workflow once, and prints what it gave as JSON."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opus_async.cli import on_pause, outcomes, platforms
from opus_async.cli.argument_types import duration
from opus_async.cli.job_note import JobNote
from opus_async.cli.job_progress import JobProgress, progress_for
from opus_async.cli.on_pause import PauseOptions
from opus_async.cli.operativus import texts
from opus_async.cli.options import OneJobOptions
from opus_async.cli.platforms.operativus import WORKFLOW_ID, connect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opus_async.cli.outcomes import JobEnd

_EPILOG = """\
stdout gets the outputs as JSON: 'output' is the text of the last step, 'steps' those of all, where the server
tells them to this user. stderr gets the progress. A run that fails exits with 1 and names the step; one that
waits for a person exits with 5 and tells how it is answered. Ctrl-C ends the waiting, not the run.

examples:
  opus-async operativus run wf_abc123 --input 'Prices of NVDA and AAPL'
  opus-async operativus run wf_abc123 --input - --timeout 15m < question.txt
  opus-async operativus run wf_abc123 --input TEXT --on-pause './approve.py'
"""


@dataclass(frozen=True, kw_only=True)
class RunOptions(OneJobOptions, PauseOptions):
    """Options of ``operativus run``.

    Attributes:
        workflow_id: The workflow.
        input: The text of its first step; ``-`` for stdin.
    """

    workflow_id: str
    input: str

    @property
    def about_workflow(self) -> str:
        """The workflow."""
        return self.workflow_id


OPTIONS = RunOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = _EPILOG
    add = parser.add_argument
    add("workflow_id", metavar="ID", help=WORKFLOW_ID)
    add("--input", required=True, metavar="TEXT", help="the text of the first step; - reads stdin")
    add_waiting(parser)


def add_waiting(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of every verb that waits for a run."""
    parser.add_argument(
        "--timeout",
        type=duration,
        metavar="TIME",
        help="how long to wait: 90, 5m, 1h30m; the run itself goes on (no limit)",
    )
    parser.add_argument(
        "--json", action="store_true", help="the whole outcome: job_id, status, timings, outputs, results"
    )
    on_pause.configure(parser)
    parser.set_defaults(download=None)


def run(options: RunOptions) -> int:
    """Run the workflow once."""
    text = texts.given(options.input, "--input", stdin=sys.stdin)
    words = on_pause.words_of(options.on_pause) if options.on_pause is not None else ()
    story, note = progress_for(options), JobNote(platforms.target_of(options))
    return outcomes.print_outcome(options, story, _run(options, text, words, story, note), note=note)


async def _run(
    options: RunOptions, text: str, words: Sequence[str], story: JobProgress, note: JobNote
) -> JobEnd:
    from opus_async.cli.outcomes import JobEnd
    from opus_async.cli.pause_command import PauseCommand
    from opus_async.cli.platforms.operativus import asking
    from opus_async.progress.display import DisplayTask

    command = PauseCommand(words, timeout=options.on_pause_timeout, say=story.note)
    async with connect(options, listeners=[story, note]) as client, DisplayTask(story):
        outcome = await client.run(
            options.workflow_id,
            text,
            timeout=options.timeout,
            on_pause=asking(client, command.answer) if words else None,
        )
        return JobEnd(outcome, {})
