"""From the ledger to the shard runner: shards of rows, until none is left or the session is to end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from opus_async.batch.ports import Ledger, ShardRunner
from opus_async.batch.rows import Row, RowResult, RowState
from opus_async.errors import LedgerError
from opus_async.exits import Exit
from opus_async.jobs.halt import Halt
from opus_async.jobs.shutdown import HaltReached, Reason, ShutdownControl, ShutdownMode, StopKind
from opus_async.tasks import start

LOOK_AGAIN = 1.0
"""Seconds after which the ledger is asked again while rows are at work: one of them may have been parked."""


class FailureCounter:
    """Counts how the rows of this session end, and halts it when the policy says so.

    Args:
        halt: The policy.
        control: Told when it is reached.
    """

    def __init__(self, halt: Halt, control: ShutdownControl) -> None:
        self.ended = 0
        self.failed = 0
        self._halt = halt
        self._control = control

    def __call__(self, row: Row, ending: RowResult) -> None:  # noqa: ARG002 - what is told of every end
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
    """Runs what is left of a batch.

    Args:
        ledger: Hands out rows.
        shards: Runs them.
        control: Ends it early.
        on_drain: Told how many rows are waited for, once the rest was given back.
    """

    def __init__(
        self,
        ledger: Ledger,
        shards: ShardRunner,
        control: ShutdownControl,
        *,
        on_drain: Callable[[int], None],
    ) -> None:
        self._ledger = ledger
        self._shards = shards
        self._control = control
        self._on_drain = on_drain
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Run until no row is left, or until the control lets none begin and all have come to rest."""
        heeding = start("opus_async heed", self._heed)
        try:
            await self._admit()
            while self._running:
                await self._one_ended(None)
            await self._shards.conclude()
        finally:
            heeding.cancel()
            for task in self._running:
                task.cancel()
            await asyncio.gather(heeding, *self._running, return_exceptions=True)

    async def _admit(self) -> None:
        while self._control.admitting:
            room = await self._shards.room()
            try:
                rows = await self._ledger.take(room)
            except LedgerError as error:
                self._control.fail_all(error)
                return
            if rows:
                self._running.add(start("opus_async shard", self._shards.run, rows))
            elif not self._running and self._ledger.next_look() is None:
                return
            else:
                await self._one_ended(min(self._ledger.next_look() or LOOK_AGAIN, LOOK_AGAIN))

    async def _one_ended(self, seconds: float | None) -> None:
        """Wait until a shard has ended, the pace has risen, or so many seconds have passed."""
        rising = start("opus_async control", self._control.changed)
        try:
            done, _ = await asyncio.wait(
                {rising, *self._running}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            rising.cancel()
        for task in done - {rising}:
            self._running.discard(task)
            task.result()  # a shard raises nothing but a bug of ours

    async def _heed(self) -> None:
        """Hand a rising pace on to the shards."""
        while True:
            if self._control.pace is ShutdownMode.DRAIN:
                self._on_drain(self._shards.drain())
                await self._control.wait_or_shutdown(asyncio.sleep(self._control.drain_seconds))
                self._shards.leave()
            elif self._control.pace is ShutdownMode.CANCEL:
                self._shards.leave()
            await self._control.changed()
