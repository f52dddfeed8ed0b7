"""What a batch needs of others, in the words of ``platform.py``.

One machine is one :class:`ShardRunner`, one file is one :class:`Ledger`. A shared database or a cluster
engine can take their place without a change to the runner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from opus_async.batch.rows import NewRow, Row, RowResult, RowState
from opus_async.batch.world import NO_WORLD
from opus_async.config import Limits, RetryPolicy
from opus_async.events import Listener
from opus_async.jobs.lifecycle import Lifecycle
from opus_async.metrics.counts import Counts
from opus_async.metrics.samples import Sample
from opus_async.platform import Cache, StartDoubt


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What became of rows that were planned.

    Attributes:
        new: Rows the ledger did not know.
        known: Rows it knew, unchanged.
        replanned: Rows it knew that had nothing ordered yet and ask for something else now.
        changed: Keys of rows that were ordered or have ended, and whose content is another now: they keep
            what they have. At most the first hundred.
        changed_count: How many they are.
        repeated: ``(key, index)`` of rows identical to an earlier one, which got ``~n``; the first hundred.
        repeated_count: How many they are.
        withdrawn: Rows that are not in the manifest any more and had nothing ordered: taken out. This and
            the next are only told when planning ends.
        missing: Rows that were in the manifest at the last plan, are not any more, and have run, or may have:
            they stay.
        edited: New rows with the very cells of one that is missing and has run, or may have: the same row
            with other contents of its files. Only told when planning ends.
    """

    new: int = 0
    known: int = 0
    replanned: int = 0
    changed: tuple[str, ...] = ()
    changed_count: int = 0
    repeated: tuple[tuple[str, int], ...] = ()
    repeated_count: int = 0
    withdrawn: int = 0
    missing: int = 0
    edited: int = 0


class Ledger(Protocol):
    """The only memory of a batch. What is awaited is durable when it returns; what is not may be lost.

    Every method may raise :class:`opus_async.errors.LedgerError` (a full disk, a broken file): then nothing
    more may be ordered.
    """

    @property
    def memory(self) -> Cache:
        """What the platform prepared in this batch, in whatever process."""

    def now(self) -> float:
        """Seconds since the epoch, by a clock that does not jump within a session."""

    async def begin_plan(self) -> None:
        """From here on rows are planned; those that do not come before :meth:`end_plan` are withdrawn.

        Nothing of it is durable, and nothing is handed out, until either :meth:`confirm_plan` or
        :meth:`abandon_plan` has returned. To close the ledger abandons it.
        """

    async def plan(self, rows: Sequence[NewRow]) -> None:
        """Take up rows of the manifest. Planning the same row twice over is harmless."""

    async def end_plan(self) -> Planned:
        """The manifest has ended; nothing is confirmed yet."""

    async def confirm_plan(self, **facts: Any) -> None:
        """Make the plan durable, and these facts of the batch with it: all of it, or nothing."""

    async def abandon_plan(self) -> None:
        """Leave everything as it was before :meth:`begin_plan`, the counts included."""

    async def recall_files(self, paths: Sequence[str]) -> Mapping[str, tuple[int, int, int, str]]:
        """Path -> size, mtime in ns, inode and SHA-256 in hex of files that were read for a plan."""

    def keep_file(self, path: str, size: int, mtime_ns: int, inode: int, sha256: str) -> None:
        """Remember what a file held."""

    async def begin_session(self, settings: Mapping[str, Any], *, world: Mapping[str, Any] = NO_WORLD) -> int:
        """A process begins to work on the batch; returns the session's number.

        Args:
            settings: How the work is done.
            world: Where jobs are made; see :mod:`opus_async.batch.world`.
        """

    async def end_session(
        self, *, ended_because: str, exit_code: int, stray_shells: int, uploads_saved: int
    ) -> None:
        """It stops."""

    async def take(self, count: int) -> Sequence[Row]:
        """Lease rows to be worked on; empty when there is none just now.

        First those that may run already (ordering, running, unknown ones whose job is known), then rows
        parked whose next look is due, then planned ones in manifest order. A row is handed out once in a
        session, a parked one once for each look.
        """

    def next_look(self) -> float | None:
        """Seconds until a parked row is due; None when none is parked."""

    def release(self, row: Row, *, timings: Mapping[str, float] | None = None) -> None:
        """Give a row back as it stands, for a later session."""

    def begun(self, row: Row) -> None:
        """A planned row was taken up."""

    def created(self, row: Row, remote_id: str, generation: str) -> None:
        """A shell exists. Losing this costs a stray shell and no bill."""

    def identified(self, row: Row, alias: str) -> None:
        """The platform gave its job a second id. Losing this costs that it is learned once more."""

    async def ordering(self, row: Row, remote_id: str, generation: str) -> None:
        """The order to start is about to leave.

        Raises:
            IdTaken: The ledger has this id already, for another row or for a job that gave way to a new one:
                nothing was written.
        """

    def gave_way(self, row: Row) -> None:
        """Its job is done with, and a new one is to be made. Losing this costs that it is asked once more."""

    def doubted(self, row: Row, doubt: StartDoubt) -> None:
        """Something was learned of the start of its job that forbids another order."""

    def ordered(self, row: Row) -> None:
        """The platform has accepted it."""

    def seen(self, row: Row, status: str) -> None:
        """The platform shows another status than before."""

    async def park(self, row: Row, *, status: str, look_in: float, timings: Mapping[str, float]) -> None:
        """It waits for a person; look at it again after so many seconds."""

    async def end(self, row: Row, ending: RowResult) -> None:
        """It has ended. A completed row's line is in ``results.jsonl``, once, when this returns."""

    def sample(self, sample: Sample) -> None:
        """Keep how the session stands."""

    def counts(self) -> Counts:
        """How many rows are in each state, what is not durable yet included."""

    async def retry(self, states: Sequence[RowState]) -> int:
        """Plan rows of these states anew; returns how many. Each keeps its job, to be asked first."""

    async def close(self) -> None:
        """Write what is left and let others in."""


class RateLimiter(Protocol):
    """Says when the next rows may start. A shared one can lease its tokens in blocks."""

    async def admit(self, rows: int) -> None:
        """Wait until so many rows may start."""


class ShardRunner(Protocol):
    """Runs rows: on this machine, or somewhere else."""

    async def room(self) -> int:
        """Wait until there is room for rows; returns for how many."""

    async def run(self, shard: Sequence[Row]) -> None:
        """Run these rows until each has ended, is parked, or was given back to the ledger.

        One row never raises for its own sake.
        """

    def drain(self) -> int:
        """Give back what is not ordered yet or far from its end; returns how many rows go on."""

    def leave(self) -> None:
        """Give everything back as it stands, at once."""

    async def conclude(self) -> None:
        """No more rows come: end, or give back, what was put aside until others told more."""


class Client(Protocol):
    """What a platform's client offers to a batch."""

    @property
    def limits(self) -> Limits:
        """How much happens at once: told where it limits a batch."""

    @property
    def asked_limits(self) -> Limits:
        """How much was asked for, whatever this machine allows: kept in the ledger."""

    @property
    def retry(self) -> RetryPolicy:
        """What happens when a request fails: kept in the ledger."""

    def listening(self, listener: Listener) -> AbstractContextManager[None]:
        """Tell this listener events for as long as the block lasts."""

    def lifecycle(
        self,
        workflow_id: str,
        *,
        memory: Cache | None = None,
        version_number: int | None = None,
        version_id: str | None = None,
    ) -> Lifecycle[Any, Any]:
        """How a job of this workflow runs; ``lifecycle.platform`` is its platform.

        A version is that of every row that names none.
        """
