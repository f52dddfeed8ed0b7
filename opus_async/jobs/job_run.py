"""The state of one job while it runs: stage, ids, status, times. Tells listeners and the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from opus_async.error_codes import NextStep
from opus_async.errors import JobFailed, JobPaused, OpusError
from opus_async.events import CurrentJob, JobStageChanged, JobStatusSeen
from opus_async.jobs.ended import Ended
from opus_async.jobs.pausing import OnPaused, WhenPaused
from opus_async.jobs.watched import WatchedJob
from opus_async.jobs.worker_pool import Suspended
from opus_async.models import JobRequest, JobStatus
from opus_async.models.mappings import EMPTY
from opus_async.outcome import JobOutcome, failure_of
from opus_async.platform import JobJournal, JobResult, Platform, RetryRequest, StartDoubt
from opus_async.stages import CLIENT_WAIT, DONE, REQUEST_WAIT
from opus_async.transport.dispatch import Dispatcher
from opus_async.transport.wait_clock import WaitClock

NO_WAITS: Final = WaitClock()
"""Of a job that requests nothing."""
NOTHING: Final = JobResult(outputs=EMPTY)


class JobRun(Suspended):
    """The state of one job while it runs. While the job is waited for, nothing else is kept of its run.

    Args:
        request: What the job is asked to do.
        index: The row's position in its run, from 0.
        platform: The platform adapter.
        notify: Called with events.
        journal: Records what must outlive this process; None for nothing.
        on_paused: What follows when the job waits for a person.
        retry: Given for a job that is tried again.
        timeout: Seconds until it is waited for no more; None for ever.
        client_wait: Seconds for which it waited for a slot before.

    Attributes:
        current: Who is named in the events of its requests.
        until: When its time-out is over, by the event loop's clock; None for never.
        watched: What the status poller knows of it; None while it is not waited for.
        start_sent: Whether the start request may have been sent.
        exists: Whether the platform is known to have such a job, once it has an id.
        end: How its end was noticed; None where it was not waited for.
        waits: Runs while its requests wait for their turn.
    """

    __slots__ = (
        "_began",
        "_entered",
        "_loop",
        "_noticing",
        "_notify",
        "_platform",
        "_timings",
        "alias",
        "collected",
        "current",
        "end",
        "error",
        "exists",
        "index",
        "journal",
        "key",
        "on_paused",
        "retry",
        "stage",
        "start_sent",
        "status",
        "timeout",
        "until",
        "waits",
        "watched",
    )

    def __init__(
        self,
        request: JobRequest,
        index: int,
        platform: Platform[Any, Any],
        notify: Dispatcher,
        journal: JobJournal | None = None,
        *,
        on_paused: OnPaused = WhenPaused.WAIT,
        retry: RetryRequest | None = None,
        timeout: float | None = None,
        client_wait: float = 0.0,
    ) -> None:
        super().__init__()
        self.key = request.key
        self.index = index
        self.current = CurrentJob(index, request.key)
        self.stage = platform.stages.bind
        self.alias: str | None = None
        self.start_sent = False
        self.exists = True
        self.status: JobStatus | None = None
        self.end: Ended | None = None
        self.collected = NOTHING
        self.error: OpusError | None = None
        self.journal = journal
        self.on_paused = on_paused
        self.retry = retry
        self.watched: WatchedJob | None = None
        self._notify = notify
        self._platform = platform
        self.waits = NO_WAITS
        self._noticing = 0.0
        """Seconds for which the poll that ended the stage waited for its turn."""
        self._timings: dict[str, float] = {CLIENT_WAIT: client_wait} if client_wait else {}
        self._loop = asyncio.get_running_loop()
        self._entered = self._loop.time()
        self._began = self._entered - client_wait
        self.timeout = timeout
        self.until = None if timeout is None else self._entered + timeout

    @property
    def job_id(self) -> str | None:
        """Its id; None before one exists."""
        return self.current.job_id

    @job_id.setter
    def job_id(self, job_id: str | None) -> None:
        self.current.job_id = job_id

    @property
    def ended(self) -> bool:
        """Whether its terminal status is known."""
        return self.status is not None and self.status.is_terminal

    @property
    def known_id(self) -> str:
        """Its id, where it must have one."""
        assert self.job_id is not None  # noqa: S101 - set by create, before anything that reads it
        return self.job_id

    @property
    def known_status(self) -> JobStatus:
        """Its status, where it must have one."""
        assert self.status is not None  # noqa: S101 - set by the watcher, before anything that reads it
        return self.status

    async def job_created(self, remote_id: str) -> None:
        """Note the id of the new job, and tell the journal."""
        self.job_id, self.alias = remote_id, None
        if self.journal:
            await self.journal.job_created(remote_id)

    def start_intent(self) -> Awaitable[None] | None:
        """Note that the order to start is about to leave; it may once the journal knows.

        Returns:
            What tells the journal; None where there is none. It raises IdTaken as the journal does.
        """
        if self.journal:
            return self._record_intent(self.journal)
        self.start_sent = True
        return None

    async def _record_intent(self, journal: JobJournal) -> None:
        await journal.start_intent(self.known_id)
        self.start_sent = True

    async def start_accepted(self) -> None:
        """Tell the journal that it is known to run."""
        if self.journal:
            await self.journal.start_accepted(self.known_id)

    async def second_start_forbidden(self, doubt: StartDoubt) -> None:
        """Tell the journal what was learned of its start that forbids another start request."""
        if self.journal:
            await self.journal.second_start_forbidden(self.known_id, doubt)

    def status_seen(self, status: JobStatus) -> None:
        """Note a status, and tell journal and listeners."""
        self.status = status
        alias = self._platform.alias_of(self.known_id)
        if alias is not None and alias != self.alias:
            self.alias = alias
            if self.journal:
                self.journal.job_identified(self.known_id, alias)
        if self.journal:
            self.journal.status_seen(status)
        if JobStatusSeen in self._notify.heard:
            self._notify(JobStatusSeen(index=self.index, key=self.key, job_id=self.known_id, status=status))

    @property
    def is_ready(self) -> bool:
        """Whether it is waited for no more, and can be gone on with."""
        return self.watched is None or self.watched.is_over

    def watch_ended(self) -> None:
        """Have it gone on with."""
        self.tell_ready()

    def enter_stage(self, stage: str) -> None:
        """Begin the next stage."""
        self._clock()
        self.stage = stage
        for meter in self._notify.meters:
            meter.stage_changed(self.index, stage)
        if JobStageChanged in self._notify.heard:
            self._notify(JobStageChanged(index=self.index, key=self.key, job_id=self.job_id, stage=stage))

    def noticed(self, ended: Ended) -> None:
        """Count how long the poll that ended the stage waited for its turn: the job ran no longer for it."""
        self._noticing += ended.waited

    def _clock(self) -> float:
        """Count the time since this was last called; returns what time it is."""
        now, timings = self._loop.time(), self._timings
        spent = now - self._entered
        waited = self.waits.take() + self._noticing
        if waited > 0:
            waited = min(waited, spent)
            timings[REQUEST_WAIT] = timings.get(REQUEST_WAIT, 0.0) + waited
        if spent > waited:
            timings[self.stage] = timings.get(self.stage, 0.0) + (spent - waited)
        self._entered, self._noticing = now, 0.0
        return now

    def timings(self) -> Mapping[str, float]:
        """Seconds per stage until now, the waits for a turn apart, and in all."""
        now = self._clock()
        return MappingProxyType({**self._timings, "total": now - self._began})

    def finish(self, hint: Callable[[NextStep], str]) -> JobOutcome:
        """Tell listeners that it is done, and make the outcome.

        Args:
            hint: How a next step is taken, for errors.

        Raises:
            OpusError: No terminal status is known, and it is not paused.
        """
        timings = self.timings()
        paused = isinstance(self.error, JobPaused)
        if not paused:
            self._tell_done()
        if self.error is not None and not self.ended and not paused:
            raise self.error
        if self.ended and self.status != JobStatus.COMPLETED:
            self.error = failure_of(self.known_status, self.collected.audit, self.job_id, self.stage, hint)
        outcome = JobOutcome(
            job_id=self.job_id,
            status=self.status,
            outputs=self.collected.outputs,
            results=self.collected.results,
            error=self.error,
            audit=self.collected.audit,
            timings=timings,
            index=self.index,
            key=self.key,
            notices=self.collected.notices,
            detect_lag=self.end.detect_lag if self.end else None,
        )
        if isinstance(self.error, JobFailed):
            self.error.outcome = outcome
        return outcome

    def _tell_done(self) -> None:
        status = self.status if self.ended else None
        for meter in self._notify.meters:
            meter.stage_changed(self.index, DONE, status)
        if JobStageChanged in self._notify.heard:
            self._notify(
                JobStageChanged(
                    index=self.index,
                    key=self.key,
                    job_id=self.job_id,
                    stage=DONE,
                    status=status,
                    detect_lag=self.end.detect_lag if self.end else None,
                    told_by=self.end.told_by if self.end else None,
                )
            )
