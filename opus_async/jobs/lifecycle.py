"""How one job runs, from inputs to outcome, on any platform.

bind -> prepare (files) -> create (an id, no bill yet) -> start (the bill) -> watch -> collect

All up to the start is in :mod:`opus_async.jobs.launch`. While a job is watched nothing is kept of its run but
one small object (:class:`~opus_async.jobs.job_run.JobRun`), so that ten thousand may be.

With a :class:`~opus_async.platform.JobJournal` each step that must outlive the process is recorded in time;
with a :class:`~opus_async.platform.RecoveredJob` the work of an earlier process is continued.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Generic

from opus_async.config import RetryPolicy
from opus_async.error_codes import NextAction, NextStep, no_hint
from opus_async.errors import OpusError
from opus_async.events import NO_CURRENT_JOB, current_job
from opus_async.jobs.ended import AFTER_DEADLINE, Ended, Overdue
from opus_async.jobs.job_ids import JobIds
from opus_async.jobs.job_run import NO_WAITS, JobRun
from opus_async.jobs.job_slots import JobSlots
from opus_async.jobs.launch import Launcher, ReadStatus
from opus_async.jobs.pausing import OnPaused, WhenPaused
from opus_async.jobs.previous_job import Superseded, give_way_if_accepted
from opus_async.jobs.request_check import is_timeout
from opus_async.jobs.run_errors import Hint, deadline_exceeded, located, unexpected, what_is_left
from opus_async.jobs.waiting import answer_pause, watch
from opus_async.jobs.watch import Watcher
from opus_async.jobs.watched import WatchedJob
from opus_async.models import JobRequest
from opus_async.outcome import JobOutcome
from opus_async.platform import (
    NEW_JOB,
    BoundT,
    JobHandedBack,
    JobJournal,
    JobTakenAway,
    Platform,
    ReadyT,
    RecoveredJob,
)
from opus_async.stages import PAUSED
from opus_async.tasks import is_cancelled
from opus_async.transport.dispatch import Dispatcher
from opus_async.transport.wait_clock import WaitClock, wait_clock

log = logging.getLogger("opus_async.jobs")


class Lifecycle(Generic[BoundT, ReadyT]):
    """Runs jobs of one platform.

    Args:
        platform: The platform adapter.
        watcher: The status poller.
        policy: What to do with an uncertain start; see :mod:`opus_async.jobs.start`.
        job_timeout: Seconds for a job whose request names none; None waits for ever.
        notify: Called with events.
        ids: Which job ids are taken, shared by all runs of jobs on the same platform; None for its own.
        hint: Turns a next step into words for this front end, for errors; empty for none.
        slots: How many jobs may run at once, shared with others; None for no bound.

    Attributes:
        platform: The platform adapter.
        abandoned: Ids of jobs that may go on remotely because we were cancelled while they ran.
        on_left: Told of each started job whose run was cancelled: its id, and what becomes of it in a
            sentence. Logs it, unless whoever runs many jobs tells of all of them at once.
    """

    def __init__(
        self,
        platform: Platform[BoundT, ReadyT],
        watcher: Watcher,
        *,
        policy: RetryPolicy,
        job_timeout: float | None,
        notify: Dispatcher,
        ids: JobIds | None = None,
        hint: Hint = no_hint,
        slots: JobSlots | None = None,
    ) -> None:
        self.abandoned: list[str] = []
        self.on_left: Callable[[str, str], None] = _log_left
        self.platform = platform
        self._watcher = watcher
        self._launcher = Launcher(platform, watcher, policy, JobIds() if ids is None else ids)
        self._job_timeout = job_timeout
        self._notify = notify
        self._hint = hint
        self._slots = slots

    async def run(
        self,
        request: JobRequest,
        *,
        index: int = 0,
        recovered: RecoveredJob = NEW_JOB,
        journal: JobJournal | None = None,
        on_paused: OnPaused = WhenPaused.WAIT,
        confirm_exists: ReadStatus | None = None,
        until_started: bool = False,
    ) -> JobOutcome:
        """Run one job to a terminal status, or to a pause that is to be handed back.

        Waits for a slot first, where jobs have to share some; the job's time-out begins when it has one.

        Args:
            request: What it is asked to do. Of a job that was accepted already nothing but its key and
                time-out is read.
            index: The request's position in its run.
            recovered: State of the job that an earlier process left.
            journal: Records what must outlive this process.
            on_paused: What follows when the job waits for a person; see :mod:`opus_async.jobs.pausing`.
            confirm_exists: Given for a job that somebody else started, and that may not be there: reads its
                status once, with retries. A wrong id, key or host ends the run there; polling would bear them
                as an outage.
            until_started: Whether the end of a job that is started is not waited for.

        Returns:
            The outcome; ``error`` is set when the job failed, when it completed and its results could not be
            had, and when it is paused and handed back (a JobPaused).

        Raises:
            OpusError: No terminal status is known; it carries the job id and the stage, and no stage where
                ``confirm_exists`` failed.
            Superseded: The earlier job counts no more, and a new one may be made; only with
                ``recovered.retry``.
            JobTakenAway: Another process has the job now; raised by the journal.
            JobHandedBack: It is started; only with ``until_started``.
        """
        come_to = await self.begin(
            request,
            index=index,
            recovered=recovered,
            journal=journal,
            on_paused=on_paused,
            confirm_exists=confirm_exists,
            until_started=until_started,
        )
        while isinstance(come_to, JobRun):
            try:
                await come_to.readiness()
            except asyncio.CancelledError as cancelled:
                self.leave(come_to, cancelled)
                raise
            come_to = await self.go_on(come_to)
        return come_to

    async def begin(
        self,
        request: JobRequest,
        *,
        index: int = 0,
        recovered: RecoveredJob = NEW_JOB,
        journal: JobJournal | None = None,
        on_paused: OnPaused = WhenPaused.WAIT,
        confirm_exists: ReadStatus | None = None,
        until_started: bool = False,
    ) -> JobOutcome | JobRun:
        """Get a job to run, for whoever need not wait for its end in a task; see :meth:`run`.

        Returns:
            The outcome; or the run of a job that is watched: when it is ready, :meth:`go_on`. Until then it
            can be left with :meth:`leave`.
        """
        client_wait = 0.0 if self._slots is None else await self._slots.acquire()
        timeout = self._job_timeout if request.timeout is None else request.timeout
        run = JobRun(
            request,
            index,
            self.platform,
            self._notify,
            journal,
            on_paused=on_paused,
            retry=recovered.retry,
            timeout=timeout if is_timeout(timeout) else None,  # it is refused below, with the rest
            client_wait=client_wait,
        )
        run.exists = confirm_exists is None
        start = self._start(run, request, recovered, confirm_exists, until_started=until_started)
        return await self._come_to(run, start, run.until)

    async def go_on(self, run: JobRun) -> JobOutcome | JobRun:
        """Go on with a job that is watched no more: collect what it left, or answer its pause.

        Returns:
            As :meth:`begin`.

        Raises:
            OpusError: As :meth:`run`.
        """
        watched, run.watched = run.watched, None
        assert watched is not None  # noqa: S101 - it was returned as the run of a watched job
        until = run.until
        if until is not None and not _pauses(watched):
            until += AFTER_DEADLINE
        return await self._come_to(run, self._end(run, watched), until)

    def leave(self, run: JobRun, cancelled: asyncio.CancelledError | None = None) -> None:
        """Wait no more for a job that is watched, and say what becomes of it.

        Args:
            run: Its run.
            cancelled: What ended the wait; it is told, too.
        """
        if run.watched is not None:
            self._watcher.unwatch(run.watched)
        self._tell_what_is_left(run, cancelled)
        self._let_go(run)

    def hint_to_wait(self, job_id: str) -> str:
        """How a program waits for a job that it did not see the end of; empty where nobody says."""
        return self._hint(NextStep(NextAction.WAIT_FOR_JOB, job_id))

    async def _come_to(
        self, run: JobRun, work: Coroutine[Any, Any, None], until: float | None
    ) -> JobOutcome | JobRun:
        """Do a part of the run of a job: to its end, or to where it is watched.

        Args:
            run: The job.
            work: The part.
            until: When it must be done, by the event loop's clock; None for no bound.
        """
        current_job.set(run.current)
        run.waits, clock_before = WaitClock(), wait_clock.get()
        wait_clock.set(run.waits)
        deadline = None
        try:
            if until is None:
                await work
            else:
                async with asyncio.timeout_at(until) as deadline:
                    await work
        except (JobHandedBack, JobTakenAway, Superseded):
            raise
        except OpusError as error:
            run.error = located(error, run, self.platform.stages, self._hint)
        except (TimeoutError, Overdue) as error:
            is_late = isinstance(error, Overdue) or (deadline is not None and deadline.expired())
            run.error = self._late(run) if is_late else unexpected(error, run)
        except Exception as error:
            log.exception("job %s: unexpected", run.job_id)
            run.error = unexpected(error, run)
        except asyncio.CancelledError as cancelled:
            if is_cancelled():
                self._tell_what_is_left(run, cancelled)
                raise
            log.exception("job %s: unexpected", run.job_id)
            run.error = unexpected(cancelled, run)
        finally:
            current_job.set(NO_CURRENT_JOB)
            wait_clock.set(clock_before)
            if run.watched is None:
                self._let_go(run)
        if run.watched is None:
            return run.finish(self._hint)
        run.waits = NO_WAITS
        return run

    async def _start(
        self,
        run: JobRun,
        request: JobRequest,
        recovered: RecoveredJob,
        confirm_exists: ReadStatus | None,
        *,
        until_started: bool,
    ) -> None:
        """Get the job to run, and have it watched."""
        self._launcher.attach(run, request, recovered)
        started_here = await self._launcher.get_to_run(run, request, recovered, confirm_exists)
        if run.ended:
            await self._collect(run)
        elif until_started:  # it is left to whoever collects it
            run.enter_stage(PAUSED)
            raise JobHandedBack
        else:
            watch(run, self.platform, self._watcher, poll_now=not started_here)

    async def _end(self, run: JobRun, watched: WatchedJob) -> None:
        """Collect what the job left, or answer its pause and have it watched again."""
        ended = watched.ending()
        run.noticed(ended)
        if ended.status.is_terminal:
            run.end = ended
            await self._collect(run)
        else:
            await answer_pause(run, self.platform, ended.status, self._hint)
            watch(run, self.platform, self._watcher, poll_now=True)

    async def _collect(self, run: JobRun) -> None:
        run.enter_stage(self.platform.stages.collect)
        try:
            run.collected = await self.platform.collect(run.known_id, run.known_status)
        except OpusError as error:
            if run.retry is not None:
                give_way_if_accepted(run.retry, error)
            raise

    def _late(self, run: JobRun) -> OpusError:
        return deadline_exceeded(
            run, run.timeout, self.platform.stages, self._hint, workflow_id=self.platform.workflow_id
        )

    def _let_go(self, run: JobRun) -> None:
        """Free what the run of a job held: its slot, and its id."""
        if run.job_id is not None:
            self._launcher.release(run.job_id)
        if self._slots is not None:
            self._slots.release()

    def _tell_what_is_left(self, run: JobRun, cancelled: asyncio.CancelledError | None) -> None:
        """Say which job goes on, or has ended and was billed, although nobody waits for it here any more."""
        if not run.start_sent or run.journal:  # a journal knows it, and for longer than we do
            return
        if not run.ended:
            self.abandoned.append(run.known_id)
        left = what_is_left(run, self._hint)
        if cancelled is not None:
            cancelled.add_note(left)
        self.on_left(run.known_id, left)


def _pauses(watched: WatchedJob) -> bool:
    return isinstance(watched.result, Ended) and not watched.result.status.is_terminal


def _log_left(_: str, left: str) -> None:
    log.warning("Cancelled. %s", left)
