"""Waits for the end of one started job: through its pauses, and up to its deadline."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from opus_async.error_codes import NextAction, NextStep
from opus_async.errors import JobPaused
from opus_async.gaps import gapped
from opus_async.jobs.ended import AFTER_DEADLINE
from opus_async.jobs.job_run import JobRun
from opus_async.jobs.pausing import OnPaused, PausedJob, WhenPaused, answer_from
from opus_async.jobs.run_errors import Hint
from opus_async.jobs.watch import Watcher
from opus_async.models import JobStatus
from opus_async.platform import JobResult, Platform
from opus_async.stages import PAUSED


async def wait_for_end(
    run: JobRun,
    platform: Platform[Any, Any],
    watcher: Watcher,
    deadline: asyncio.Timeout,
    *,
    poll_now: bool,
    on_paused: OnPaused,
    hint: Hint,
) -> None:
    """Wait until the job ends, through as many pauses as are answered here.

    Args:
        run: The job; told its status and its end.
        platform: Where it runs.
        watcher: Polls it.
        deadline: Of the job. A last poll is made at it; for that, and for the results of a job that it shows
            ended, it is put off by :data:`~opus_async.jobs.ended.AFTER_DEADLINE`.
        poll_now: Whether it may have ended long ago.
        on_paused: What follows when it waits for a person.
        hint: How a next step is taken, in the words of the front end.

    Raises:
        JobPaused: It waits for a person, and nobody answers it here.
        Overdue: It has not ended by the deadline.
    """
    until, watch = deadline.when(), platform.stages.watch
    if run.stage != watch:
        run.enter_stage(watch)
    while True:
        deadline.reschedule(None if until is None else until + AFTER_DEADLINE)
        ended = await watcher.wait(
            platform.status_source,
            run.known_id,
            workflow_id=platform.workflow_id,
            on_status=run.status_seen,
            poll_now=poll_now,
            exists=True,
            calls_back=platform.calls_back,
            return_when_paused=on_paused is not WhenPaused.WAIT,
            until=math.inf if until is None else until,
        )
        run.noticed(ended)
        if ended.status.is_terminal:
            run.end = ended
            return
        run.enter_stage(PAUSED)
        deadline.reschedule(until)
        await _resume(run, platform, ended.status, on_paused, hint)
        run.enter_stage(watch)
        poll_now = True


async def _resume(
    run: JobRun, platform: Platform[Any, Any], status: JobStatus, on_paused: OnPaused, hint: Hint
) -> None:
    """Have a pause answered, and resume the job.

    Raises:
        JobPaused: Nobody answers it here.
    """
    answer = None
    if not isinstance(on_paused, WhenPaused) and platform.can_resume(status):
        paused = PausedJob(
            remote_id=run.known_id, alias=run.alias, status=status, index=run.index, key=run.key
        )
        answer = await answer_from(on_paused, paused)
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
