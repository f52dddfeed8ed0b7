"""The shard runner of one machine: rows side by side in this event loop, each in a slot of its own.

A row has a task until its job is watched, and another when that has ended. Ten thousand jobs that run on the
platform are so many small objects, as in :mod:`opus_async.jobs.worker_pool`.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

from opus_async.batch.ports import IN_PROCESS, LeaseTerms, RateLimiter, Receipt, RowJournal, ShardReport
from opus_async.batch.rows import Row, RowResult, RowState
from opus_async.batch.running.observation_reports import ObservationReports
from opus_async.batch.running.output_files import Outputs
from opus_async.batch.running.requests import RequestFactory
from opus_async.batch.running.row_runner import RowRunner
from opus_async.batch.running.row_task import Phase, RowTask, require_lease
from opus_async.errors import LedgerError, OpusError
from opus_async.jobs.job_run import JobRun
from opus_async.jobs.lifecycle import Lifecycle
from opus_async.jobs.pausing import OnPaused, PausedJob, WhenPaused
from opus_async.jobs.shared_errors import SharedErrors
from opus_async.jobs.shutdown import ShutdownControl, ShutdownMode
from opus_async.jobs.worker_pool import BEGUN_AT_ONCE
from opus_async.platform import JobTakenAway
from opus_async.tasks import start

log = logging.getLogger("opus_async.batch")

SHARD = 128
"""Rows leased at once: few enough to give back quickly, enough for one look into the ledger to pay."""


OnEnd = Callable[[RowResult], None]


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
        until_ordered: Whether rows are given back once their jobs are ordered.
        on_paused: What follows when a job waits for a person.
        tell_paused: Called with each job whose row is parked for that, unless it was before.
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
        until_ordered: bool = False,
        on_paused: OnPaused = WhenPaused.RETURN,
        tell_paused: Callable[[PausedJob], None] = lambda _: None,
    ) -> None:
        self._lifecycle = lifecycle
        self._platform = lifecycle.platform
        self._journal = journal
        self._control = control
        self._limiter = limiter
        self._on_end = on_end
        self._slots = asyncio.Semaphore(max_in_flight)
        self._begun = asyncio.Semaphore(min(BEGUN_AT_ONCE, max_in_flight))
        self._admission = asyncio.Lock()
        self._context = contextvars.copy_context()
        """What is gone on with runs in a copy of it, and not in that of whoever polled."""
        self._running: dict[RowTask, _Shard] = {}
        self._watched: dict[JobRun, RowTask] = {}
        """Rows without a task, by the runs of their jobs: a callback for each would be three objects more."""
        self._when_ready = self._can_go_on
        self._at_work: dict[asyncio.Task[None], RowTask] = {}
        """Rows with a task, by their tasks, for the same reason."""
        self._when_begun, self._when_worked = self._has_begun, self._has_worked
        self._suspects: SharedErrors[RowTask] = SharedErrors()
        self._reports: ObservationReports[RowTask] = ObservationReports(
            on_refusal=self._abandon, on_error=self._fail_all
        )
        self._rows = RowRunner(
            lifecycle,
            journal,
            requests,
            control,
            suspects=self._suspects,
            fail_all=self._fail_all,
            outputs=outputs,
            accept_second_bill=accept_second_bill,
            until_ordered=until_ordered,
            on_paused=on_paused,
            tell_paused=tell_paused,
        )
        self._check_files = self._rows.check_files
        self._ended: Counter[RowState] = Counter()
        self._fatal: OpusError | None = None
        self._orphaned_jobs = self._platform.orphaned_jobs
        self._uploads_saved = self._platform.uploads_reused

    @property
    def terms(self) -> LeaseTerms:
        """How rows are held: as long as the session lasts."""
        return IN_PROCESS

    @property
    def in_flight(self) -> int:
        """Rows that hold a slot."""
        return len(self._running)

    async def capacity(self) -> int:
        """Wait until all rows of the last shard have begun."""
        async with self._admission:
            return SHARD

    async def run(self, shard: Sequence[Row]) -> ShardReport:
        """Run these rows until each has ended, is parked, set aside or released."""
        rows = _Shard()
        waiting = deque(shard)
        handed_out = asyncio.get_running_loop().time()
        try:
            async with self._admission:
                while waiting and await self._admitted(waiting[0]):
                    self._begin(waiting.popleft(), rows, handed_out)
            await rows.until_over()
        finally:
            for task in rows.begun:
                self._stop(task)
        return self._report([*(task.row for task in rows.begun if not task.settled), *waiting])

    async def drain(self, seconds: float) -> int:
        """Release what is not ordered yet and what is far from its end; returns how many rows go on."""
        for task in list(self._running):
            far = task.phase is Phase.RUNNING and not self._rows.ends_within(seconds, task)
            if far or task.phase is Phase.UNORDERED:
                self._stop(task)
        return sum(task.working is None or not task.working.cancelling() for task in self._running)

    async def cancel(self) -> None:
        """Release everything as it stands."""
        for task in list(self._running):
            self._stop(task)

    async def conclude(self, *, has_run: bool) -> ShardReport:
        """End the rows in doubt whose trouble was their own, and release the others as they stand."""
        try:
            if self._control.mode is ShutdownMode.RUN:
                await self._rows.ask_stores()
                common = self._suspects.conclude(has_run=has_run)
                if common is not None:
                    self._fail_all(common)
            await self._end_cleared()
        except LedgerError as error:
            self._fail_all(error)
        return self._report([task.row for task in self._suspects.left()])

    async def close(self) -> ShardReport:
        """Stop reporting; returns what no report has told yet."""
        await self._reports.close()
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
        """End the session for what every row would meet."""
        self._fatal = self._fatal or error
        self._control.fail_all(error)

    def _abandon(self, task: RowTask) -> None:
        """Stop working on a row that is another worker's by now, unless it has just ended."""
        if task in self._running and task.phase is not Phase.ENDING:
            task.settled = True
            self._stop(task)

    # Slots

    async def _admitted(self, row: Row) -> bool:
        """Wait for a slot and a turn, and take the slot; False when nothing more is to begin."""
        await self._slots.acquire()
        try:
            await self._begun.acquire()
            try:
                if self._limiter and row.state is RowState.PLANNED and self._control.admitting:
                    await self._control.wait_or_shutdown(self._limiter.admit(1))
            except BaseException:
                self._begun.release()
                raise
        except BaseException:
            self._slots.release()
            raise
        if not self._control.admitting:
            self._begun.release()
            self._slots.release()
        return self._control.admitting

    def _begin(self, row: Row, shard: _Shard, handed_out: float) -> None:
        task = RowTask(
            row,
            self._journal,
            self._reports,
            self._check_files,
            self._suspects,
            handed_out=handed_out,
            stages=self._platform.stages,
            generation=self._platform.identity["generation"],
        )
        self._running[task] = shard
        shard.begun.append(task)
        self._start(task, self._when_begun)

    def _start(self, task: RowTask, then: Callable[[asyncio.Task[None]], None]) -> None:
        task.working = working = start(f"opus_async row {task.index}", self._work, task)
        self._at_work[working] = task
        # Also when cancelled before its first step. Without a context given, it would make a copy of one.
        working.add_done_callback(then, context=self._context)

    def _has_begun(self, working: asyncio.Task[None]) -> None:
        self._begun.release()
        self._has_worked(working)

    def _has_worked(self, working: asyncio.Task[None]) -> None:
        task = self._at_work.pop(working)
        if task.working is working:
            self._over(task)

    def _suspend(self, task: RowTask, run: JobRun) -> None:
        """Keep no task of a row while its job is watched."""
        task.working, task.watched = None, run
        self._watched[run] = task
        run.when_ready(self._when_ready)

    def _can_go_on(self, run: JobRun) -> None:
        task = self._watched.pop(run, None)
        if task is not None:
            self._context.run(self._start, task, self._when_worked)

    def _stop(self, task: RowTask) -> None:
        """Work no more on a row; what is not settled is released as it stands."""
        if task.working is not None:
            task.working.cancel()
        elif task in self._running:
            self._over(task)

    def _over(self, task: RowTask) -> None:
        """Free the slot of a row that nothing works on any more."""
        run, task.watched = task.watched, None
        if run is not None:
            self._watched.pop(run, None)
            self._lifecycle.leave(run)
        self._slots.release()
        self._running.pop(task).over()

    # One row

    async def _work(self, task: RowTask) -> None:
        try:
            if task.phase is Phase.UNORDERED:
                require_lease(await self._journal.begun(task.lease))
            come_to = await self._rows.run(task)
            if isinstance(come_to, JobRun):
                self._suspend(task, come_to)
                return
            if come_to is not None:
                await self._end(task, come_to)
            await self._end_cleared()
        except JobTakenAway:
            log.warning("row %d: it is another worker's by now", task.index)
            task.settled = True
        except LedgerError as error:
            task.settled = True  # a ledger that takes nothing need not be told
            self._fail_all(error)

    async def _end(self, task: RowTask, result: RowResult) -> None:
        task.phase = Phase.ENDING
        receipt = await self._journal.finished(task.lease, result)
        task.settled = True
        if receipt is Receipt.WRITTEN:
            self._ended[result.state] += 1
            self._on_end(result)

    async def _end_cleared(self) -> None:
        """End the rows whose trouble turned out to be their own."""
        for task, error in self._suspects.own():
            await self._end(task, self._rows.failed(task, error))


class _Shard:
    """The rows of one shard that were begun, and how many of them are not over.

    Attributes:
        begun: The rows.
    """

    def __init__(self) -> None:
        self.begun: list[RowTask] = []
        self._over = 0
        self._changed = asyncio.Event()

    def over(self) -> None:
        """One of them is over."""
        self._over += 1
        if self._over == len(self.begun):
            self._changed.set()

    async def until_over(self) -> None:
        """Wait until none is at work; no more is begun."""
        while self._over < len(self.begun):
            self._changed.clear()
            await self._changed.wait()
