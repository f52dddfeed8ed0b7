"""What a batch needs of others, in the words of ``platform.py``, split by who calls.

The driver, one process, plans and hands out rows: :class:`BatchStore` and :class:`RowQueue`. Workers run
them, in the driver or in processes anywhere: a :class:`ShardRunner` brings rows to a worker, and the worker
reports through a :class:`RowJournal`. What passes between them is plain and can be pickled.

A worker holds its rows by a lease, which has an owner, an epoch and perhaps an end. What is reported under a
lease that has ended is refused, and its rows are handed out again as they stand.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from opus_async.batch.meta import BatchMeta
from opus_async.batch.rows import NewRow, Row, RowLease, RowResult, RowState
from opus_async.batch.world import NO_WORLD, Job, Strangers
from opus_async.config import Limits, RetryPolicy
from opus_async.errors import OpusError
from opus_async.events import Listener
from opus_async.jobs.lifecycle import Lifecycle
from opus_async.manifests.file_digests import FileSignature
from opus_async.metrics.counts import Counts
from opus_async.metrics.event_counts import EventCounts
from opus_async.metrics.samples import Sample
from opus_async.platform import Cache, StartDoubt

# Planning, sessions, decisions: the driver


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
    """The memory of a batch, as planning and sessions use it. What is awaited is durable when it returns.

    Every method may raise :class:`opus_async.errors.LedgerError` (a full disk, a broken file): then nothing
    more may be ordered.
    """

    @property
    def meta(self) -> BatchMeta:
        """What is known of the batch as a whole."""

    async def set_facts(self, **facts: Any) -> None:
        """Add facts, or replace them."""

    async def begin_plan(self) -> None:
        """From here on rows are planned; those that do not come before :meth:`end_plan` are withdrawn.

        Nothing of it is durable, and nothing is handed out, until either :meth:`confirm_plan` or
        :meth:`abandon_plan` has returned. To close the store abandons it.
        """

    async def plan(self, rows: Sequence[NewRow]) -> None:
        """Take up rows of the manifest. Planning the same row twice over is harmless."""

    async def end_plan(self) -> Planned:
        """The manifest has ended; nothing is confirmed yet."""

    async def confirm_plan(self, **facts: Any) -> None:
        """Make the plan durable, and these facts of the batch with it: all of it, or nothing."""

    async def abandon_plan(self) -> None:
        """Leave everything as it was before :meth:`begin_plan`, the counts included."""

    async def publish(self) -> None:
        """Make a new batch one that can be resumed. No session begins before."""

    async def recall_files(self, paths: Sequence[str]) -> Mapping[str, FileSignature]:
        """Path -> what is known of files that were read for a plan."""

    def keep_file(self, path: str, size: int, mtime_ns: int, inode: int, sha256: str) -> None:
        """Remember what a file held."""

    async def strangers(
        self, world: Mapping[str, Any], *, retried: Sequence[RowState] = ()
    ) -> Sequence[Strangers]:
        """Rows whose jobs are to be asked about, and are not known where that world is."""

    async def leave_strangers(self, world: Mapping[str, Any]) -> None:
        """Give rows that are to be tried again new jobs, where the old ones cannot be asked in that world."""

    async def doubt_again(self) -> None:
        """Leave rows to a person that only run because a second bill was accepted, some other time."""

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
        """Settle unknown rows, as a person has found out; returns how many."""

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

    def sample(self, sample: Sample) -> None:
        """Keep how the session stands."""

    def counts(self) -> Counts:
        """How many rows are in each state, what is not durable yet included."""

    async def close(self) -> None:
        """Write what is left and let others in."""


# Rows, handed out: the driver


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTerms:
    """How a worker holds the rows that are handed to it.

    Attributes:
        owner: Names the worker.
        seconds: After which its lease ends if it is not renewed; None: it lasts as long as the session.
        settle_after: Seconds for which an order to start may still be on its way when a lease has ended,
            because the worker was told that it may leave. For so long nobody looks whether it was obeyed.
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
        """Let a worker hold rows from now on."""

    def renew(self, lease: WorkerLease) -> bool:
        """The worker is there: its lease lasts as long again from now. False when it has ended already."""

    async def revoke(self, lease: WorkerLease) -> int:
        """End a lease: its worker is gone, or seems to be. Returns how many rows are handed out again.

        Nothing that is reported under it counts from here on. Its rows come back as they stand: one whose
        order may have left is looked at before anything else.
        """

    async def lease(self, count: int, worker: WorkerLease) -> Sequence[Row]:
        """Hand out rows to be worked on; empty when there is none just now.

        First those that come back from leases that have ended, then those that may run already (ordering,
        running, unknown ones whose job is known), then rows parked whose next look is due, then planned ones
        in manifest order. But for the first, a row is handed out once in a session, a parked one once for
        each look.

        Raises:
            LeaseEnded: The worker's lease has.
        """

    def release(self, row: Row) -> None:
        """A row is not worked on any more, and stays as it stands for a later session."""

    def next_due(self) -> float | None:
        """Seconds until a row can be handed out that cannot now; None when none will be."""

    def counts(self) -> Counts:
        """How many rows are in each state, what is not durable yet included."""


# What happens to rows: a worker, anywhere


class Receipt(enum.Enum):
    """What becomes of a worker's report."""

    WRITTEN = "written"
    LEASE_ENDED = "lease_ended"
    """Refused: the row is not this worker's any more, and nothing more is to be done for it."""
    ID_TAKEN = "id_taken"
    """Refused: the ledger has this id of a job already, for another row or one that gave way to a new one."""


class RowJournal(Protocol):
    """Told by a worker of every step of its rows. What is refused changes nothing.

    ``start_intent``, ``parked`` and ``finished`` are durable when they return; what the others say is written
    soon, and may be lost. Each may raise :class:`opus_async.errors.LedgerError`: then nothing more may be
    ordered.
    """

    @property
    def cache(self) -> Cache:
        """What the platform prepared in this batch, in whatever process."""

    async def known_files(self, paths: Sequence[str]) -> Mapping[str, FileSignature]:
        """Path -> what files were when the batch was planned; nothing for those that are not known."""

    async def begun(self, lease: RowLease) -> Receipt:
        """A planned row was taken up."""

    async def job_created(self, lease: RowLease, remote_id: str, generation: str) -> Receipt:
        """A job exists that is not started. Losing this costs a job without a bill."""

    async def start_intent(self, lease: RowLease, remote_id: str, generation: str) -> Receipt:
        """The order to start is about to leave: it may when this has returned ``WRITTEN``, and soon."""

    async def job_identified(self, lease: RowLease, alias: str) -> Receipt:
        """The platform gave its job a second id. Losing this costs that it is learned once more."""

    async def job_superseded(self, lease: RowLease) -> Receipt:
        """Its job is done with, and a new one is to be made. Losing this costs that it is asked once more."""

    async def restart_forbidden(self, lease: RowLease, doubt: StartDoubt) -> Receipt:
        """Something was learned of the start of its job that forbids another order."""

    async def start_accepted(self, lease: RowLease) -> Receipt:
        """The platform has accepted it."""

    async def status_seen(self, lease: RowLease, status: str) -> Receipt:
        """The platform shows another status than before."""

    async def parked(
        self, lease: RowLease, *, status: str, look_in: float, timings: Mapping[str, float]
    ) -> Receipt:
        """It waits for a person; look at it again after so many seconds. The lease of the row ends."""

    async def finished(self, lease: RowLease, result: RowResult) -> Receipt:
        """It has ended. A completed row's line is in ``results.jsonl``, once, when this returns."""


# Workers: the driver


class RateLimiter(Protocol):
    """Says when the next rows may start. A shared one can lease its tokens in blocks."""

    async def admit(self, rows: int) -> None:
        """Wait until so many rows may start."""


NO_EVENTS = EventCounts()


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardReport:
    """What happened at a worker since its last report; reports add up.

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
        """No more rows come: end, or release, what was set aside until others told more.

        Args:
            has_run: Whether a row of the batch has ever completed.
        """

    async def close(self) -> ShardReport:
        """Let go of everything; returns what no report has told yet."""


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
