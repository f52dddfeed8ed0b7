"""Which worker holds which row, by what lease, and how the row stands. In the memory of the driver.

Leases need not outlive it: only the process that has locked the batch hands out rows, and its death ends all
that it granted. What a worker of a dead driver reports to the next one is refused, because epochs rise from
session to session. One thing does outlive it, and is in the ledger: how long an order may be on its way that
such a worker was told to send (``settle_after`` of a session).
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from opus_async.batch.ports import LeaseTerms, WorkerLease
from opus_async.batch.rows import Row, RowLease, RowState

_EPOCHS = 1 << 32
"""In one session."""


@dataclass(slots=True)
class Grant:
    """A lease that was granted to a worker, and has not been taken back.

    Attributes:
        terms: How it holds rows.
        until: When it ends; None for not before the session does.
    """

    terms: LeaseTerms
    until: float | None


@dataclass(slots=True, eq=False)
class HeldRow:
    """A row that a worker holds.

    Attributes:
        row: As it was handed out.
        state: How it stands now.
        grant: By what the worker holds it.
    """

    row: Row
    state: RowState
    grant: Grant


class LeaseTable:
    """The leases of one session, and the rows that are held by them.

    Args:
        session: Its number.
        now: The time, in seconds; never goes back.
    """

    def __init__(self, session: int, now: Callable[[], float]) -> None:
        self._now = now
        self._epochs = itertools.count(session * _EPOCHS)
        self._granted: dict[int, Grant] = {}
        self._held: dict[int, HeldRow] = {}
        self._returned: list[tuple[float, int]] = []
        """When rows of leases that have ended may be handed out again, and their numbers: a heap."""

    def grant(self, terms: LeaseTerms) -> WorkerLease:
        """Grant a lease to a worker."""
        lease = WorkerLease(terms.owner, next(self._epochs))
        self._granted[lease.epoch] = Grant(terms, self._end_of(terms))
        return lease

    def is_valid(self, epoch: int) -> bool:
        """Whether a lease has not ended."""
        grant = self._granted.get(epoch)
        return grant is not None and self._lasts(grant)

    def renew(self, lease: WorkerLease) -> bool:
        """Renew a lease: it lasts as long again from now. False when it has ended."""
        if not self.is_valid(lease.epoch):
            return False
        grant = self._granted[lease.epoch]
        grant.until = self._end_of(grant.terms)
        return True

    def revoke(self, lease: WorkerLease) -> int:
        """End a lease, whose rows can be handed out again; returns how many they are."""
        return self._end(lease.epoch)

    def hold(self, row: Row) -> None:
        """Note that a row was handed out, under the lease it carries."""
        self._held[row.id] = HeldRow(row, row.state, self._granted[row.held.epoch])

    def held_by(self, lease: RowLease) -> HeldRow | None:
        """The row that is held by this lease; None when it is not, or not any more."""
        held = self._held.get(lease.row)
        if held is None:
            return None
        ours = held.row.lease
        if ours is not lease and ours != lease:  # in one process it is the very same, most often
            return None
        until = held.grant.until
        return held if until is None or self._now() < until else None

    def let_go(self, lease: RowLease) -> None:
        """Give back the row that is held by this lease, if it is."""
        if held := self.held_by(lease):
            self.drop(held)

    def drop(self, held: HeldRow) -> None:
        """Give back a row that is held."""
        del self._held[held.row.id]

    def returned(self, count: int) -> list[int]:
        """Numbers of rows, so many at most, that come back from leases that have ended."""
        for epoch in [epoch for epoch in self._granted if not self.is_valid(epoch)]:
            self._end(epoch)
        rows: list[int] = []
        while self._returned and len(rows) < count and self._returned[0][0] <= self._now():
            rows.append(heapq.heappop(self._returned)[1])
        return rows

    def hold_back(self, row: int, seconds: float) -> None:
        """Hand a row out again, but not before so many seconds have passed."""
        heapq.heappush(self._returned, (self._now() + seconds, row))

    def next_return(self) -> float | None:
        """When rows come back next, or may; None when none will without being released or revoked."""
        times = [self._returned[0][0]] if self._returned else []
        times += self._ends()
        return min(times, default=None)

    def _ends(self) -> Iterator[float]:
        """When leases end that have rows."""
        ends = {epoch: grant.until for epoch, grant in self._granted.items() if grant.until is not None}
        if ends:
            holding = {held.row.held.epoch for held in self._held.values() if held.grant.until is not None}
            yield from (until for epoch, until in ends.items() if epoch in holding)

    def _lasts(self, grant: Grant) -> bool:
        return grant.until is None or self._now() < grant.until

    def _end_of(self, terms: LeaseTerms) -> float | None:
        return None if terms.seconds is None else self._now() + terms.seconds

    def _end(self, epoch: int) -> int:
        grant = self._granted.pop(epoch, None)
        if grant is None:
            return 0
        rows = [held for held in self._held.values() if held.row.held.epoch == epoch]
        for held in rows:
            del self._held[held.row.id]
            uncertain = held.state is RowState.ORDERING
            self.hold_back(held.row.id, grant.terms.settle_after if uncertain else 0.0)
        return len(rows)
