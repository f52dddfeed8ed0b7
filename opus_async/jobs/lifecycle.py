"""How one job runs, from inputs to outcome, said in terms of the platform. There is one way, and this is it.

bind -> prepare (files) -> create (an unbilled shell) -> start (the bill) -> watch -> collect

An id is used for one job alone, and only where it was made: one that comes again is refused and another shell
made, and one that was made for another version or workflow is never ordered.

With a :class:`~opus_async.platform.JobJournal` each step that must outlive the process is recorded in time;
with a :class:`~opus_async.platform.RecoveredJob` the work of an earlier process is continued.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Generic

from opus_async.config import RetryPolicy
from opus_async.error_codes import NextAction, NextStep, no_hint
from opus_async.errors import (
    DeadlineExceeded,
    InvalidInputs,
    JobFailed,
    OpusError,
    ProtocolError,
    with_hint,
)
from opus_async.events import NO_CURRENT_JOB, CurrentJob, JobStageChanged, JobStatusSeen, current_job
from opus_async.gaps import gapped, literal
from opus_async.input_problems import InputProblem, bad_argument
from opus_async.jobs.ended import Ended
from opus_async.jobs.job_ids import JobIds
from opus_async.jobs.previous_job import PreviousJobs, Superseded, give_way_if_accepted
from opus_async.jobs.start import JobStarter
from opus_async.jobs.watch import Watcher
from opus_async.models import AuditLog, JobRequest, JobStatus
from opus_async.outcome import JobOutcome
from opus_async.platform import (
    NEW_JOB,
    BoundT,
    IdTaken,
    JobJournal,
    JobResult,
    JobTakenAway,
    Platform,
    ReadyT,
    RecoveredJob,
    RetryRequest,
    StartDoubt,
)
from opus_async.transport.dispatch import Dispatcher

log = logging.getLogger("opus_async.jobs.lifecycle")

PAUSED = "parked"
"""The stage that events tell of a job that is left to wait for a person."""
MAX_CREATES = 5
"""Shells made for one job: an id that is another job's comes from a cache in between, and soon no more."""


class JobPaused(Exception):
    """A job waits for a person, and nobody waits for it here any more; raised only where that was wanted.

    Attributes:
        remote_id: The job.
        status: Its status, WAITING.
        timings: Seconds per stage until now.
    """

    def __init__(self, remote_id: str, status: JobStatus, timings: Mapping[str, float]) -> None:
        super().__init__(f"job {remote_id} is {status}")
        self.remote_id = remote_id
        self.status = status
        self.timings = timings


class Lifecycle(Generic[BoundT, ReadyT]):
    """Runs jobs of one platform.

    Args:
        platform: Whose jobs.
        watcher: Where they are waited for.
        policy: What to do with an uncertain start; see :mod:`opus_async.jobs.start`.
        job_timeout: Seconds for a job whose request names none; None waits for ever.
        notify: Where stage changes go.
        ids: Which job ids are taken, shared by all that runs jobs there; None for its own.
        hint: How whoever uses this library takes a next step; empty for nothing.

    Attributes:
        platform: Whose jobs.
        abandoned: Ids of jobs that may go on remotely because we were cancelled while they ran.
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
        hint: Callable[[NextStep], str] = no_hint,
    ) -> None:
        self.abandoned: list[str] = []
        self.platform = platform
        self._watcher = watcher
        self._starter = JobStarter(platform, policy)
        self._old_jobs = PreviousJobs(watcher, self._starter)
        self._ids = JobIds() if ids is None else ids
        self._job_timeout = job_timeout
        self._notify = notify
        self._hint = hint

    async def run(
        self,
        request: JobRequest,
        *,
        index: int = 0,
        past: RecoveredJob = NEW_JOB,
        journal: JobJournal | None = None,
        park: bool = False,
    ) -> JobOutcome:
        """Run one job to a terminal status.

        Args:
            request: What it is asked to do. Of a job that was accepted already nothing but its key and
                time-out is read.
            index: The row's position in its run.
            past: How far an earlier process came with it.
            journal: Told of what must outlive this process.
            park: Whether to stop waiting for a job that waits for a person.

        Returns:
            The outcome; ``error`` is set when the job failed, or completed and its results could not be had.

        Raises:
            OpusError: No terminal status is known; it carries the job id and the stage.
            Parked: It waits for a person; only with ``park``.
            GaveWay: The job of the past is done with, and may be run anew; only with ``past.retry``.
            JobTakenAway: The journal said so.
        """
        run = _Run(request, index, self.platform.stages.bind, self._notify, journal)
        run.job_id, run.ordered = past.remote_id, past.orders > 0
        current_job.set(run.current)
        if past.remote_id is not None:
            self._ids.take(past.remote_id)
        timeout = self._job_timeout if request.timeout is None else request.timeout
        if _timeout_problem(timeout):
            timeout = None  # it is refused below, with the rest
        try:
            async with asyncio.timeout(timeout) as deadline:
                ordered_here = await self._get_to_run(run, request, past)
                if not run.ended:
                    await self._wait(run, look_now=not ordered_here, park=park)
                run.collected = await self._collect(run, past)
        except (JobPaused, JobTakenAway, Superseded):
            raise
        except OpusError as error:
            run.error = self._located(error, run)
        except TimeoutError as error:
            run.error = self._overdue(run, timeout) if deadline.expired() else _bug(error, run)
        except Exception as error:
            log.exception("job %s: unexpected", run.job_id)
            run.error = _bug(error, run)
        except asyncio.CancelledError as cancelled:
            self._name_what_is_left(run, cancelled)
            raise
        finally:
            current_job.set(NO_CURRENT_JOB)
            if run.job_id is not None:
                self._leave(run.job_id)
        return run.finish(self._hint)

    def _located(self, error: OpusError, run: _Run) -> OpusError:
        """The error with the job and the stage; while a job runs, what matters next is that job."""
        stages = self.platform.stages
        if run.stage == stages.collect:
            error.advised(NextAction.FETCH_RESULTS)
        elif run.stage == stages.watch:
            error.advised(NextAction.WAIT_FOR_JOB)
        return error.located(job_id=run.job_id, stage=run.stage)

    async def _get_to_run(self, run: _Run, request: JobRequest, past: RecoveredJob) -> bool:
        """Get the job to run, whatever was done before; returns whether it was ordered here."""
        if past.retry is not None:
            await self._ask(run, request, past, past.retry)
            return False
        return not past.accepted and await self._start(run, request, past)

    async def _ask(self, run: _Run, request: JobRequest, past: RecoveredJob, retry: RetryRequest) -> None:
        """Ask the job of a row that is tried again; returns if it is the row's job after all."""
        self.platform.attach(run.known_id, request, elsewhere=past.elsewhere)
        run.enter(self.platform.stages.watch)
        status = await self._old_jobs.ask(run.known_id, retry, accepted=past.accepted, doubt=past.doubt)
        if run.journal:
            await run.journal.start_accepted(run.known_id)
        if status.is_terminal:
            run.saw(status)

    async def _start(self, run: _Run, request: JobRequest, past: RecoveredJob) -> bool:
        """Get a job to run that is not known to; returns whether it was ordered here."""
        platform, stages = self.platform, self.platform.stages
        orders = past.orders
        if past.remote_id is not None:
            platform.attach(past.remote_id, request, elsewhere=past.elsewhere)
        if past.orders and await self._was_obeyed(run, past):
            return False
        if past.elsewhere and run.job_id is not None:
            platform.orphaned_jobs += not past.orders
            await self._give_way(run)
        run.enter(stages.bind)
        if problems := _problems(request):
            raise InvalidInputs(problems)
        bound = await platform.bind(request)
        run.enter(stages.prepare)
        ready = await platform.prepare(bound)
        for _ in range(MAX_CREATES):
            try:
                if run.job_id is None:
                    await self._create(run, bound)
                    orders = 0
                await self._order(run, ready, orders=orders)
            except IdTaken as taken:
                log.warning("job %s: this id came for another job, too; making a new one", taken)
            else:
                return True
        raise ProtocolError(
            f"The platform gave out the id of another job {MAX_CREATES} times when a new one was to be made; "
            "nothing was started. Is there a proxy in between that keeps answers?",
            stage=stages.create,
        )

    async def _create(self, run: _Run, bound: BoundT) -> None:
        run.enter(self.platform.stages.create)
        job_id = await self.platform.create(bound)
        if job_id in self._ids:
            raise IdTaken(job_id)
        self._ids.take(job_id)
        await run.made(job_id)

    async def _give_way(self, run: _Run) -> None:
        """The job that was there is no use; a new one is made."""
        if run.journal:
            await run.journal.gave_way(run.known_id)
        self._forget(run)

    def _forget(self, run: _Run) -> None:
        self._leave(run.known_id)
        run.job_id = None

    def _leave(self, job_id: str) -> None:
        self._ids.leave(job_id)
        self.platform.release(job_id)

    async def _was_obeyed(self, run: _Run, past: RecoveredJob) -> bool:
        """Whether an order of an earlier process was obeyed; if not, one more may be given."""
        run.enter(self.platform.stages.start)
        lost = OpusError("An earlier process got no answer to the order to start")
        if not await self._starter.was_obeyed(
            run.known_id, lost, orders=past.orders, doubt=past.doubt, on_doubt=run.doubted
        ):
            run.ordered = False
            return False
        if run.journal:
            await run.journal.start_accepted(run.known_id)
        return True

    async def _order(self, run: _Run, ready: ReadyT, *, orders: int) -> None:
        run.enter(self.platform.stages.start)

        async def before_order() -> None:
            if run.journal:
                try:
                    await run.journal.start_intent(run.known_id)
                except IdTaken:
                    self._forget(run)
                    raise
            run.ordered = True

        await self._starter.start(
            run.known_id, ready, orders=orders, before_order=before_order, on_doubt=run.doubted
        )
        if run.journal:
            await run.journal.start_accepted(run.known_id)

    async def _wait(self, run: _Run, *, look_now: bool, park: bool) -> None:
        run.enter(self.platform.stages.watch)
        ended = await self._watcher.wait(
            run.known_id,
            kind=self.platform.kind,
            on_status=run.saw,
            look_now=look_now,
            exists=True,
            calls_back=self.platform.calls_back,
            until_waiting=park,
        )
        if not ended.status.is_terminal:
            run.enter(PAUSED)
            raise JobPaused(run.known_id, ended.status, run.timings())
        run.end = ended

    def _name_what_is_left(self, run: _Run, cancelled: asyncio.CancelledError) -> None:
        """Say which job goes on, or has ended and was billed, although nobody waits for it here any more."""
        if not run.ordered or run.journal:  # a journal knows it, and for longer than we do
            return
        row = f"row {run.index}" if run.key is None else f"row {run.index}, key {run.key!r}"
        if run.ended:
            completed = run.status == JobStatus.COMPLETED
            action = NextAction.FETCH_RESULTS if completed else NextAction.READ_AUDIT
            left = f"Job {run.job_id} ({row}) ended as {run.status}"
        else:
            self.abandoned.append(run.known_id)
            action = NextAction.WAIT_FOR_JOB
            left = f"Job {run.job_id} ({row}) may go on remotely"
        left = with_hint(left, self._hint(NextStep(action, run.job_id)))
        cancelled.add_note(left)
        log.warning("Cancelled. %s", left)

    async def _collect(self, run: _Run, past: RecoveredJob) -> JobResult:
        run.enter(self.platform.stages.collect)
        try:
            return await self.platform.collect(run.known_id, run.known_status)
        except OpusError as error:
            if past.retry is not None:
                give_way_if_accepted(past.retry, error)
            raise

    def _overdue(self, run: _Run, timeout: float | None) -> DeadlineExceeded:
        action = NextAction.ALLOW_MORE_TIME
        if run.ended:
            action = NextAction.FETCH_RESULTS
            what = f"it ended as {run.status}, and only what it left is missing: ask for it by its id"
        elif not run.ordered:
            what = "nothing was started"
        elif run.stage == self.platform.stages.start:
            action = NextAction.LOOK_AT_JOB
            what = "it may have been started: look at it before running it again"
        else:
            action = NextAction.WAIT_FOR_JOB
            what = "it goes on remotely"
        error = DeadlineExceeded(
            gapped(
                f"No outcome after {{}} s; {literal(what)}. Give it a longer timeout if this is normal.",
                f"{timeout:g}",
            ),
            last_status=run.status,
            job_id=run.job_id,
            stage=run.stage,
        )
        waits = action is NextAction.WAIT_FOR_JOB
        error.advised(action, self._hint(NextStep(action, run.job_id)) if waits else "")
        return error


class _Run:
    """What changes while one job runs; belongs to one task."""

    def __init__(
        self, request: JobRequest, index: int, stage: str, notify: Dispatcher, journal: JobJournal | None
    ) -> None:
        self.key = request.key
        self.index = index
        self.current = CurrentJob(index=index, key=request.key)
        """Who is named in the events of its requests."""
        self.stage = stage
        self.ordered = False
        """Whether the order to start may have left."""
        self.status: JobStatus | None = None
        self.end: Ended | None = None
        """How its end was noticed; None where nobody waited for it."""
        self.collected = JobResult()
        self.error: OpusError | None = None
        self.journal = journal
        self._notify = notify
        self._timings: dict[str, float] = {}
        self._now = asyncio.get_running_loop().time
        self._began = self._entered = self._now()

    @property
    def job_id(self) -> str | None:
        return self.current.job_id

    @job_id.setter
    def job_id(self, job_id: str | None) -> None:
        self.current.job_id = job_id

    @property
    def ended(self) -> bool:
        return self.status is not None and self.status.is_terminal

    @property
    def known_id(self) -> str:
        assert self.job_id is not None  # noqa: S101 - set by create, before anything that reads it
        return self.job_id

    @property
    def known_status(self) -> JobStatus:
        assert self.status is not None  # noqa: S101 - set by the watcher, before anything that reads it
        return self.status

    async def made(self, remote_id: str) -> None:
        self.job_id = remote_id
        if self.journal:
            await self.journal.job_created(remote_id)

    async def doubted(self, doubt: StartDoubt) -> None:
        if self.journal:
            await self.journal.doubted(self.known_id, doubt)

    def saw(self, status: JobStatus) -> None:
        self.status = status
        if self.journal:
            self.journal.status_seen(status)
        if self._notify.active:
            self._notify(JobStatusSeen(index=self.index, key=self.key, job_id=self.known_id, status=status))

    def enter(self, stage: str) -> None:
        self._clock()
        self.stage = stage
        if self._notify.active:
            self._notify(JobStageChanged(index=self.index, key=self.key, job_id=self.job_id, stage=stage))

    def _clock(self) -> None:
        now = self._now()
        if now > self._entered:
            self._timings[self.stage] = self._timings.get(self.stage, 0.0) + now - self._entered
        self._entered = now

    def timings(self) -> Mapping[str, float]:
        """Seconds per stage until now, and in all."""
        self._clock()
        return MappingProxyType({**self._timings, "total": self._now() - self._began})

    def finish(self, hint: Callable[[NextStep], str]) -> JobOutcome:
        """The outcome; raises the error when no terminal status is known."""
        timings = self.timings()
        if self._notify.active:
            self._notify(
                JobStageChanged(
                    index=self.index,
                    key=self.key,
                    job_id=self.job_id,
                    stage="done",
                    status=self.status if self.ended else None,
                    detect_lag=self.end.detect_lag if self.end else None,
                    told_by=self.end.told_by if self.end else None,
                )
            )
        if self.error is not None and not self.ended:
            raise self.error
        if self.status != JobStatus.COMPLETED:
            self.error = failure(self.known_status, self.collected.audit, self.job_id, self.stage, hint)
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
        )
        if isinstance(self.error, JobFailed):
            self.error.outcome = outcome
        return outcome


def failure(
    status: JobStatus,
    audit: AuditLog | None,
    job_id: str | None,
    stage: str,
    hint: Callable[[NextStep], str] = no_hint,
) -> JobFailed:
    """The error of a job that ended so; it names the nodes that failed, where the audit tells."""
    nodes = audit.failed_nodes if audit else ()
    reasons = {node.name: node.error for node in audit.nodes if node.error} if audit else {}
    if nodes:
        named = "; ".join(f"{name} ({reasons[name]})" if name in reasons else name for name in nodes)
        why = f"failed nodes: {named}"
    elif audit:
        why = "the audit names no failed node"
    else:
        why = "its audit could not be read"
    error = JobFailed(f"The job ended as {status}: {why}", failed_nodes=nodes, job_id=job_id, stage=stage)
    if audit is None:
        error.hint = hint(NextStep(NextAction.READ_AUDIT, job_id))
    return error


def _bug(error: Exception, run: _Run) -> OpusError:
    """One row's surprise must not end the others: it becomes that row's error, with its job id."""
    surprise = OpusError(
        gapped(
            f"Unexpected {type(error).__name__}: {{}}. This is a fault of opus_async or of a disk; the log "
            "has the traceback",
            error,
        ),
        job_id=run.job_id,
        stage=run.stage,
    )
    surprise.__cause__ = error
    return surprise


def _problems(request: JobRequest) -> list[InputProblem]:
    """What is wrong with a row beside its inputs."""
    problems = [
        bad_argument(f"{name} is a {type(value).__name__}, not text")
        for name in ("title", "description", "key", "version_id")
        if (value := getattr(request, name)) is not None and not isinstance(value, str)
    ]
    version = request.version_number
    if version is not None and (isinstance(version, bool) or not isinstance(version, int)):
        problems.append(bad_argument(f"version_number is a {type(version).__name__}, not a whole number"))
    if problem := _timeout_problem(request.timeout):
        problems.append(bad_argument(problem))
    return problems


def _timeout_problem(timeout: Any) -> str | None:
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
        return f"timeout is {timeout!r}, not a number of seconds above 0"
    return None
