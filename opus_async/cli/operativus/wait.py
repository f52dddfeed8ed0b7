"""``opus-async operativus wait``: the end of a run, whoever ordered it."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opus_async.cli import on_pause, outcomes, platforms
from opus_async.cli.job_progress import JobProgress, progress_for
from opus_async.cli.on_pause import PauseOptions
from opus_async.cli.operativus.run import add_waiting
from opus_async.cli.options import OneJobOptions
from opus_async.cli.platforms.operativus import WORKFLOW_ID, connect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opus_async.cli.outcomes import JobEnd
    from opus_async.errors import JobPaused
    from opus_async.jobs.pausing import OnPaused
    from opus_async.outcome import JobOutcome

_SHORTEST = 0.001
_EPILOG = """\
A session for which no run shows yet is waited for: behind a long queue that can take twenty minutes. A run
that waits for a person is told, and waited for until somebody has answered it: it may have been answered
already, and an answer takes half a minute or more. With --on-pause it is answered here. Waiting orders
nothing. stdout gets what 'run' prints.

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
    from opus_async.cli.platforms.operativus import asking
    from opus_async.errors import JobPaused
    from opus_async.jobs.pausing import WhenPaused
    from opus_async.models import JobRequest
    from opus_async.platform import RecoveredJob
    from opus_async.progress.display import DisplayTask

    command = PauseCommand(words, timeout=options.on_pause_timeout, say=story.note)
    async with connect(options, listeners=[story]) as client, DisplayTask(story):
        lifecycle = client.lifecycle(options.workflow_id)
        await lifecycle.platform.open()
        started = RecoveredJob(remote_id=options.session_id, starts_sent=1, start_accepted=True)
        deadline = None if options.timeout is None else time.monotonic() + options.timeout

        async def outcome(on_paused: OnPaused) -> JobOutcome:
            left = None if deadline is None else max(deadline - time.monotonic(), _SHORTEST)
            return await lifecycle.run(JobRequest({}, timeout=left), recovered=started, on_paused=on_paused)

        if words:
            answer = client.answering(options.workflow_id, asking(client, command.answer))
            return JobEnd(await outcome(answer), {})
        found = await outcome(WhenPaused.RETURN)
        if isinstance(found.error, JobPaused):
            _tell(found.error, options, story)
            found = await outcome(WhenPaused.WAIT)
        return JobEnd(found, {})


def _tell(paused: JobPaused, options: WaitOptions, story: JobProgress) -> None:
    """Tell how the run is answered, if nobody has done so."""
    answer = platforms.target_of(options).answer(paused.alias, paused.status.raw)
    if answer:
        story.note(f"waits for a person ({paused.status.raw}), unless it was answered just now: {answer}")
