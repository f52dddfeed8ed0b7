"""Rows handed out to workers under leases: the port of the driver to its queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from opus_async.batch.rows import Row
from opus_async.metrics.counts import Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTerms:
    """How a worker holds the rows that are handed to it.

    Attributes:
        owner: Names the worker.
        seconds: After which its lease ends if it is not renewed; None: it lasts as long as the session.
        settle_after: Seconds for which an order to start may still be on its way when a lease has ended,
            because the worker was told that it may leave. For so long nobody looks whether it took effect.
    """

    owner: str
    seconds: float | None = None
    settle_after: float = 0.0


IN_PROCESS = LeaseTerms(owner="local")
"""Of a worker in the driver's own process: they die together."""


@dataclass(frozen=True, slots=True)
class WorkerLease:
    """A lease that was granted to a worker; its rows carry owner and epoch.

    Attributes:
        owner: The worker.
        epoch: Higher than that of any lease before, in this session or an earlier one.
    """

    owner: str
    epoch: int


class LeaseEnded(Exception):
    """Raised where rows are asked for under a lease that has ended: another one is to be granted.

    Attributes:
        lease: Which.
    """

    def __init__(self, lease: WorkerLease) -> None:
        super().__init__(lease)
        self.lease = lease


class RowQueue(Protocol):
    """Hands out the rows of one session. May raise :class:`opus_async.errors.LedgerError` like the store."""

    async def grant(self, terms: LeaseTerms) -> WorkerLease:
        """Grant a worker a lease, by which it may hold rows."""

    def renew(self, lease: WorkerLease) -> bool:
        """Renew a lease: it lasts as long again from now. False when it has ended already."""

    async def revoke(self, lease: WorkerLease) -> int:
        """End a lease whose worker is gone, or seems to be; returns how many rows are handed out again.

        Nothing that is reported under it counts from here on. Its rows come back as they stand: one whose
        order may have left is looked at before anything else.
        """

    async def lease(self, count: int, worker: WorkerLease) -> Sequence[Row]:
        """Lease rows to a worker; empty when none can be handed out just now.

        First those that come back from leases that have ended, then those that may run already (ordering,
        running, unknown ones whose job is known), then rows parked whose next poll is due, then planned ones
        in manifest order. But for the first, a row is handed out once in a session, a parked one once for
        each poll.

        Raises:
            LeaseEnded: The worker's lease has.
        """

    def release(self, row: Row) -> None:
        """Give a row back as it stands, for a later session."""

    def next_due(self) -> float | None:
        """Seconds until a row can be handed out that cannot now; None when none will be."""

    def counts(self) -> Counts:
        """How many rows are in each state, what is not durable yet included."""
