"""Leases rows from the queue and hands them to a shard runner, until none is left or the session ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from opus_async.batch.ports import LeaseEnded, RowQueue, ShardReport, ShardRunner, WorkerLease
from opus_async.batch.rows import RowResult, RowState
from opus_async.errors import LedgerError
from opus_async.exits import Exit
from opus_async.jobs.halt import Halt
from opus_async.jobs.shutdown import HaltReached, Reason, ShutdownControl, ShutdownMode, StopKind
from opus_async.tasks import start

RECHECK_QUEUE = 1.0
"""Seconds after which the queue is asked again while rows are at work: one of them may have been parked."""


class FailureCounter:
    """Counts rows of a session that failed, and halts it when the policy says so.

    Args:
        halt: The policy.
        control: Told when it is reached.
    """

    def __init__(self, halt: Halt, control: ShutdownControl) -> None:
        self.ended = 0
        self.failed = 0
        self._halt = halt
        self._control = control

    def __call__(self, ending: RowResult) -> None:
        """A row has ended."""
        self.ended += 1
        if ending.state is RowState.COMPLETED:
            return
        self.failed += 1
        if self._control.admitting and self._halt.reached(failed=self.failed, ended=self.ended):
            pace = ShutdownMode.CANCEL if self._halt.when == "now" else ShutdownMode.STOP_ADMITTING
            reached = HaltReached(self._halt, self.failed, self.ended)
            self._control.end(pace, Reason(StopKind.TOO_MANY_FAILURES, Exit.HALTED, halt=reached))


class Runner:
    """Runs what is left of a batch on one shard runner.

    Args:
        queue: Hands out rows.
        shards: Runs them.
        control: Ends it early.
        on_drain: Told how many rows are waited for, once the rest was released.
        on_report: Told what happened in each shard.
    """

    def __init__(
        self,
        queue: RowQueue,
        shards: ShardRunner,
        control: ShutdownControl,
        *,
        on_drain: Callable[[int], None],
        on_report: Callable[[ShardReport], None],
    ) -> None:
        self._queue = queue
        self._shards = shards
        self._control = control
        self._on_drain = on_drain
        self._on_report = on_report
        self._lease: WorkerLease
        self._running: dict[asyncio.Task[ShardReport], WorkerLease] = {}

    async def run(self) -> None:
        """Run until no row is left, or until the control lets none begin and all have come to rest."""
        self._lease = await self._queue.grant(self._shards.terms)
        propagating = start("opus_async shutdown", self._propagate)
        try:
            await self._admit()
            while self._running:
                await self._one_ended(None)
            has_run = self._queue.counts().completed > 0
            self._take(await self._shards.conclude(has_run=has_run))
        finally:
            propagating.cancel()
            for task in self._running:
                task.cancel()
            await asyncio.gather(propagating, *self._running, return_exceptions=True)

    async def _admit(self) -> None:
        while self._control.admitting:
            room = await self._shards.capacity()
            await self._take_ended()  # the lease of a worker that was lost meanwhile is revoked
            try:
                rows = await self._queue.lease(room, self._lease)
            except LeaseEnded:
                await self._shards.cancel()
                self._lease = await self._queue.grant(self._shards.terms)
                continue
            except LedgerError as error:
                self._control.fail_all(error)
                return
            due = self._queue.next_due()
            if rows:
                self._running[start("opus_async shard", self._shards.run, rows)] = self._lease
            elif not self._running and due is None:
                return
            else:
                await self._one_ended(min(due or RECHECK_QUEUE, RECHECK_QUEUE))

    async def _one_ended(self, seconds: float | None) -> None:
        """Wait until a shard has ended, the pace has risen, or so many seconds have passed."""
        rising = start("opus_async control", self._control.changed)
        try:
            await asyncio.wait({rising, *self._running}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            rising.cancel()
        await self._take_ended()

    async def _take_ended(self) -> None:
        """Read the reports of shards that have ended."""
        for task in [task for task in self._running if task.done()]:
            lease = self._running.pop(task)
            report = task.result()  # a shard raises nothing but a bug of ours
            if report.lost and lease == self._lease:  # the first shard of a worker that is gone tells
                await self._queue.revoke(lease)
                self._lease = await self._queue.grant(self._shards.terms)
            self._take(report)

    def _take(self, report: ShardReport) -> None:
        for row in report.released:
            self._queue.release(row)
        if report.fatal is not None:
            self._control.fail_all(report.fatal)
        self._on_report(report)

    async def _propagate(self) -> None:
        """Tell the shard runner that the session is to end, and how fast."""
        control = self._control
        while True:
            pace = control.mode
            if pace is ShutdownMode.DRAIN:
                self._on_drain(await self._shards.drain(control.drain_seconds))
                if control.mode is pace:
                    await control.wait_or_shutdown(asyncio.sleep(control.drain_seconds))
                await self._shards.cancel()
            elif pace is ShutdownMode.CANCEL:
                await self._shards.cancel()
            if control.mode is pace:
                await control.changed()
