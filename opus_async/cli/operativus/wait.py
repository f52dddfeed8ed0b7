"""``opus-async operativus wait``: the end of a run, whoever ordered it."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opus_async.cli import on_pause, outcomes
from opus_async.cli.job_progress import JobProgress, progress_for
from opus_async.cli.on_pause import PauseOptions
from opus_async.cli.operativus.run import add_waiting
from opus_async.cli.options import OneJobOptions
from opus_async.cli.platforms.operativus import WORKFLOW_ID, connect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opus_async.cli.outcomes import JobEnd

_EPILOG = """\
A session for which no run shows yet is waited for: behind a long queue that can take twenty minutes. Waiting
orders nothing. stdout gets what 'run' prints.

examples:
  opus-async operativus wait wf_abc123 550e8400-e29b-41d4-a716-446655440000
"""


@dataclass(frozen=True, kw_only=True)
class WaitOptions(OneJobOptions, PauseOptions):
    """Options of ``operativus wait``.

    Attributes:
        workflow_id: The workflow.
        session_id: The session of the run.
    """

    workflow_id: str
    session_id: str

    @property
    def about_workflow(self) -> str:
        """The workflow."""
        return self.workflow_id


OPTIONS = WaitOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = _EPILOG
    parser.add_argument("workflow_id", metavar="ID", help=WORKFLOW_ID)
    parser.add_argument("session_id", metavar="SESSION", help="its session, which 'run' calls the job's id")
    add_waiting(parser)


def run(options: WaitOptions) -> int:
    """Wait for one run."""
    words = on_pause.words_of(options.on_pause) if options.on_pause is not None else ()
    story = progress_for(options, job_id=options.session_id)
    return outcomes.print_outcome(options, story, _wait(options, words, story))


async def _wait(options: WaitOptions, words: Sequence[str], story: JobProgress) -> JobEnd:
    from opus_async.cli.outcomes import JobEnd
    from opus_async.cli.pause_command import PauseCommand
    from opus_async.cli.platforms.operativus import run_as_json
    from opus_async.jobs.pausing import WhenPaused
    from opus_async.models import JobRequest
    from opus_async.platform import RecoveredJob
    from opus_async.progress.display import DisplayTask

    command = PauseCommand(words, timeout=options.on_pause_timeout, say=story.note)
    async with connect(options, listeners=[story]) as client, DisplayTask(story):
        lifecycle = client.lifecycle(options.workflow_id)
        await lifecycle.platform.open()
        answer = client.answering(options.workflow_id, lambda run: command.answer(run_as_json(run)))
        outcome = await lifecycle.run(
            JobRequest({}, timeout=options.timeout),
            recovered=RecoveredJob(remote_id=options.session_id, starts_sent=1, start_accepted=True),
            on_paused=answer if words else WhenPaused.RETURN,
        )
        return JobEnd(outcome, {})
