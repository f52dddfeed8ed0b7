"""What runs rows, in this process or elsewhere: the port of the driver to its workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from opus_async.batch.ports.queue import LeaseTerms
from opus_async.batch.rows import Row, RowState
from opus_async.errors import OpusError
from opus_async.metrics.event_counts import EventCounts


class RateLimiter(Protocol):
    """Says when the next rows may start. A shared one can lease its tokens in blocks."""

    async def admit(self, rows: int) -> None:
        """Wait until so many rows may start."""


NO_EVENTS = EventCounts()


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardReport:
    """What happened at a worker since its last report; reports can be added.

    Attributes:
        ended: State -> rows that ended in it.
        released: Rows of the shard that were given back as they stand.
        fatal: What every row would meet; None when nothing of the kind was seen.
        lost: Whether the worker is gone: its lease is to be revoked.
        orphaned_jobs: Jobs made and never started: no bill.
        uploads_saved: Files that needed no upload, because the same content was there.
        events: What was counted there of requests, retries and bytes. Nothing where the session's own
            listener has seen them.
    """

    ended: Mapping[RowState, int] = field(default_factory=dict)
    released: Sequence[Row] = ()
    fatal: OpusError | None = None
    lost: bool = False
    orphaned_jobs: int = 0
    uploads_saved: int = 0
    events: EventCounts = NO_EVENTS

    def __add__(self, other: ShardReport) -> ShardReport:
        return ShardReport(
            ended=Counter(self.ended) + Counter(other.ended),
            released=(*self.released, *other.released),
            fatal=self.fatal or other.fatal,
            lost=self.lost or other.lost,
            orphaned_jobs=self.orphaned_jobs + other.orphaned_jobs,
            uploads_saved=self.uploads_saved + other.uploads_saved,
            events=self.events + other.events,
        )


class ShardRunner(Protocol):
    """Runs rows: on this machine, or somewhere else. Begins none once the session admits none."""

    @property
    def terms(self) -> LeaseTerms:
        """How its worker holds rows."""

    @property
    def in_flight(self) -> int:
        """Rows at work."""

    async def capacity(self) -> int:
        """Wait until there is room for rows; returns for how many."""

    async def run(self, shard: Sequence[Row]) -> ShardReport:
        """Run these rows until each has ended, is parked, set aside or released; or until the worker is lost.

        One row never raises for its own sake.
        """

    async def drain(self, seconds: float) -> int:
        """Release what is not ordered yet, or not near its end; returns how many rows go on.

        Args:
            seconds: How long those that go on are waited for.
        """

    async def cancel(self) -> None:
        """Release everything as it stands, at once."""

    async def conclude(self, *, has_run: bool) -> ShardReport:
        """End, or release, the rows that were set aside until others told more: no more rows come.

        Args:
            has_run: Whether a row of the batch has ever completed.
        """

    async def close(self) -> ShardReport:
        """Stop the workers; returns what no report has told yet."""
