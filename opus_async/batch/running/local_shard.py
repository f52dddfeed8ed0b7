"""The shard runner of one machine: each row through the lifecycle, in this loop and in a slot of its own."""

from __future__ import annotations

import asyncio
import enum
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any

from opus_async.batch.ports import IN_PROCESS, LeaseTerms, RateLimiter, Receipt, RowJournal, ShardReport
from opus_async.batch.rows import UNBILLED, FetchedFile, Row, RowLease, RowResult, RowState
from opus_async.batch.running.file_changes import FileChangeCheck
from opus_async.batch.running.output_files import STAGE as DOWNLOAD
from opus_async.batch.running.output_files import Outputs
from opus_async.batch.running.requests import RequestFactory
from opus_async.batch.running.row_result import add_timings, add_wait, from_error, from_outcome
from opus_async.errors import JobPaused, LedgerError, OpusError
from opus_async.gaps import gapped
from opus_async.jobs.error_scope import Inquiry, Scope, scope_of
from opus_async.jobs.lifecycle import Lifecycle
from opus_async.jobs.pausing import WhenPaused
from opus_async.jobs.previous_job import Superseded
from opus_async.jobs.shared_errors import SharedErrors
from opus_async.jobs.shutdown import ShutdownControl, ShutdownMode
from opus_async.models import JobStatus
from opus_async.outcome import JobOutcome
from opus_async.platform import IdTaken, JobTakenAway, RecoveredJob, RetryRequest, Stages, StartDoubt
from opus_async.tasks import start
from opus_async.transport.shortage import Waits, advice, out_of

log = logging.getLogger("opus_async.batch")

SHARD = 128
"""Rows leased at once: few enough to give back quickly, enough for one look into the ledger to pay."""
LOOK_SOONEST, LOOK_LATEST = 2.0, 300.0
LOOK_SHARE = 0.1
"""Of the time that a row has waited for a person; within these bounds in seconds."""
_REMEMBERED = 200
_ASK = frozenset({Scope.ASK, Scope.ASK_AND_OTHERS_TELL})
_OTHERS_TELL = frozenset({Scope.OTHERS_TELL, Scope.ASK_AND_OTHERS_TELL})


OnEnd = Callable[[RowResult], None]


class _Phase(enum.IntEnum):
    """How far a row has come here, as an interrupt cares."""

    UNORDERED = 0
    ORDERING = 1
    """The order may leave any moment: to stop here would cost a grace to find out."""
    RUNNING = 2
    ENDING = 3


class LocalShardRunner:
    """Runs rows in this loop; see :class:`opus_async.batch.ports.ShardRunner`.

    Args:
        lifecycle: How a job runs.
        journal: Told of every step.
        requests: From a row to what is asked for.
        control: No row is begun once it admits none; told at once of what every row would meet.
        max_in_flight: Rows that hold a slot at once.
        limiter: Says when the next row may start; None for at once.
        on_end: Told of every row that ended.
        outputs: Fetches result files; None to leave them where they are.
        accept_second_bill: Whether a row that is tried again gets a new job although its old one may have
            been billed.
    """

    def __init__(
        self,
        lifecycle: Lifecycle[Any, Any],
        journal: RowJournal,
        requests: RequestFactory,
        control: ShutdownControl,
        *,
        max_in_flight: int,
        limiter: RateLimiter | None,
        on_end: OnEnd,
        outputs: Outputs | None = None,
        accept_second_bill: bool = False,
    ) -> None:
        self._lifecycle = lifecycle
        self._platform = lifecycle.platform
        self._journal = journal
        self._requests = requests
        self._file_changes = FileChangeCheck(journal)
        self._control = control
        self._limiter = limiter
        self._on_end = on_end
        self._outputs = outputs
        self._accept_second_bill = accept_second_bill
        self._slots = asyncio.Semaphore(max_in_flight)
        self._admission = asyncio.Lock()
        self._working: dict[_RowTask, asyncio.Task[None]] = {}
        self._run_times: deque[float] = deque(maxlen=_REMEMBERED)
        self._doubts: SharedErrors[_RowTask] = SharedErrors()
        self._inquiry = Inquiry(self._platform.reopen)
        self._news = _News(on_refusal=self._abandon, on_error=self._fail_all)
        self._ended: Counter[RowState] = Counter()
        self._fatal: OpusError | None = None
        self._orphaned_jobs = self._platform.orphaned_jobs
        self._uploads_saved = self._platform.uploads_reused

    @property
    def terms(self) -> LeaseTerms:
        """As long as the session."""
        return IN_PROCESS

    @property
    def in_flight(self) -> int:
        """Rows that hold a slot."""
        return len(self._working)

    async def capacity(self) -> int:
        """Wait until all rows of the last shard have begun."""
        async with self._admission:
            return SHARD

    async def run(self, shard: Sequence[Row]) -> ShardReport:
        """Run these rows until each has ended, is parked, set aside or released."""
        works: dict[_RowTask, asyncio.Task[None]] = {}
        waiting = deque(shard)
        handed_out = asyncio.get_running_loop().time()
        try:
            async with self._admission:
                while waiting and await self._admitted(waiting[0]):
                    work, task = self._begin(waiting.popleft(), handed_out)
                    works[work] = task
            if works:
                await asyncio.wait(works.values())
        finally:
            for task in works.values():
                task.cancel()
        return self._report([*(work.row for work in works if not work.settled), *waiting])

    async def drain(self, seconds: float) -> int:
        """Release what is not ordered yet and what is far from its end; returns how many rows go on."""
        for work, task in list(self._working.items()):
            far = work.phase is _Phase.RUNNING and not self._ends_within(seconds, work)
            if far or work.phase is _Phase.UNORDERED:
                task.cancel()
        return sum(not task.cancelling() for task in self._working.values())

    async def cancel(self) -> None:
        """Release everything as it stands."""
        for task in self._working.values():
            task.cancel()

    async def conclude(self, *, has_run: bool) -> ShardReport:
        """End the rows in doubt whose trouble was their own, and release the others as they stand."""
        try:
            if self._control.mode is ShutdownMode.RUN:
                common = self._doubts.conclude(has_run=has_run)
                if common is not None:
                    self._fail_all(common)
            await self._end_doubted()
        except LedgerError as error:
            self._fail_all(error)
        return self._report([work.row for work in self._doubts.left()])

    async def close(self) -> ShardReport:
        """Stop reporting; returns what no report has told yet."""
        await self._news.close()
        return self._report(())

    def _report(self, released: Sequence[Row]) -> ShardReport:
        """What happened since the last report."""
        ended, self._ended = self._ended, Counter()
        orphaned, self._orphaned_jobs = self._orphaned_jobs, self._platform.orphaned_jobs
        saved, self._uploads_saved = self._uploads_saved, self._platform.uploads_reused
        return ShardReport(
            ended=ended,
            released=released,
            fatal=self._fatal,
            orphaned_jobs=self._orphaned_jobs - orphaned,
            uploads_saved=self._uploads_saved - saved,
        )

    def _fail_all(self, error: OpusError) -> None:
        """Every row would meet this."""
        self._fatal = self._fatal or error
        self._control.fail_all(error)

    def _abandon(self, work: _RowTask) -> None:
        """The row is another worker's by now, unless it has just ended."""
        if work in self._working and work.phase is not _Phase.ENDING:
            work.settled = True
            self._working[work].cancel()

    async def _admitted(self, row: Row) -> bool:
        """Wait for a slot and a turn, and take the slot; False when nothing more is to begin."""
        await self._slots.acquire()
        try:
            if self._limiter and row.state is RowState.PLANNED and self._control.admitting:
                await self._control.wait_or_shutdown(self._limiter.admit(1))
        except BaseException:
            self._slots.release()
            raise
        if not self._control.admitting:
            self._slots.release()
        return self._control.admitting

    def _begin(self, row: Row, handed_out: float) -> tuple[_RowTask, asyncio.Task[None]]:
        work = _RowTask(
            row,
            self._journal,
            self._news,
            self._check_files,
            self._doubts,
            handed_out=handed_out,
            stages=self._platform.stages,
            generation=self._platform.identity["generation"],
        )
        task = start(f"opus_async row {row.index}", self._work, work)
        self._working[work] = task
        task.add_done_callback(lambda _: self._finished(work))  # also when cancelled before its first step
        return work, task

    def _finished(self, work: _RowTask) -> None:
        del self._working[work]
        self._slots.release()

    async def _check_files(self, row: Row) -> None:
        """Raise InvalidInputs where the files of a row are not what was planned."""
        await self._file_changes.check(self._requests.files(row))

    def _ends_within(self, seconds: float, work: _RowTask) -> bool:
        if work.ordered_at is None or not self._run_times:
            return True  # nothing is known of it: that is for the clock to decide
        age = asyncio.get_running_loop().time() - work.ordered_at
        return median(self._run_times) - age <= seconds

    # One row

    async def _work(self, work: _RowTask) -> None:
        try:
            if work.row.state is RowState.PLANNED:
                ours(await self._journal.begun(work.lease))
            ending = await self._ending(work)
            if ending is not None:
                await self._end(work, ending)
            await self._end_doubted()
        except JobTakenAway:
            log.warning("row %d: it is another worker's by now", work.row.index)
            work.settled = True
        except LedgerError as error:
            work.settled = True  # a ledger that takes nothing need not be told
            self._fail_all(error)

    async def _end(self, work: _RowTask, ending: RowResult) -> None:
        work.phase = _Phase.ENDING
        receipt = await self._journal.finished(work.lease, ending)
        work.settled = True
        if receipt is Receipt.WRITTEN:
            self._ended[ending.state] += 1
            self._on_end(ending)

    async def _end_doubted(self) -> None:
        """End the rows whose trouble turned out to be their own."""
        for work, error in self._doubts.own():
            await self._end(work, self._broken(work, error))

    async def _ending(self, work: _RowTask) -> RowResult | None:
        """How the row ended; None when it rests, is put aside, or the session ends for it."""
        waits = Waits()
        while True:
            try:
                return await self._run(work)
            except (JobTakenAway, LedgerError):
                raise
            except Exception as error:  # noqa: BLE001 - one row's surprise must not end the others
                what = out_of(error)
                if what is None:
                    return await self._judged(work, error)
                failure = error
            if not await self._rested(work, what, failure, waits):
                return None

    async def _rested(self, work: _RowTask, what: str, error: Exception, waits: Waits) -> bool:
        """Wait until this machine may have room again; whether the row is to go on from where it stands."""
        wait = waits.next_wait()
        log.info("row %d: no %s left (%s); again in %s s", work.row.index, what, error, wait)
        if wait is None:
            shortage = error if isinstance(error, OpusError) and error.shortage else _shortage(what)
            self._fail_all(shortage)
            return False
        work.phase = _Phase.RUNNING if work.may_run else _Phase.UNORDERED
        await self._control.wait_or_shutdown(asyncio.sleep(wait))
        return self._control.mode < ShutdownMode.DRAIN

    async def _judged(self, work: _RowTask, error: Exception) -> RowResult | None:
        """How a row ends that met this; None when every row would meet it, or others have to tell."""
        if not isinstance(error, OpusError):
            log.error("row %d: unexpected", work.row.index, exc_info=error)
            surprise = OpusError(
                gapped(f"Unexpected {type(error).__name__}: {{}}. This is a fault of opus_async", error)
            )
            return self._broken(work, surprise)
        if doom := await self._doom_of(error):
            log.warning("row %d: %s", work.row.index, doom)
            self._fail_all(doom)
            return None
        if scope_of(error, self._platform.stages) in _OTHERS_TELL:
            log.warning("row %d: %s; whether others meet it will show", work.row.index, error)
            work.settled = True
            if self._doubts.add(work, error):
                self._fail_all(error)
            return None
        return self._broken(work, error)

    async def _run(self, work: _RowTask) -> RowResult | None:
        try:
            outcome = await self._job(work)
        except Superseded:
            await work.begin_anew()
            outcome = await self._job(work)
        row = work.row
        if isinstance(outcome.error, JobPaused):
            await self._park(work, outcome)
            return None
        if outcome.error is not None and out_of(outcome.error):
            raise outcome.error
        files = await self._fetch(row, outcome)
        if files:
            self._doubts.passed(DOWNLOAD)
        if outcome.error is not None and (doom := await self._doom_of(outcome.error)):
            self._fail_all(doom)  # what it left is fetched when it is resumed
            return None
        self._learn(work)
        if (waited := work.waited()) is not None:
            row = replace(row, timings=add_wait(row.timings, waited))
        return from_outcome(row, outcome, stage=self._platform.stages.collect, files=files)

    async def _job(self, work: _RowTask) -> JobOutcome:
        row = work.row
        past = _past(row, accept_second_bill=self._accept_second_bill)
        request = self._requests.request(row)
        if row.is_new:
            await self._check_files(row)
        return await self._lifecycle.run(
            request, index=row.index, past=past, journal=work, on_paused=WhenPaused.RETURN
        )

    async def _doom_of(self, error: OpusError) -> OpusError | None:
        """What of it would meet every row, as far as can be known now; None if nothing would."""
        for found in (error, error.__cause__):  # why nobody could be asked about an uncertain order, say
            if not isinstance(found, OpusError):
                continue
            scope = scope_of(found, self._platform.stages)
            if scope is Scope.EVERY_ROW or (scope in _ASK and await self._inquiry.refusal()):
                return found
        return None

    def _broken(self, work: _RowTask, error: OpusError) -> RowResult:
        return from_error(
            work.row, error, ordered=work.may_run, stages=self._platform.stages, status=work.status
        )

    async def _fetch(self, row: Row, outcome: JobOutcome) -> tuple[FetchedFile, ...]:
        if self._outputs is None or not outcome.ok:
            return ()
        try:
            return await self._outputs.fetch(row.key, outcome.results)
        except OpusError as error:
            raise error.located(job_id=outcome.job_id) from None

    async def _park(self, work: _RowTask, paused: JobOutcome) -> None:
        work.phase = _Phase.ENDING
        await self._journal.parked(
            work.lease,
            status=str(paused.status),
            look_in=min(max(LOOK_SHARE * (work.waited() or 0.0), LOOK_SOONEST), LOOK_LATEST),
            timings=add_timings(work.row.timings, paused.timings),
        )
        work.settled = True

    def _learn(self, work: _RowTask) -> None:
        if work.ordered_at is not None:
            self._run_times.append(asyncio.get_running_loop().time() - work.ordered_at)


class _RowTask:
    """One row being worked on: the journal of its job, and how far it is."""

    __slots__ = (
        "_check_files",
        "_doubts",
        "_generation",
        "_handed_out",
        "_here",
        "_journal",
        "_news",
        "_stages",
        "_unchecked",
        "may_run",
        "ordered_at",
        "phase",
        "row",
        "settled",
        "status",
    )

    def __init__(
        self,
        row: Row,
        journal: RowJournal,
        news: _News,
        check_files: Callable[[Row], Awaitable[None]],
        doubts: SharedErrors[_RowTask],
        *,
        handed_out: float,
        stages: Stages,
        generation: str,
    ) -> None:
        self.row = row
        """As it stands by now."""
        self.may_run = row.state is not RowState.PLANNED or row.asks_first
        """Whether the order to start may have left, in whatever process."""
        self.ordered_at: float | None = None
        self.phase = _Phase.UNORDERED if row.state is RowState.PLANNED else _Phase.RUNNING
        self.settled = False
        """Whether the ledger knows how it stands, and need not be told that it was given back."""
        self.status = row.status
        self._journal = journal
        self._news = news
        self._check_files = check_files
        self._doubts = doubts
        self._handed_out = handed_out
        self._stages = stages
        self._here = generation
        self._unchecked = row.state is not RowState.PLANNED
        """Whether its files were not looked at since it was handed out."""
        self._generation = row.generation or generation

    @property
    def lease(self) -> RowLease:
        return self.row.held

    def waited(self) -> float | None:
        """Seconds that the row has waited for a person; None when it does not."""
        if self.row.waited is None:
            return None
        return self.row.waited + asyncio.get_running_loop().time() - self._handed_out

    async def job_created(self, remote_id: str) -> None:
        ours(await self._journal.job_created(self.lease, remote_id, self._generation))
        self.row = replace(self.row, remote_id=remote_id, generation=self._generation)
        self._doubts.passed(self._stages.prepare, self._stages.create)

    def job_identified(self, remote_id: str, alias: str) -> None:  # noqa: ARG002 - the journal's signature
        self._news.add(self, partial(self._journal.job_identified, self.lease, alias))
        self.row = replace(self.row, alias=alias)

    async def start_intent(self, remote_id: str) -> None:
        if self._unchecked:  # hours may lie between: what was uploaded is sent again
            await self._check_files(self.row)
        before = self.phase, self.may_run
        self.phase, self.may_run = _Phase.ORDERING, True
        receipt = await self._journal.start_intent(self.lease, remote_id, self._generation)
        if receipt is Receipt.ID_TAKEN:
            self.phase, self.may_run = before
            raise IdTaken(remote_id)
        ours(receipt)
        self.row = replace(self.row, state=RowState.ORDERING, orders=self.row.orders + 1)
        self._doubts.passed(self._stages.prepare)

    async def begin_anew(self) -> None:
        """Its job gave way, and the row is worked on from its request on."""
        if self.row.remote_id is not None:
            await self.job_superseded(self.row.remote_id)
        self._unchecked = False

    async def job_superseded(self, remote_id: str) -> None:  # noqa: ARG002 - the journal's signature
        ours(await self._journal.job_superseded(self.lease))
        self.row = self.row.without_job()
        self._generation, self.status = self._here, None
        self.phase, self.may_run = _Phase.UNORDERED, False

    async def restart_forbidden(
        self,
        remote_id: str,  # noqa: ARG002 - the journal's signature
        doubt: StartDoubt,
    ) -> None:
        ours(await self._journal.restart_forbidden(self.lease, doubt))
        self.row = replace(self.row, start_doubt=doubt)

    async def start_accepted(self, remote_id: str) -> None:  # noqa: ARG002 - the journal's signature
        self.phase = _Phase.RUNNING
        self.ordered_at = asyncio.get_running_loop().time()
        ours(await self._journal.start_accepted(self.lease))
        self.row = replace(self.row, state=RowState.RUNNING)
        self._doubts.passed(self._stages.start)

    def status_seen(self, status: JobStatus) -> None:
        self.status = str(status)
        if not status.is_terminal:  # its end is written a moment later, with all that belongs to it
            self._news.add(self, partial(self._journal.status_seen, self.lease, self.status))


class _News:
    """Tells the journal what polls of jobs show, in a task of its own: who polls jobs waits for nobody.

    Args:
        on_refusal: Called with a row that is another worker's by now.
        on_error: Called when the journal takes nothing more.
    """

    def __init__(
        self, *, on_refusal: Callable[[_RowTask], None], on_error: Callable[[OpusError], None]
    ) -> None:
        self._on_refusal = on_refusal
        self._on_error = on_error
        self._untold: deque[tuple[_RowTask, Callable[[], Awaitable[Receipt]]]] = deque()
        self._telling: asyncio.Task[None] | None = None

    def add(self, work: _RowTask, report: Callable[[], Awaitable[Receipt]]) -> None:
        """Something is to be reported of a row, in the order in which it was seen."""
        self._untold.append((work, report))
        if self._telling is None:
            self._telling = start("opus_async news", self._tell)

    async def close(self) -> None:
        """Tell no more."""
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)

    async def _tell(self) -> None:
        try:
            while self._untold:
                work, report = self._untold.popleft()
                if await report() is Receipt.LEASE_ENDED:
                    self._on_refusal(work)
        except LedgerError as error:
            self._on_error(error)
        finally:
            self._telling = None


def ours(receipt: Receipt) -> None:
    """Raise JobTakenAway where a report was refused because the row is another worker's by now."""
    if receipt is Receipt.LEASE_ENDED:
        raise JobTakenAway


def _shortage(what: str) -> OpusError:
    error = OpusError(f"This machine has no {what} left, and that does not pass: {advice(what)}")
    error.shortage = what
    return error


def _past(row: Row, *, accept_second_bill: bool) -> RecoveredJob:
    retry = None
    if row.asks_first:
        retry = RetryRequest(
            unbilled=row.retried_from in UNBILLED,
            other_inputs=row.other_inputs,
            accept_second_bill=accept_second_bill,
        )
    ordered = row.state is not RowState.PLANNED or row.asks_first
    known_to_run = row.state in {RowState.RUNNING, RowState.WAITING} or row.status is not None
    return RecoveredJob(
        remote_id=row.remote_id,
        alias=row.alias,
        starts_sent=max(row.orders, 1) if ordered else 0,
        start_accepted=ordered and known_to_run,
        made_elsewhere=row.elsewhere,
        retry=retry,
        doubt=row.start_doubt,
    )
