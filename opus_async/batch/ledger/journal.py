"""Records what workers report of their rows; see :class:`opus_async.batch.ports.RowJournal`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

from opus_async.batch.ledger import key_value, transitions
from opus_async.batch.ledger.clock import SteadyClock
from opus_async.batch.ledger.key_value import FileFacts
from opus_async.batch.ledger.leases import HeldRow, LeaseTable
from opus_async.batch.ledger.result_recording import record
from opus_async.batch.ledger.store import Claim, Store
from opus_async.batch.ledger.transitions import SessionWorld, Step, When
from opus_async.batch.ledger.writer import Work, Writer
from opus_async.batch.ports import Receipt
from opus_async.batch.rows import Row, RowLease, RowResult, RowState
from opus_async.errors import LedgerError
from opus_async.models import JobStatus
from opus_async.platform import IdTaken, StartDoubt

AT_ONCE = 500
"""Rows, or files, in one operation: more would hold the interpreter for so long that the loop notices."""
_NOT_KNOWN_TO_RUN = frozenset({RowState.PLANNED, RowState.ORDERING, RowState.UNKNOWN})

WriteIntent: TypeAlias = Callable[[Row, str, str], Awaitable[None]]
"""Makes durable that the order to start a row's job is about to leave, and returns; raises IdTaken."""


class SqliteJournal:
    """Writes the steps of rows that are held by a valid lease, and refuses the others.

    Args:
        writer: Of the ledger.
        clock: What time it is.
        counts: Rows in each state, kept up to date.
        write_intent: Called for every order that is about to leave.

    Attributes:
        cache: See :class:`opus_async.platform.Cache`.
        leases: Who holds which row in the present session.
    """

    def __init__(
        self, writer: Writer, clock: SteadyClock, counts: Counter[RowState], write_intent: WriteIntent
    ) -> None:
        self.cache = SqliteCache(writer, clock)
        self.leases: LeaseTable
        self._writer = writer
        self._clock = clock
        self._counts = counts
        self._write_intent = write_intent
        self._here: SessionWorld
        self._session: int | None = None
        self._next_poll: float | None = None

    # The session

    def begin_session(self, number: int, here: SessionWorld, next_poll: float | None) -> None:
        """Record steps for this session from here on."""
        self._session, self._here, self._next_poll = number, here, next_poll
        self.leases = LeaseTable(number, self._clock.now)

    def end_session(self) -> None:
        """Record steps for no session from here on."""
        self._session = None

    def when(self) -> When:
        """The time, and the present session."""
        return When(self._clock.now(), self._session)

    @property
    def next_poll(self) -> float | None:
        """When the next parked row is due to be polled; None when none is parked."""
        return self._next_poll

    def set_next_poll(self, next_poll: float | None) -> None:
        """Note when the next parked row is due, now that some were handed out."""
        self._next_poll = next_poll

    # What a worker reports

    async def known_files(self, paths: Sequence[str]) -> Mapping[str, FileFacts]:
        """Path -> size, mtime in ns, inode and SHA-256, as kept; what is not known is left out."""
        found: dict[str, FileFacts] = {}
        for start in range(0, len(paths), AT_ONCE):
            chunk = paths[start : start + AT_ONCE]
            found |= await self._writer.call(partial(key_value.recall_files, chunk), batchable=True)
        return found

    async def some_files(self, beginning: str, at_most: int, *, inside: bool = True) -> Sequence[str]:
        """Paths of known files that begin with a text, at random, or do not; no more than so many."""
        work = partial(key_value.some_files, beginning, at_most, inside)
        return await self._writer.call(work, batchable=True)

    async def begun(self, lease: RowLease) -> Receipt:
        """Record that a planned row was started."""
        if not self.leases.held_by(lease):
            return Receipt.LEASE_ENDED
        return self._write(transitions.begun(lease.row, self.when()))

    async def job_created(self, lease: RowLease, remote_id: str, generation: str) -> Receipt:
        """Record that a job exists that is not started."""
        if not self.leases.held_by(lease):
            return Receipt.LEASE_ENDED
        return self._write(transitions.job_created(lease.row, remote_id, generation, self._here))

    async def start_intent(self, lease: RowLease, remote_id: str, generation: str) -> Receipt:
        """Record, durably, that the order to start is about to leave."""
        held = self.leases.held_by(lease)
        if not held:
            return Receipt.LEASE_ENDED
        try:
            await self._write_intent(held.row, remote_id, generation)
        except IdTaken:
            return Receipt.ID_TAKEN
        # If the lease ended meanwhile: the intent is durable, and who holds the row next asks its job first.
        return Receipt.WRITTEN if self.leases.held_by(lease) else Receipt.LEASE_ENDED

    async def write_intent(self, row: Row, remote_id: str, generation: str) -> None:
        """Make durable that the order to start is about to leave.

        Raises:
            IdTaken: The id is another job's: nothing was written.
        """
        held = self._held(row.held)
        step = transitions.start_intent(row.id, self.when(), remote_id, generation, self._here)
        intent = _Intent(step, held, held.state, self)
        await self._move(held, RowState.ORDERING, intent, intent.settle)
        if intent.refused:
            raise IdTaken(remote_id)

    async def job_identified(self, lease: RowLease, alias: str) -> Receipt:
        """Record a second id of the job."""
        if not self.leases.held_by(lease):
            return Receipt.LEASE_ENDED
        return self._write(transitions.job_identified(lease.row, alias))

    async def job_superseded(self, lease: RowLease) -> Receipt:
        """Record that the job gave way to a new one, to be made."""
        held = self.leases.held_by(lease)
        if not held:
            return Receipt.LEASE_ENDED
        self.stand(held, RowState.PLANNED)
        return self._write(transitions.job_superseded(lease.row, self.when()))

    async def second_start_forbidden(self, lease: RowLease, doubt: StartDoubt) -> Receipt:
        """Record what forbids another order to start this job."""
        if not self.leases.held_by(lease):
            return Receipt.LEASE_ENDED
        return self._write(transitions.second_start_forbidden(lease.row, doubt))

    async def start_accepted(self, lease: RowLease) -> Receipt:
        """Record that the platform accepted the order, in this session or an earlier one."""
        held = self.leases.held_by(lease)
        if not held:
            return Receipt.LEASE_ENDED
        if held.state not in _NOT_KNOWN_TO_RUN:
            return Receipt.WRITTEN  # it is known to run
        self.stand(held, RowState.RUNNING)
        return self._write(transitions.start_accepted(lease.row, self.when()))

    async def status_seen(self, lease: RowLease, status: str) -> Receipt:
        """Record a new status of the job; a row that was parked, and waits no more, is running."""
        held = self.leases.held_by(lease)
        if not held:
            return Receipt.LEASE_ENDED
        if held.state is RowState.WAITING and status != JobStatus.WAITING:
            self.stand(held, RowState.RUNNING)
            return self._write(transitions.unparked(lease.row, self.when(), status))
        return self._write(transitions.status_seen(lease.row, status))

    async def parked(
        self, lease: RowLease, *, status: str, poll_in: float, timings: Mapping[str, float]
    ) -> Receipt:
        """Record, durably, that the row waits for a person, and is to be polled after so many seconds."""
        held = self.leases.held_by(lease)
        if not held:
            return Receipt.LEASE_ENDED
        when = self.when()
        poll_at = when.at + poll_in
        again = held.state is RowState.WAITING
        step = transitions.parked(lease.row, when, status, timings, poll_at, again=again)
        self.leases.drop(held)
        await self._move(
            held, RowState.WAITING, partial(Store.step, step=step), lambda _: self._poll_by(poll_at)
        )
        return Receipt.WRITTEN

    async def finished(self, lease: RowLease, result: RowResult) -> Receipt:
        """Record, durably, how the row ended; a completed row's line is in ``results.jsonl`` then, once."""
        held = self.leases.held_by(lease)
        if not held:
            return Receipt.LEASE_ENDED
        self.leases.drop(held)
        await self._move(held, result.state, partial(record, lease.row, self.when(), result))
        return Receipt.WRITTEN

    # How

    def _held(self, lease: RowLease) -> HeldRow:
        held = self.leases.held_by(lease)
        assert held is not None  # noqa: S101 - whoever calls has looked
        return held

    def _write(self, step: Step) -> Receipt:
        self._writer.append(step)
        return Receipt.WRITTEN

    async def _move(
        self,
        held: HeldRow,
        state: RowState,
        work: Work[None],
        deliver: Callable[[None], None] | None = None,
    ) -> None:
        before = held.state
        self.stand(held, state)
        try:
            await self._writer.call(work, deliver, batchable=True)
        except LedgerError:
            self.stand(held, before)
            raise

    def stand(self, held: HeldRow, state: RowState) -> None:
        """Note how a row stands now."""
        self._counts[held.state] -= 1
        self._counts[state] += 1
        held.state = state

    def _poll_by(self, poll_at: float) -> None:
        if self._next_poll is None or poll_at < self._next_poll:
            self._next_poll = poll_at


class _Intent(Claim):
    """An order to start that is about to leave, until it is durable; one object, as hundreds wait.

    Args:
        step: What is written of it.
        held: The row.
        before: How that stood.
        journal: Told how it stands where the order is refused.
    """

    __slots__ = ("_before", "_held", "_journal", "_step")

    def __init__(self, step: Step, held: HeldRow, before: RowState, journal: SqliteJournal) -> None:
        super().__init__()
        self._step, self._held, self._before, self._journal = step, held, before, journal

    def __call__(self, store: Store) -> None:
        """Add it to the group of the store, as the writer has it done."""
        store.step(self._step, self)

    def settle(self, _: None) -> None:
        """Note how the row stands if the order was refused, whether or not anybody waits for that."""
        if self.refused:
            self._journal.stand(self._held, self._before)


class SqliteCache:
    """What the platform prepared, kept in the ledger; see :class:`opus_async.platform.Cache`."""

    def __init__(self, writer: Writer, clock: SteadyClock) -> None:
        self._writer = writer
        self._clock = clock

    async def get(self, name: str) -> str | None:
        """The value of a name; None if there is none."""
        return await self._writer.call(partial(key_value.get, name), batchable=True)

    def put(self, name: str, value: str) -> None:
        """Store a value under a name."""
        self._writer.submit(partial(key_value.put, name, value, self._clock.now()))
