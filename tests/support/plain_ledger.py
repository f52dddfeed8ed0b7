"""A ledger made of plain Python: another one than SQLite's can stand in its place, and this proves it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from opus_async.batch.ports import Planned
from opus_async.batch.rows import NewRow, Row, RowResult, RowState
from opus_async.batch.world import NO_WORLD
from opus_async.errors import LedgerError
from opus_async.metrics.counts import Counts
from opus_async.metrics.samples import Sample
from opus_async.platform import IdTaken, StartDoubt


class PlainMemory:
    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    async def get(self, name: str) -> str | None:
        return self.kept.get(name)

    def put(self, name: str, value: str) -> None:
        self.kept[name] = value


class PlainLedger:
    """See :class:`opus_async.batch.ports.Ledger`; nothing is durable.

    Attributes:
        full: Whether it takes nothing more, as on a full disk.
        told: What it was told of each row, in order.
    """

    def __init__(self, rows: int = 0, *, remember: bool = True) -> None:
        self.memory = PlainMemory()
        self.rows = {
            index: Row(id=index, index=index, key=f"K{index}", cells={"n": index}) for index in range(rows)
        }
        self.endings: dict[int, RowResult] = {}
        self.told: list[tuple[str, int]] = []
        self.full = False
        self.samples: list[Sample] = []
        self._remember = remember
        self._todo = list(reversed(self.rows))
        self._parked: dict[int, float] = {}
        self._jobs: dict[str, int] = {}
        self._states = Counter({RowState.PLANNED: rows})
        self._before: tuple[dict[int, Row], list[int], Counter[RowState]] | None = None

    def now(self) -> float:
        return asyncio.get_running_loop().time()

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

    async def recall_files(self, paths: Sequence[str]) -> Mapping[str, tuple[int, int, int, str]]:
        return {}

    def keep_file(self, path: str, size: int, mtime_ns: int, inode: int, sha256: str) -> None:
        return

    async def begin_session(self, settings: Mapping[str, Any], *, world: Mapping[str, Any] = NO_WORLD) -> int:
        return 1

    async def end_session(self, **how: Any) -> None:
        return

    # Handing out

    async def take(self, count: int) -> Sequence[Row]:
        self._check()
        due = [number for number, at in self._parked.items() if at <= self.now()][:count]
        for number in due:
            del self._parked[number]
        while self._todo and len(due) < count:
            due.append(self._todo.pop())
        return [self.rows[number] for number in due]

    def next_look(self) -> float | None:
        return max(0.0, min(self._parked.values()) - self.now()) if self._parked else None

    def release(self, row: Row, *, timings: Mapping[str, float] | None = None) -> None:
        self._tell("release", row)

    # Steps

    def begun(self, row: Row) -> None:
        self._tell("begun", row)

    def created(self, row: Row, remote_id: str, generation: str) -> None:
        if self._jobs.setdefault(remote_id, row.id) == row.id:
            self._set(row, remote_id=remote_id, generation=generation)
        self._tell("created", row)

    def identified(self, row: Row, alias: str) -> None:
        self._set(row, alias=alias)

    async def ordering(self, row: Row, remote_id: str, generation: str) -> None:
        self._check()
        if self._jobs.setdefault(remote_id, row.id) != row.id:
            raise IdTaken(remote_id)
        self._set(row, remote_id=remote_id, generation=generation, orders=row.orders + 1)
        self._move(row, RowState.ORDERING)

    def gave_way(self, row: Row) -> None:
        job = self.rows[row.id].remote_id
        if job is not None:
            self._jobs[job] = -1  # nobody's any more
        self._move(row, RowState.PLANNED)
        self.rows[row.id] = self.rows[row.id].without_job()
        self._tell("gave way", row)

    def doubted(self, row: Row, doubt: StartDoubt) -> None:
        self._set(row, start_doubt=doubt)

    def ordered(self, row: Row) -> None:
        self._move(row, RowState.RUNNING)

    def seen(self, row: Row, status: str) -> None:
        self._set(row, status=status)

    async def park(self, row: Row, *, status: str, look_in: float, timings: Mapping[str, float]) -> None:
        self._check()
        since = self.rows[row.id].waiting_since
        self._set(row, status=status, timings=timings, waiting_since=self.now() if since is None else since)
        self._parked[row.id] = self.now() + look_in
        self._move(row, RowState.WAITING)

    async def end(self, row: Row, ending: RowResult) -> None:
        self._check()
        self.endings[row.id] = ending
        self._move(row, ending.state)

    def sample(self, sample: Sample) -> None:
        self.samples.append(sample)

    def counts(self) -> Counts:
        return Counts(**{str(state): number for state, number in self._states.items() if number})

    async def retry(self, states: Sequence[RowState]) -> int:
        return 0

    async def close(self) -> None:
        return

    # How

    def again(self) -> None:
        """Another session: what has not ended is handed out anew."""
        self._todo = sorted(set(self.rows) - set(self.endings), reverse=True)

    def _check(self) -> None:
        if self.full:
            raise LedgerError("The disk is full", disk_full=True)

    def _set(self, row: Row, **changes: Any) -> None:
        self.rows[row.id] = replace(self.rows[row.id], **changes)

    def _move(self, row: Row, state: RowState) -> None:
        self._states[self.rows[row.id].state] -= 1
        self._states[state] += 1
        self._set(row, state=state)
        self._tell(str(state), row)

    def _tell(self, what: str, row: Row) -> None:
        if self._remember:
            self.told.append((what, row.id))
