"""How one job runs, from inputs to outcome, on any platform.

bind -> prepare (files) -> create (an id, no bill yet) -> start (the bill) -> watch -> collect

An id belongs to one job: when the platform gives one out again, it is refused and another job made. A job
that was made for another version or workflow is never started.

With a :class:`~opus_async.platform.JobJournal` each step that must outlive the process is recorded in time;
with a :class:`~opus_async.platform.RecoveredJob` the work of an earlier process is continued.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, NoReturn, TypeAlias

from opus_async.config import RetryPolicy
from opus_async.error_codes import NextAction, NextStep, no_hint
from opus_async.errors import InvalidInputs, OpusError, ProtocolError
from opus_async.events import NO_CURRENT_JOB, current_job
from opus_async.jobs.ended import Overdue
from opus_async.jobs.job_ids import JobIds
from opus_async.jobs.job_run import JobRun
from opus_async.jobs.job_slots import JobSlots
from opus_async.jobs.pausing import OnPaused, WhenPaused
from opus_async.jobs.previous_job import PreviousJobs, Superseded, give_way_if_accepted
from opus_async.jobs.request_check import is_timeout, problems_of
from opus_async.jobs.run_errors import Hint, deadline_exceeded, located, unexpected, what_is_left
from opus_async.jobs.start import JobStarter
from opus_async.jobs.waiting import wait_for_end
from opus_async.jobs.watch import Watcher
from opus_async.models import JobRequest, JobStatus
from opus_async.outcome import JobOutcome
from opus_async.platform import (
    NEW_JOB,
    BoundT,
    IdTaken,
    JobHandedBack,
    JobJournal,
    JobResult,
    JobTakenAway,
    Platform,
    ReadyT,
    RecoveredJob,
    RetryRequest,
)
from opus_async.stages import PAUSED
from opus_async.transport.dispatch import Dispatcher
from opus_async.transport.wait_clock import wait_clock

log = logging.getLogger("opus_async.jobs.lifecycle")

MAX_CREATES = 5
"""Jobs made for one request: an id that comes twice comes from a cache in between, which soon runs out."""

ReadStatus: TypeAlias = Callable[[], Awaitable[JobStatus]]
"""Reads the status of one job, with retries."""


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
        self._starter = JobStarter(platform, policy)
        self._old_jobs = PreviousJobs(platform, watcher, self._starter)
        self._ids = JobIds() if ids is None else ids
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
        client_wait = 0.0 if self._slots is None else await self._slots.acquire()
        try:
            run = JobRun(request, index, self.platform, self._notify, journal, client_wait=client_wait)
            return await self._run(
                run, request, recovered, on_paused, confirm_exists, until_started=until_started
            )
        finally:
            if self._slots is not None:
                self._slots.release()

    async def _run(
        self,
        run: JobRun,
        request: JobRequest,
        recovered: RecoveredJob,
        on_paused: OnPaused,
        confirm_exists: ReadStatus | None,
        *,
        until_started: bool,
    ) -> JobOutcome:
        """Run the job in its slot; arguments as in :meth:`run`."""
        current_job.set(run.current)
        run.exists = confirm_exists is None
        clock_before = wait_clock.set(run.waits)
        self._attach(run, request, recovered)
        timeout = self._job_timeout if request.timeout is None else request.timeout
        if not is_timeout(timeout):
            timeout = None  # it is refused below, with the rest
        try:
            async with asyncio.timeout(timeout) as deadline:
                started_here = await self._get_to_run(run, request, recovered, confirm_exists)
                if until_started and not run.ended:
                    _hand_back(run)
                if not run.ended:
                    await wait_for_end(
                        run,
                        self.platform,
                        self._watcher,
                        deadline,
                        poll_now=not started_here,
                        on_paused=on_paused,
                        hint=self._hint,
                    )
                run.collected = await self._collect(run, recovered)
        except (JobHandedBack, JobTakenAway, Superseded):
            raise
        except OpusError as error:
            run.error = located(error, run, self.platform.stages, self._hint)
        except (TimeoutError, Overdue) as error:
            run.error = (
                deadline_exceeded(
                    run,
                    timeout,
                    self.platform.stages,
                    self._hint,
                    workflow_id=self.platform.workflow_id,
                )
                if deadline.expired() or isinstance(error, Overdue)
                else unexpected(error, run)
            )
        except Exception as error:
            log.exception("job %s: unexpected", run.job_id)
            run.error = unexpected(error, run)
        except asyncio.CancelledError as cancelled:
            self._tell_what_is_left(run, cancelled)
            raise
        finally:
            current_job.set(NO_CURRENT_JOB)
            wait_clock.reset(clock_before)
            if run.job_id is not None:
                self._release(run.job_id)
        return run.finish(self._hint)

    def hint_to_wait(self, job_id: str) -> str:
        """How a program waits for a job that it did not see the end of; empty where nobody says."""
        return self._hint(NextStep(NextAction.WAIT_FOR_JOB, job_id))

    def _attach(self, run: JobRun, request: JobRequest, recovered: RecoveredJob) -> None:
        """Take over the job that an earlier process created, if it did."""
        run.job_id, run.alias, run.start_sent = (
            recovered.remote_id,
            recovered.alias,
            recovered.starts_sent > 0,
        )
        if recovered.remote_id is not None:
            self._ids.take(recovered.remote_id)
            self.platform.attach(
                recovered.remote_id,
                request,
                starts_sent=recovered.starts_sent,
                accepted=recovered.start_accepted,
                overtaken=recovered.overtaken,
                other_version=recovered.made_for_other_version,
                alias=recovered.alias,
            )

    async def _get_to_run(
        self, run: JobRun, request: JobRequest, recovered: RecoveredJob, confirm_exists: ReadStatus | None
    ) -> bool:
        """Get the job started, whatever an earlier process did; returns whether it was started here."""
        if confirm_exists is not None:
            await self._confirm_exists(run, request, confirm_exists)
            return False
        if recovered.retry is not None:
            await self._ask_previous_job(run, recovered, recovered.retry)
            return False
        return not recovered.start_accepted and await self._start(run, request, recovered)

    async def _confirm_exists(self, run: JobRun, request: JobRequest, read_status: ReadStatus) -> None:
        """Raise if there is no such job. An end that is not COMPLETED is left to the watcher to confirm."""
        if problems := problems_of(request):
            raise InvalidInputs(problems)
        run.enter_stage(self.platform.stages.watch)
        status = await read_status()
        run.exists = True
        if status == JobStatus.COMPLETED:
            run.status_seen(status)

    async def _ask_previous_job(self, run: JobRun, recovered: RecoveredJob, retry: RetryRequest) -> None:
        """Ask the earlier job of a request that is tried again; returns if it counts after all."""
        run.enter_stage(self.platform.stages.watch)
        status = await self._old_jobs.ask(
            run.known_id, retry, accepted=recovered.start_accepted, doubt=recovered.doubt
        )
        await run.start_accepted()
        if status.is_terminal:
            run.status_seen(status)

    async def _start(self, run: JobRun, request: JobRequest, recovered: RecoveredJob) -> bool:
        """Start a job that is not known to run; returns whether it was started here."""
        platform, stages = self.platform, self.platform.stages
        starts_sent = recovered.starts_sent
        if recovered.starts_sent and await self._start_took_effect(run, recovered):
            return False
        if recovered.made_for_other_version and run.job_id is not None:
            platform.orphaned_jobs += not recovered.starts_sent
            await self._supersede(run)
        run.enter_stage(stages.bind)
        if problems := problems_of(request):
            raise InvalidInputs(problems)
        bound = await platform.bind(request)
        run.enter_stage(stages.prepare)
        ready = await platform.prepare(bound)
        for _ in range(MAX_CREATES):
            try:
                if run.job_id is None:
                    await self._create(run, bound)
                    starts_sent = 0
                await self._send_start(run, ready, starts_sent=starts_sent)
            except IdTaken as taken:
                log.warning("job %s: this id came for another job, too; making a new one", taken)
            else:
                return True
        raise ProtocolError(
            f"The platform gave out the id of another job {MAX_CREATES} times when a new one was to be made; "
            "nothing was started. Is there a proxy in between that keeps answers?",
            stage=stages.create,
        )

    async def _create(self, run: JobRun, bound: BoundT) -> None:
        run.enter_stage(self.platform.stages.create)
        job_id = await self.platform.create(bound)
        if job_id in self._ids:
            raise IdTaken(job_id)
        self._ids.take(job_id)
        await run.job_created(job_id)

    async def _supersede(self, run: JobRun) -> None:
        """Record that a new job takes the place of the earlier one."""
        if run.journal:
            await run.journal.job_superseded(run.known_id)
        self._forget(run)

    def _forget(self, run: JobRun) -> None:
        self._release(run.known_id)
        run.job_id = None

    def _release(self, job_id: str) -> None:
        self._ids.release(job_id)
        self.platform.release(job_id)

    async def _start_took_effect(self, run: JobRun, recovered: RecoveredJob) -> bool:
        """Whether a start request of an earlier process took effect; if not, one more may be sent."""
        run.enter_stage(self.platform.stages.start)
        lost = OpusError("An earlier process got no answer to the order to start")
        if not await self._starter.start_took_effect(
            run.known_id,
            lost,
            starts_sent=recovered.starts_sent,
            doubt=recovered.doubt,
            on_doubt=run.second_start_forbidden,
        ):
            run.start_sent = False
            return False
        await run.start_accepted()
        return True

    async def _send_start(self, run: JobRun, ready: ReadyT, *, starts_sent: int) -> None:
        run.enter_stage(self.platform.stages.start)

        async def before_send() -> None:
            if run.journal:
                try:
                    await run.journal.start_intent(run.known_id)
                except IdTaken:
                    self._forget(run)
                    raise
            run.start_sent = True

        await self._starter.start(
            run.known_id,
            ready,
            starts_sent=starts_sent,
            before_send=before_send,
            on_doubt=run.second_start_forbidden,
        )
        await run.start_accepted()

    def _tell_what_is_left(self, run: JobRun, cancelled: asyncio.CancelledError) -> None:
        """Say which job goes on, or has ended and was billed, although nobody waits for it here any more."""
        if not run.start_sent or run.journal:  # a journal knows it, and for longer than we do
            return
        if not run.ended:
            self.abandoned.append(run.known_id)
        left = what_is_left(run, self._hint)
        cancelled.add_note(left)
        self.on_left(run.known_id, left)

    async def _collect(self, run: JobRun, recovered: RecoveredJob) -> JobResult:
        run.enter_stage(self.platform.stages.collect)
        try:
            return await self.platform.collect(run.known_id, run.known_status)
        except OpusError as error:
            if recovered.retry is not None:
                give_way_if_accepted(recovered.retry, error)
            raise


def _log_left(_: str, left: str) -> None:
    log.warning("Cancelled. %s", left)


def _hand_back(run: JobRun) -> NoReturn:
    """Leave a job that is started to whoever collects it."""
    run.enter_stage(PAUSED)
    raise JobHandedBack
