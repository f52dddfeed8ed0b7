"""The memory of a batch as planning, sessions and decisions use it: the port of the driver to its ledger."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from opus_async.batch.meta import BatchMeta
from opus_async.batch.rows import NewRow, RowState
from opus_async.batch.world import NO_WORLD, Job, Strangers
from opus_async.manifests.file_digests import FileSignature
from opus_async.metrics.counts import Counts
from opus_async.metrics.samples import Sample


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


Ask = Callable[[Sequence[Job]], Awaitable[Mapping[str, str]]]
"""From jobs of rows to the keys of those that were started, each with how that shows."""


class BatchStore(Protocol):
    """The durable state of a batch. What is awaited is on the disk when it returns.

    Every method may raise :class:`opus_async.errors.LedgerError` (a full disk, a broken file): then nothing
    more may be ordered.
    """

    @property
    def meta(self) -> BatchMeta:
        """Facts of the batch as a whole."""

    async def set_facts(self, **facts: Any) -> None:
        """Add facts, or replace them."""

    async def begin_plan(self) -> None:
        """Begin a plan; rows that do not come before :meth:`end_plan` are withdrawn.

        Nothing of it is durable, and nothing is handed out, until either :meth:`confirm_plan` or
        :meth:`abandon_plan` has returned. To close the store abandons it.
        """

    async def plan(self, rows: Sequence[NewRow]) -> None:
        """Plan rows of the manifest. Planning the same row twice over is harmless."""

    async def end_plan(self) -> Planned:
        """End the plan, which is not confirmed yet; returns what became of the rows."""

    async def confirm_plan(self, **facts: Any) -> None:
        """Make the plan durable, and these facts of the batch with it: all of it, or nothing."""

    async def abandon_plan(self) -> None:
        """Leave everything as it was before :meth:`begin_plan`, the counts included."""

    async def publish(self) -> None:
        """Make a new batch one that can be resumed; no session begins before."""

    async def recall_files(self, paths: Sequence[str]) -> Mapping[str, FileSignature]:
        """Path -> signature of files that were read for a plan."""

    def keep_file(self, path: str, size: int, mtime_ns: int, inode: int, sha256: str) -> None:
        """Record the digest of a file, and its size, modification time and inode at that moment."""

    async def strangers(
        self, world: Mapping[str, Any], *, retried: Sequence[RowState] = ()
    ) -> Sequence[Strangers]:
        """Rows whose jobs are to be asked about, and are unknown where that world is."""

    async def leave_strangers(self, world: Mapping[str, Any]) -> None:
        """Give rows that are tried again new jobs where the old ones cannot be asked in that world."""

    async def doubt_again(self) -> None:
        """Plan rows as unknown again that only run because an earlier command accepted a second bill."""

    async def retry(self, states: Sequence[RowState]) -> int:
        """Plan rows of these states anew; returns how many. Each keeps its job, to be asked first."""

    async def resolve(
        self,
        decision: str,
        *,
        keys: Sequence[str] | None = None,
        accept_second_bill: bool = False,
        ask: Ask | None = None,
    ) -> int:
        """Settle unknown rows as a person has decided; returns how many."""

    async def begin_session(
        self, settings: Mapping[str, Any], *, world: Mapping[str, Any] = NO_WORLD, limit: int | None = None
    ) -> int:
        """Begin a session of this process; returns its number.

        Args:
            settings: How the work is done.
            world: Where jobs are made; see :mod:`opus_async.batch.world`.
            limit: Planned rows that the queue hands out in this session, at most, in the order of the
                manifest; None for all of them.
        """

    async def end_session(
        self, *, ended_because: str, exit_code: int, stray_shells: int, uploads_saved: int
    ) -> None:
        """Record how the session ended."""

    def sample(self, sample: Sample) -> None:
        """Record how the session stands, for the charts of the report."""

    def counts(self) -> Counts:
        """How many rows are in each state, what is not durable yet included."""

    async def close(self) -> None:
        """Write what is left, and release the batch to other processes."""
