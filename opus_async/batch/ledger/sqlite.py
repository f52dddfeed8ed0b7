"""The ledger as planning, sessions and decisions use it; see :class:`opus_async.batch.ports.BatchStore`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from opus_async.batch.choices import DECISIONS
from opus_async.batch.ledger import decisions, key_value, sessions, work_queue, worlds
from opus_async.batch.ledger.clock import SteadyClock
from opus_async.batch.ledger.evidence import UNFINISHED
from opus_async.batch.ledger.filesystem import TypeOf, type_of
from opus_async.batch.ledger.journal import AT_ONCE, SqliteJournal
from opus_async.batch.ledger.key_value import FileFacts
from opus_async.batch.ledger.opening import create, reopen
from opus_async.batch.ledger.planning import Planning
from opus_async.batch.ledger.row_queue import SqliteRowQueue
from opus_async.batch.ledger.sessions import SessionEnd
from opus_async.batch.ledger.store import Store
from opus_async.batch.ledger.transitions import SessionWorld
from opus_async.batch.ledger.work_queue import WorkQueue
from opus_async.batch.ledger.writer import Writer
from opus_async.batch.meta import BatchMeta
from opus_async.batch.ports import Ask, Planned
from opus_async.batch.rows import NewRow, Row, RowState
from opus_async.batch.world import NO_WORLD, Strangers
from opus_async.errors import LedgerError
from opus_async.metrics.counts import Counts
from opus_async.metrics.samples import Sample


class SqliteLedger:
    """A batch directory, open for writing by this process alone; made by :meth:`create` or :meth:`open`.

    It is the batch's :class:`opus_async.batch.ports.BatchStore`. Belongs to the event loop it was made in.

    Attributes:
        queue: Hands out rows.
        journal: What workers report to.
        results_lost: Completed rows whose lines were missing from ``results.jsonl`` when it was opened: they
            are running again, and a session fetches what their jobs left, without a new bill.
        at_home: Whether this is no copy, or one that was accepted: a copy orders nothing that is new.
        accepted: What was found to contradict the ledger when it was opened, and gone on with all the same.
        proved: Rows that are completed because of their lines, although the ledger did not know of it.
    """

    def __init__(self, writer: Writer, store: Store, clock: SteadyClock) -> None:
        self.results_lost = store.agreed.lost
        self.at_home = store.at_home
        self.accepted = tuple(store.accepted)
        self.proved = store.agreed.proved
        self._writer = writer
        self._clock = clock
        self._facts: dict[str, Any] = dict(store.facts)
        self._counts = Counter(store.counts)
        self._published = store.published
        self._planning: _OpenPlan | None = None
        self._session: int | None = None
        self.journal = SqliteJournal(writer, clock, self._counts, self._intend)
        self.queue = SqliteRowQueue(
            writer, clock, self.journal, counts=self.counts, refuse=self._refuse_while_planning
        )

    @classmethod
    async def create(
        cls,
        directory: Path,
        facts: Mapping[str, Any],
        *,
        clock: SteadyClock | None = None,
        file_system: TypeOf = type_of,
    ) -> SqliteLedger:
        """Create a ledger. Until it is published, rows are planned into it, and no session begins.

        Args:
            directory: Made if it is not there.
            facts: What is known of the batch, as JSON can hold it and without secrets.
            clock: What time it is.
            file_system: Tells the type of the file system of a folder.

        Raises:
            ManifestError: The directory holds a batch already, or the results of one.
            LedgerBusy: Another process works on it.
            LedgerError: It cannot be used; the message says what to do.
        """
        clock = clock or SteadyClock()
        opening = partial(create, directory, facts, at=clock.now(), file_system=file_system)
        return cls(*await Writer.start(opening), clock)

    @classmethod
    async def open(
        cls,
        directory: Path,
        *,
        clock: SteadyClock | None = None,
        file_system: TypeOf = type_of,
        accept_second_bill: bool = False,
        orders: Collection[RowState] = UNFINISHED,
    ) -> SqliteLedger:
        """Open the ledger of a directory, after whatever end of the processes that had it before.

        Lines of ``results.jsonl`` that a crash kept from the ledger complete their rows; the beginning of one
        is cut off. When the file is shorter than the ledger says, the rows whose lines are gone are running
        again; see ``results_lost``.

        Args:
            directory: Of the batch.
            clock: What time it is.
            file_system: Tells the type of the file system of a folder.
            accept_second_bill: Whether to go on although the ledger may not know of all that was ordered.
            orders: States of rows that may be ordered from here on: a copy must not order them, too.

        Raises:
            LedgerDoubtful: What lies beside the ledger contradicts it, or it is a copy; nothing was changed.
            LedgerBusy: Another process works on it.
            LedgerError: There is no ledger, or it cannot be used; the message says what to do.
        """
        clock = clock or SteadyClock()
        opening = partial(
            reopen,
            directory,
            at=clock.now(),
            file_system=file_system,
            accept_second_bill=accept_second_bill,
            orders=orders,
        )
        return cls(*await Writer.start(opening), clock)

    async def publish(self) -> None:
        """Give a new ledger its name: from here on the batch can be resumed."""
        self._refuse_while_planning()
        await self._writer.call(Store.publish, exclusive=True)
        self._published = True

    async def close(self) -> None:
        """Write what is left, and release the directory. A ledger that was never published is removed.

        A plan that was not confirmed is abandoned.
        """
        try:
            await self._writer.close()
        finally:
            self._planning_abandoned()

    def now(self) -> float:
        """Seconds since the epoch, by a clock that does not jump within a session."""
        return self._clock.now()

    def counts(self) -> Counts:
        """How many rows are in each state, what is not durable yet included."""
        return Counts(**{state.value: self._counts[state] for state in RowState})

    async def row(self, key: str) -> Row | None:
        """A row as it stands; None if there is none of this key. It is not leased."""
        return await self._writer.call(partial(work_queue.by_key, key))

    # Facts

    @property
    def facts(self) -> Mapping[str, Any]:
        """The facts of the batch, by name."""
        return MappingProxyType(self._facts)

    @property
    def meta(self) -> BatchMeta:
        """These facts, typed."""
        return BatchMeta.of(self._facts)

    async def set_facts(self, **facts: Any) -> None:
        """Add facts, or replace them."""
        texts = {name: json.dumps(value) for name, value in facts.items()}
        await self._writer.call(partial(key_value.keep_facts, texts), lambda _: self._facts.update(facts))

    async def recall_files(self, paths: Sequence[str]) -> Mapping[str, FileFacts]:
        """Path -> size, mtime in ns, inode and SHA-256, as kept; what is not known is left out."""
        return await self.journal.known_files(paths)

    def keep_file(self, path: str, size: int, mtime_ns: int, inode: int, sha256: str) -> None:
        """Store the digest of a file, and its size, modification time and inode at that moment."""
        self._writer.submit(partial(key_value.keep_file, path, (size, mtime_ns, inode, sha256)))

    # Planning

    async def begin_plan(self) -> None:
        """Begin a plan, of which nothing is durable before :meth:`confirm_plan`."""
        self._refuse_while_planning()
        if self._session is not None:
            raise RuntimeError("end_session() comes first: what happens to its rows must be durable")

        def begin(store: Store) -> Planning:
            store.begin_long()
            return Planning(store)

        await self._writer.call(begin, self._planning_begun, exclusive=True)

    def _planning_begun(self, planning: Planning) -> None:
        self._planning = _OpenPlan(planning, self._counts.copy(), self._facts.copy())

    async def plan(self, rows: Sequence[NewRow]) -> None:
        """Plan rows of the manifest.

        Raises:
            ManifestError: A key was given to rows that ask for different things; the planning is to be
                abandoned.
        """
        planning = self._open_planning()
        for start in range(0, len(rows), AT_ONCE):
            chunk = rows[start : start + AT_ONCE]
            await self._writer.call(partial(planning.add_rows, chunk, self.now()), self._counts.update)

    async def end_plan(self) -> Planned:
        """End the plan: rows that did not come and were never ordered are removed, once it is confirmed."""
        planning = self._open_planning()
        planned, _ = await self._writer.call(planning.end, lambda ended: self._counts.update(ended[1]))
        return planned

    async def confirm_plan(self, **facts: Any) -> None:
        """Make the plan durable, and these facts with it: all of it, or nothing."""
        self._open_planning()
        texts = {name: json.dumps(value) for name, value in facts.items()}

        def confirm(store: Store) -> None:
            key_value.keep_facts(texts, store)
            store.commit_long()

        def confirmed(_: None) -> None:
            self._planning = None
            self._facts.update(facts)

        await self._writer.call(confirm, confirmed, exclusive=True)

    async def abandon_plan(self) -> None:
        """Leave everything as it was before :meth:`begin_plan`; harmless when no plan is open."""
        try:
            await self._writer.call(Store.rollback_long, self._planning_abandoned, exclusive=True)
        except LedgerError:
            self._planning_abandoned()
            raise

    def _planning_abandoned(self, _: None = None) -> None:
        if self._planning is not None:
            self._counts.clear()
            self._counts.update(self._planning.counts)
            self._facts = self._planning.facts
            self._planning = None

    def _open_planning(self) -> Planning:
        if self._planning is None:
            raise RuntimeError("begin_plan() comes first")
        return self._planning.planning

    def _refuse_while_planning(self) -> None:
        if self._planning is not None:
            raise RuntimeError("confirm_plan() or abandon_plan() comes first: nothing else is durable")

    async def retry(self, states: Sequence[RowState]) -> int:
        """Plan rows of these states anew; a session that runs already does not see them.

        A job that was ordered stays with its row, and is asked first.

        Args:
            states: Of ``FAILED``, ``CANCELLED``, ``TIMED_OUT`` and ``UNKNOWN``: a new job for an unknown row
                can be a second bill.

        Returns:
            How many rows they are.
        """
        if wrong := set(states) - decisions.RETRIED:
            raise ValueError(f"rows that are {', '.join(sorted(wrong))} cannot be tried again")
        change = await self._writer.call(
            partial(decisions.retry, states, self.journal.when()), self._counts.update
        )
        return change[RowState.PLANNED]

    async def doubt_again(self) -> None:
        """Plan rows as unknown again that only run because an earlier command accepted a second bill."""
        await self._writer.call(partial(decisions.doubt_again, self.now()), self._counts.update)

    # Where jobs were made

    async def strangers(
        self, world: Mapping[str, Any], *, retried: Sequence[RowState] = ()
    ) -> Sequence[Strangers]:
        """Rows whose jobs are to be asked about, and are unknown where that world is.

        Args:
            world: See :mod:`opus_async.batch.world`.
            retried: States whose rows are to be tried again.
        """
        return await self._writer.call(partial(worlds.strangers, world, retried))

    async def leave_strangers(self, world: Mapping[str, Any]) -> None:
        """Give rows that are tried again new jobs where the old ones cannot be asked in that world."""
        await self._writer.call(partial(worlds.leave_strangers, world, self.journal.when()))

    # Decisions

    async def resolve(
        self,
        decision: str,
        *,
        keys: Sequence[str] | None = None,
        accept_second_bill: bool = False,
        ask: Ask | None = None,
    ) -> int:
        """Settle unknown rows as a person has decided.

        Args:
            decision: ``done`` (it is completed; its line of ``results.jsonl`` has no outputs), ``failed``, or
                ``retry`` (it is planned anew, and its job is asked first).
            keys: Of the rows; None for all that are unknown.
            accept_second_bill: Whether rows whose job is known to have been started may be settled as
                ``failed`` (such rows are tried again without a question) or ``retry``.
            ask: Tells which of these rows, by key and job, the platform shows as started, and how; None to
                go by what the ledger shows.

        Returns:
            How many rows were settled.

        Raises:
            ManifestError: A key is not in the ledger, or its row is not unknown, or its job was started: then
                none is settled.
        """
        if decision not in DECISIONS:
            raise ValueError(f"{decision!r} is none of {', '.join(DECISIONS)}")
        rows = await self._writer.call(partial(decisions.unknown_rows, keys))
        if decision != "done" and not accept_second_bill:
            started: Mapping[str, str] = await self._writer.call(partial(decisions.started, rows))
            if ask is not None and not started:
                started = await ask(await self._writer.call(partial(worlds.jobs_of, rows)))
            decisions.refuse_started(started)
        for start in range(0, len(rows), AT_ONCE):
            chunk = rows[start : start + AT_ONCE]
            await self._writer.call(
                partial(decisions.resolve, decision, chunk, self.journal.when()), self._counts.update
            )
        return len(rows)

    # Sessions

    async def begin_session(
        self, settings: Mapping[str, Any], *, world: Mapping[str, Any] = NO_WORLD, limit: int | None = None
    ) -> int:
        """Begin a session of this process; returns its number."""
        if not self._published:
            raise RuntimeError("publish() comes first: what is not published does not survive")
        self._refuse_while_planning()
        self._clock.restart()
        began_at = self.now()

        def begin(store: Store) -> _Session:
            entered = worlds.enter(world, store)
            settle_after = sessions.settle_after(store)
            queue = WorkQueue(store, began_at, entered.same, limit=limit)
            uncertain = queue.hold_back_uncertain(store) if settle_after else ()
            number = sessions.begin(settings, began_at, store)
            if uncertain:  # should this session die soon, the next one waits, too
                sessions.keep_settle_after(settle_after, store)
            next_poll = work_queue.next_poll(store.connection)
            return _Session(number, entered.here, queue, next_poll, uncertain, settle_after)

        return (await self._writer.call(begin, self._begun)).number

    def _begun(self, begun: _Session) -> None:
        self._session = begun.number
        self.journal.begin_session(begun.number, begun.here, begun.next_poll)
        self.queue.begin_session(begun.queue)
        for row in begun.uncertain:
            self.journal.leases.hold_back(row, begun.settle_after)

    async def end_session(
        self, *, ended_because: str, exit_code: int, stray_shells: int, uploads_saved: int
    ) -> None:
        """Record how the session ended."""
        story = SessionEnd(ended_because, exit_code, stray_shells, uploads_saved)
        await self._writer.call(partial(sessions.end, self.journal.when(), story))
        self._session = None
        self.journal.end_session()

    def sample(self, sample: Sample) -> None:
        """Record how the session stands."""
        self._writer.submit(partial(sessions.sampled, sample, self.journal.when()))

    # The bill

    def ordering(self, row: Row, remote_id: str, generation: str) -> Awaitable[None]:
        """Make durable that the order to start the job of a row is about to leave.

        Every order of the batch passes here, whichever worker sends it.

        Raises:
            IdTaken: The id is another job's: nothing was written.
        """
        return self.journal.write_intent(row, remote_id, generation)

    def _intend(self, row: Row, remote_id: str, generation: str) -> Awaitable[None]:
        return self.ordering(row, remote_id, generation)


@dataclass(frozen=True, slots=True)
class _OpenPlan:
    """A plan that is not confirmed, and what there was before it."""

    planning: Planning
    counts: Counter[RowState]
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Session:
    """A session as it begins."""

    number: int
    here: SessionWorld
    queue: WorkQueue
    next_poll: float | None
    uncertain: Sequence[int]
    settle_after: float
