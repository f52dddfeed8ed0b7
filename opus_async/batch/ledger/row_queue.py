"""Rows handed out to workers under leases; see :class:`opus_async.batch.ports.RowQueue`.

The writer thread decides which rows come next (:mod:`.work_queue`); the event loop knows who holds which
(:mod:`.leases`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from opus_async.batch.ledger import sessions
from opus_async.batch.ledger.clock import SteadyClock
from opus_async.batch.ledger.journal import SqliteJournal
from opus_async.batch.ledger.work_queue import Taken, WorkQueue
from opus_async.batch.ledger.writer import Writer
from opus_async.batch.ports import LeaseEnded, LeaseTerms, WorkerLease
from opus_async.batch.rows import Row, RowLease
from opus_async.metrics.counts import Counts


class SqliteRowQueue:
    """Hands out the rows of a ledger, session by session.

    Args:
        writer: Of the ledger.
        clock: What time it is.
        journal: Knows the leases of the present session, and when the next parked row is due.
        counts: Tells how many rows are in each state.
        refuse: Raises RuntimeError while a plan is open: then no row may be handed out.
    """

    def __init__(
        self,
        writer: Writer,
        clock: SteadyClock,
        journal: SqliteJournal,
        *,
        counts: Callable[[], Counts],
        refuse: Callable[[], None],
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._journal = journal
        self._counts = counts
        self._refuse = refuse
        self._rows: WorkQueue
        self._ready: deque[Row] = deque()
        """Rows that were taken for a worker who was cancelled: they go to the next."""

    def begin_session(self, rows: WorkQueue) -> None:
        """Hand out the rows of a new session from here on; the journal has begun it."""
        self._rows = rows
        self._ready.clear()

    async def grant(self, terms: LeaseTerms) -> WorkerLease:
        """Let a worker hold rows from now on. How long it may act on what it was told is durable first."""
        if terms.settle_after:
            await self._writer.call(partial(sessions.keep_settle_after, terms.settle_after))
        return self._journal.leases.grant(terms)

    def renew(self, lease: WorkerLease) -> bool:
        """Let a worker's lease last as long again from now; False when it has ended."""
        return self._journal.leases.renew(lease)

    async def revoke(self, lease: WorkerLease) -> int:
        """End a lease; returns how many rows are handed out again."""
        return self._journal.leases.revoke(lease)

    async def lease(self, count: int, worker: WorkerLease) -> Sequence[Row]:
        """Hand out rows to be worked on; empty when there is none just now."""
        self._refuse()
        leases = self._journal.leases
        if not leases.is_valid(worker.epoch):
            raise LeaseEnded(worker)
        wanted = count - len(self._ready)
        if wanted > 0:
            returned = leases.returned(wanted)
            await self._writer.call(
                partial(self._rows.take, wanted, self._clock.now(), worker, returned), self._taken
            )
        rows = [self._ready.popleft() for _ in range(min(count, len(self._ready)))]
        rows = [
            row
            if row.held.epoch == worker.epoch
            else replace(row, lease=RowLease(row.id, worker.owner, worker.epoch))
            for row in rows
        ]
        for row in rows:
            leases.hold(row)
        return rows

    def _taken(self, taken: Taken) -> None:
        """Keep rows for the next who asks: the one who did may have been cancelled."""
        self._ready.extend(taken.rows)
        self._journal.set_next_poll(taken.next_poll)

    def next_due(self) -> float | None:
        """Seconds until a row can be handed out that cannot now; None when none will be."""
        times = [
            time for time in (self._journal.next_poll, self._journal.leases.next_return()) if time is not None
        ]
        return max(0.0, min(times) - self._clock.now()) if times else None

    def release(self, row: Row) -> None:
        """Give a row back, as it stands, for a later session."""
        self._journal.leases.let_go(row.held)

    def counts(self) -> Counts:
        """How many rows are in each state, what is not durable yet included."""
        return self._counts()
