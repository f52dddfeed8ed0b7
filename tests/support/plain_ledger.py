"""A ledger made of plain Python: another one than SQLite's can stand in its place, and this proves it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from opus_async.batch.ledger.leases import LeaseTable
from opus_async.batch.ports import LeaseEnded, LeaseTerms, Planned, Receipt, WorkerLease
from opus_async.batch.rows import NewRow, Row, RowLease, RowResult, RowState
from opus_async.batch.world import NO_WORLD
from opus_async.errors import LedgerError
from opus_async.metrics.counts import Counts
from opus_async.metrics.samples import Sample
from opus_async.platform import StartDoubt


class PlainCache:
    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    async def get(self, name: str) -> str | None:
        return self.kept.get(name)

    def put(self, name: str, value: str) -> None:
        self.kept[name] = value


class PlainLedger:
    """The ports of a batch, as far as a session uses them; nothing is durable.

    Attributes:
        full: Whether it takes nothing more, as on a full disk.
        told: What it was told of each row, in order.
    """

    def __init__(
        self, rows: int = 0, *, remember: bool = True, now: Callable[[], float] | None = None
    ) -> None:
        self.cache = PlainCache()
        self.rows = {
            index: Row(id=index, index=index, key=f"K{index}", cells={"n": index}) for index in range(rows)
        }
        self.endings: dict[int, RowResult] = {}
        self.told: list[tuple[str, int]] = []
        self.full = False
        self.samples: list[Sample] = []
        self.sessions = 0
        self._remember = remember
        self._now = now
        self._todo = list(reversed(self.rows))
        self._parked: dict[int, float] = {}
        self._jobs: dict[str, int] = {}
        self._states = Counter({RowState.PLANNED: rows})
        self._before: tuple[dict[int, Row], list[int], Counter[RowState]] | None = None
        self._leases = LeaseTable(0, self.now)

    @property
    def queue(self) -> PlainLedger:
        return self

    @property
    def journal(self) -> PlainLedger:
        return self

    def now(self) -> float:
        return asyncio.get_running_loop().time() if self._now is None else self._now()

    # Planning and sessions

    async def begin_plan(self) -> None:
        self._before = dict(self.rows), list(self._todo), self._states.copy()

    async def plan(self, rows: Sequence[NewRow]) -> None:
        for new in rows:
            self.rows[new.index] = Row(id=new.index, index=new.index, key=new.key, cells=new.cells)
            self._states[RowState.PLANNED] += 1
        self._todo = sorted(self.rows, reverse=True)

    async def end_plan(self) -> Planned:
        return Planned(new=len(self.rows))

    async def confirm_plan(self, **facts: Any) -> None:
        self._before = None

    async def abandon_plan(self) -> None:
        if self._before is not None:
            self.rows, self._todo, self._states = self._before
            self._before = None

    async def begin_session(
        self, settings: Mapping[str, Any], *, world: Mapping[str, Any] = NO_WORLD, limit: int | None = None
    ) -> int:
        """What has not ended is handed out anew."""
        self.sessions += 1
        self._leases = LeaseTable(self.sessions, self.now)
        ended = {number for number, ending in self.endings.items() if ending.state is not RowState.UNKNOWN}
        self._todo = sorted(set(self.rows) - ended - set(self._parked), reverse=True)
        return self.sessions

    async def end_session(self, **how: Any) -> None:
        return

    def sample(self, sample: Sample) -> None:
        self.samples.append(sample)

    async def close(self) -> None:
        return

    # The queue

    async def grant(self, terms: LeaseTerms) -> WorkerLease:
        return self._leases.grant(terms)

    def renew(self, lease: WorkerLease) -> bool:
        return self._leases.renew(lease)

    async def revoke(self, lease: WorkerLease) -> int:
        return self._leases.revoke(lease)

    async def lease(self, count: int, worker: WorkerLease) -> Sequence[Row]:
        self._check()
        if not self._leases.is_valid(worker.epoch):
            raise LeaseEnded(worker)
        numbers = self._leases.returned(count)
        due = [number for number, at in self._parked.items() if at <= self.now()][: count - len(numbers)]
        for number in due:
            del self._parked[number]
        numbers += due
        while self._todo and len(numbers) < count:
            numbers.append(self._todo.pop())
        return [self._handed_out(number, worker) for number in numbers]

    def _handed_out(self, number: int, worker: WorkerLease) -> Row:
        row = self.rows[number]
        waited = None if row.waiting_since is None else self.now() - row.waiting_since
        row = replace(row, waited=waited, lease=RowLease(number, worker.owner, worker.epoch))
        self._leases.hold(row)
        return row

    def release(self, row: Row) -> None:
        self._leases.let_go(row.held)
        self._tell("release", row.id)

    def next_due(self) -> float | None:
        times = [*self._parked.values()]
        if (returns := self._leases.next_return()) is not None:
            times.append(returns)
        return max(0.0, min(times) - self.now()) if times else None

    def counts(self) -> Counts:
        return Counts(**{str(state): number for state, number in self._states.items() if number})

    # The journal

    async def known_files(self, paths: Sequence[str]) -> Mapping[str, tuple[int, int, int, str]]:
        return {}

    async def some_files(self, beginning: str, at_most: int, *, inside: bool = True) -> Sequence[str]:
        return []

    async def begun(self, lease: RowLease) -> Receipt:
        if not self._leases.held_by(lease):
            return Receipt.LEASE_ENDED
        return self._tell("begun", lease.row)

    async def job_created(self, lease: RowLease, remote_id: str, generation: str) -> Receipt:
        if not self._leases.held_by(lease):
            return Receipt.LEASE_ENDED
        if self._jobs.setdefault(remote_id, lease.row) == lease.row:
            self._set(lease.row, remote_id=remote_id, generation=generation)
        return self._tell("created", lease.row)

    async def job_identified(self, lease: RowLease, alias: str) -> Receipt:
        if not self._leases.held_by(lease):
            return Receipt.LEASE_ENDED
        self._set(lease.row, alias=alias)
        return Receipt.WRITTEN

    async def start_intent(self, lease: RowLease, remote_id: str, generation: str) -> Receipt:
        self._check()
        held = self._leases.held_by(lease)
        if not held:
            return Receipt.LEASE_ENDED
        if self._jobs.setdefault(remote_id, lease.row) != lease.row:
            return Receipt.ID_TAKEN
        orders = self.rows[lease.row].orders + 1
        self._set(lease.row, remote_id=remote_id, generation=generation, orders=orders)
        held.state = RowState.ORDERING
        return self._move(lease.row, RowState.ORDERING)

    async def job_superseded(self, lease: RowLease) -> Receipt:
        held = self._leases.held_by(lease)
        if not held:
            return Receipt.LEASE_ENDED
        job = self.rows[lease.row].remote_id
        if job is not None:
            self._jobs[job] = -1  # nobody's any more
        held.state = RowState.PLANNED
        self._move(lease.row, RowState.PLANNED)
        self.rows[lease.row] = self.rows[lease.row].without_job()
        return self._tell("gave way", lease.row)

    async def second_start_forbidden(self, lease: RowLease, doubt: StartDoubt) -> Receipt:
        if not self._leases.held_by(lease):
            return Receipt.LEASE_ENDED
        self._set(lease.row, start_doubt=doubt)
        return Receipt.WRITTEN

    async def start_accepted(self, lease: RowLease) -> Receipt:
        held = self._leases.held_by(lease)
        if not held:
            return Receipt.LEASE_ENDED
        held.state = RowState.RUNNING
        return self._move(lease.row, RowState.RUNNING)

    async def status_seen(self, lease: RowLease, status: str) -> Receipt:
        held = self._leases.held_by(lease)
        if not held:
            return Receipt.LEASE_ENDED
        self._set(lease.row, status=status)
        if held.state is RowState.WAITING and status != "WAITING":
            held.state = RowState.RUNNING
            self._set(lease.row, waiting_since=None)
            self._move(lease.row, RowState.RUNNING)
        return Receipt.WRITTEN

    async def parked(
        self, lease: RowLease, *, status: str, poll_in: float, timings: Mapping[str, float]
    ) -> Receipt:
        self._check()
        if not self._leases.held_by(lease):
            return Receipt.LEASE_ENDED
        self._leases.let_go(lease)
        since = self.rows[lease.row].waiting_since
        since = self.now() if since is None else since
        self._set(lease.row, status=status, timings=timings, waiting_since=since)
        self._parked[lease.row] = self.now() + poll_in
        return self._move(lease.row, RowState.WAITING)

    async def finished(self, lease: RowLease, result: RowResult) -> Receipt:
        self._check()
        if not self._leases.held_by(lease):
            return Receipt.LEASE_ENDED
        self._leases.let_go(lease)
        self.endings[lease.row] = result
        return self._move(lease.row, result.state)

    # How

    def _check(self) -> None:
        if self.full:
            raise LedgerError("The disk is full", disk_full=True)

    def _set(self, row: int, **changes: Any) -> None:
        self.rows[row] = replace(self.rows[row], **changes)

    def _move(self, row: int, state: RowState) -> Receipt:
        self._states[self.rows[row].state] -= 1
        self._states[state] += 1
        self._set(row, state=state)
        return self._tell(str(state), row)

    def _tell(self, what: str, row: int) -> Receipt:
        if self._remember:
            self.told.append((what, row))
        return Receipt.WRITTEN
