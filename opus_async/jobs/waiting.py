"""Has a started job watched until it ends, and answers its pauses on the way."""

from __future__ import annotations

import math
from typing import Any

from opus_async.error_codes import NextAction, NextStep
from opus_async.errors import JobPaused
from opus_async.gaps import gapped
from opus_async.jobs.job_run import JobRun
from opus_async.jobs.pausing import PausedJob, WhenPaused, answer_from
from opus_async.jobs.run_errors import Hint
from opus_async.jobs.watch import Watcher
from opus_async.models import JobStatus
from opus_async.platform import JobResult, Platform
from opus_async.stages import PAUSED


def watch(run: JobRun, platform: Platform[Any, Any], watcher: Watcher, *, poll_now: bool) -> None:
    """Have a job watched: its run is ready to be gone on with when it has ended, pauses, or is overdue.

    Args:
        run: The job; told its status.
        platform: Where it runs.
        watcher: Polls it.
        poll_now: Whether it may have ended long ago.
    """
    stage = platform.stages.watch
    if run.stage != stage:
        run.enter_stage(stage)
    run.watched = watcher.watch(
        run,
        platform.status_source,
        run.known_id,
        workflow_id=platform.workflow_id,
        poll_now=poll_now,
        exists=True,
        calls_back=platform.calls_back,
        return_when_paused=run.on_paused is not WhenPaused.WAIT,
        until=math.inf if run.until is None else run.until,
    )


async def answer_pause(run: JobRun, platform: Platform[Any, Any], status: JobStatus, hint: Hint) -> None:
    """Have a pause answered, and resume the job.

    Args:
        run: The job.
        platform: Where it runs.
        status: As it was seen.
        hint: How a next step is taken, in the words of the front end.

    Raises:
        JobPaused: Nobody answers it here.
    """
    run.enter_stage(PAUSED)
    answer = None
    if not isinstance(run.on_paused, WhenPaused) and platform.can_resume(status):
        paused = PausedJob(
            remote_id=run.known_id, alias=run.alias, status=status, index=run.index, key=run.key
        )
        answer = await answer_from(run.on_paused, paused)
    if answer is None:
        run.collected = JobResult(results=platform.last_seen(run.known_id))
        raise _paused(run, platform, status, hint)
    await platform.resume(run.known_id, answer)


def _paused(run: JobRun, platform: Platform[Any, Any], status: JobStatus, hint: Hint) -> JobPaused:
    """The error of a job that waits for a person, and that nobody answers here."""
    called = "" if run.alias is None else f", as {run.alias} there"
    paused = JobPaused(
        gapped(
            "The job waits for a person ({}{}): act on it in the platform, then wait for it again",
            status.raw,
            called,
        ),
        status=status,
        alias=run.alias,
    )
    if platform.can_resume(status):
        step = NextStep(NextAction.ANSWER_JOB, run.job_id, run.alias)
        paused.advised(step.action, hint(step))
    return paused
