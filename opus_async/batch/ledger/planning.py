"""Plans rows of a manifest as rows of the ledger: they are matched by key, whatever place they had."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from opus_async.batch.ledger.sqlite_text import dumps, encode
from opus_async.batch.ledger.store import Store
from opus_async.batch.ledger.worlds import known_as
from opus_async.batch.ports import Planned
from opus_async.batch.rows import EarlierJob, NewRow, RowState
from opus_async.errors import AmbiguousExecution, InvalidInputs, ManifestError

Change = Mapping[RowState, int]
"""How many rows more, or less, are in a state."""

_TOLD = 100
"""Keys that are named, of those that changed or came again; more are only counted."""
_REMEMBERED = 10_000
"""Keys that came again, with how often they did. When there are more, they are looked for anew."""
_AT_ONCE = 250
"""Keys in one question: a thousand are too many for an old SQLite."""
_INVALID = InvalidInputs.__name__
_DOUBTFUL = AmbiguousExecution.__name__

EARLIER = "(retries = 0 AND retried_from IS NOT NULL)"
"""Its job is that of an earlier batch, and was not asked yet: nothing was ordered in this one."""
_NO_ORDER = "remote_id IS NULL AND orders = 0"
_DOUBTED = f"(state = 'unknown' AND {_NO_ORDER} AND session IS NULL AND error_type IS '{_DOUBTFUL}')"
"""It was planned as unknown, and stands as it was planned."""
_UNTOUCHED = f"(state = 'planned' OR (state = 'failed' AND {_NO_ORDER}) OR {_DOUBTED})"
"""Nothing was ever ordered for the job that the row stands for now."""
_NEVER_ORDERED = f"({_UNTOUCHED} AND (orders = 0 OR {EARLIER}) AND orders_before = 0)"
"""Nor for any that it has or had before it was tried again."""
_ASKS_FIRST = "(state = 'planned' AND retried_from IS NOT NULL AND remote_id IS NOT NULL)"
"""It is to be tried again, and keeps its job until that was asked."""
_KNOWN = f"""
SELECT key, id, position, digest, state, plan, {_UNTOUCHED}, error_type, retries, {_ASKS_FIRST} FROM rows
WHERE key
"""  # noqa: S608 - words of ours
_KNOWN_ONE = f"{_KNOWN} = ?"
_KNOWN_MANY = f"{_KNOWN} IN ({', '.join('?' * _AT_ONCE)})"
_NEW = """
INSERT INTO rows (id, position, location, key, digest, state, ended_at, error, error_type, cause, doubt, plan)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_NEW_PLANNED = f"""
INSERT INTO rows (id, position, location, key, digest, state, plan)
VALUES (?, ?, ?, ?, ?, '{RowState.PLANNED.value}', ?)
"""  # noqa: S608 - a word of ours
_FOUND_AGAIN = "UPDATE rows SET position = ?, location = ?, plan = ? WHERE id = ?"
_REPLACED = f"""
UPDATE rows SET position = ?, location = ?, digest = ?, state = ?, ended_at = ?, error = ?, error_type = ?,
    cause = ?, doubt = ?, plan = ?, session = NULL, stage = NULL, started_at = NULL, timings = NULL,
    note = NULL, decided_by = NULL, remote_id = CASE WHEN {_ASKS_FIRST} THEN remote_id END,
    generation = CASE WHEN {_ASKS_FIRST} THEN generation END, status = CASE WHEN {_ASKS_FIRST} THEN status END
WHERE id = ?
"""  # noqa: S608 - words of ours, no values
_ITS_JOB = "INSERT OR IGNORE INTO jobs (remote_id, place, world, row, digest) VALUES (?, ?, ?, ?, ?)"
_ASKED_FIRST = """
UPDATE rows SET remote_id = :remote_id, generation = :generation, orders = 1, retried_from = :state
WHERE id = :row AND EXISTS (SELECT 1 FROM jobs WHERE remote_id = :remote_id AND place = :place AND row = :row
    AND NOT gave_way)
"""
"""Not where another line has named the same job."""
_CELLS = "INSERT OR REPLACE INTO cells (row, cells) VALUES (?, ?)"
_HISTORY = "INSERT INTO history (at, row, state, note) VALUES (?, ?, ?, 'planned again')"
_GONE = f"SELECT state, count(*) FROM rows WHERE plan <> ? AND {_NEVER_ORDERED} GROUP BY state"  # noqa: S608 - words of ours, no values
_MISSING = "SELECT count(*) FROM rows WHERE plan = ? - 1"
"""Those that the last plan had: what was missing then was told then."""
_DELETE_CELLS = f"DELETE FROM cells WHERE row IN (SELECT id FROM rows WHERE plan <> ? AND {_NEVER_ORDERED})"  # noqa: S608 - words of ours, no values
_DELETE_ROWS = f"DELETE FROM rows WHERE plan <> ? AND {_NEVER_ORDERED}"  # noqa: S608 - words of ours, no values
_EDITED = """
SELECT count(*) FROM cells WHERE row > ? AND cells IN (
    SELECT gone.cells FROM rows JOIN cells AS gone ON gone.row = rows.id
    WHERE plan <> ? AND state IN ('ordering', 'running', 'waiting', 'completed', 'unknown')
)
"""
"""Rows of now that have the cells of rows that are missing and have run, or may have."""


@dataclass(slots=True)
class _Known:
    """A row that the ledger holds."""

    id: int
    index: int
    digest: str
    state: RowState
    plan: int
    untouched: bool
    error_type: str | None
    retries: int
    asks_first: bool = False

    @property
    def rejected(self) -> bool:
        """Whether it was planned as failed."""
        return self.untouched and self.error_type == _INVALID and self.state is RowState.FAILED

    @property
    def suspected(self) -> bool:
        """Whether it was planned as unknown."""
        return self.untouched and self.state is RowState.UNKNOWN

    def unchanged(self, row: NewRow) -> bool:
        """Whether it stays as it is when the manifest has a row that asks for the same."""
        if not self.untouched:
            return True
        if self.asks_first:  # whatever is wrong with it now, its job is asked
            return True
        if self.rejected:
            return False
        if row.problem is not None:
            return self.state is not RowState.PLANNED
        if row.possible_second_bill is not None and not row.accepted:
            # A person who had it tried again has decided.
            return self.state is not RowState.PLANNED or self.retries > 0
        return not self.suspected


class _PlannedState(NamedTuple):
    """The state that a row is planned in, and why."""

    state: RowState
    ended_at: float | None = None
    error: str | None = None
    error_type: str | None = None
    cause: str | None = None
    doubt: str | None = None


_PLANNED = _PlannedState(RowState.PLANNED)


class _Slot(NamedTuple):
    """The key that a row of the manifest gets, and the row that has it in the ledger."""

    key: str
    known: _Known | None


class _Repeat(NamedTuple):
    """How often a key came again, and at which row of the manifest last."""

    number: int
    at_index: int


class _Writes:
    """What a chunk of rows will write; nothing is written before the whole chunk is found good."""

    def __init__(self) -> None:
        self.new: list[tuple[object, ...]] = []
        self.new_planned: list[tuple[object, ...]] = []
        self.found_again: list[tuple[object, ...]] = []
        self.replaced: list[tuple[object, ...]] = []
        self.cells: list[tuple[int, str]] = []
        self.history: list[tuple[object, ...]] = []
        self.earlier: list[tuple[int, EarlierJob]] = []
        self.change: Counter[RowState] = Counter()

    def execute(self, store: Store) -> None:
        connection = store.connection
        connection.executemany(_NEW, self.new)
        connection.executemany(_NEW_PLANNED, self.new_planned)
        for row, job in self.earlier:
            _adopt_job(row, job, store)
        connection.executemany(_FOUND_AGAIN, self.found_again)
        connection.executemany(_REPLACED, self.replaced)
        connection.executemany(_CELLS, self.cells)
        connection.executemany(_HISTORY, self.history)


class Planning:
    """A plan: one reading of a manifest, from its first row to its last.

    Args:
        store: Where the rows go.
    """

    def __init__(self, store: Store) -> None:
        (last,) = store.connection.execute("SELECT coalesce(max(plan), 0) FROM rows").fetchone()
        used = store.connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'rows'").fetchone()
        self._plan = last + 1
        self._first_id = self._last_id = used[0] if used else 0
        self._tally: Counter[str] = Counter()
        self._changed: list[str] = []
        self._repeated: list[tuple[str, int]] = []
        self._repeats: dict[str, _Repeat] = {}

    def add_rows(self, rows: Sequence[NewRow], at: float, store: Store) -> Change:
        """Plan some rows; those that this plan has already are passed over.

        Raises:
            ManifestError: Rows that ask for different things were given the same key. Nothing is written, and
                the planning is to be given up.
        """
        connection = store.connection
        known = _Found(connection, [encode(row.key) for row in rows])
        writes, problems = _Writes(), []
        for row in rows:
            try:
                place = self._slot(row, known)
            except ManifestError as problem:
                problems.append(problem.message)
                continue
            if place is None:
                continue
            if place.known is None:
                known[place.key] = self._add(row, place.key, at, writes)
            else:
                self._update(row, place.key, place.known, at, writes)
        if problems:
            raise ManifestError("Some keys of the manifest are not unique; nothing was sent:", problems)
        writes.execute(store)
        return writes.change

    def end(self, store: Store) -> tuple[Planned, Change]:
        """End the plan: remove rows that did not come and were never ordered. Returns what became of all."""
        gone = {
            RowState(state): count
            for state, count in store.connection.execute(_GONE, (self._plan,)).fetchall()
        }
        if gone:
            store.connection.execute(_DELETE_CELLS, (self._plan,))
            store.connection.execute(_DELETE_ROWS, (self._plan,))
        (missing,) = store.connection.execute(_MISSING, (self._plan,)).fetchone()
        edited = 0
        if missing and self._tally["new"]:
            (edited,) = store.connection.execute(_EDITED, (self._first_id, self._plan)).fetchone()
        planned = Planned(
            new=self._tally["new"],
            known=self._tally["known"],
            replanned=self._tally["replanned"],
            changed=tuple(self._changed),
            changed_count=self._tally["changed"],
            repeated=tuple(self._repeated),
            repeated_count=self._tally["repeated"],
            withdrawn=sum(gone.values()),
            missing=missing,
            edited=edited,
        )
        return planned, {state: -count for state, count in gone.items()}

    def _slot(self, row: NewRow, known: _Found) -> _Slot | None:
        """Where it goes; None if it is planned already."""
        base = key = encode(row.key)
        number = 1
        while True:
            found = known[key]
            if found is None or found.plan != self._plan:
                break
            if found.index == row.index:
                return None
            if number == 1 and row.key_given and found.digest != row.digest:
                raise ManifestError(
                    f"key {row.key!r} is that of row {found.index} and of row {row.index} (counted from 0), "
                    f"which ask for different things: give each a key of its own"
                )
            number = self._next_number(base, number, row.index)
            key = f"{base}~{number}"
        if number > 1:
            self._repeat(base, key, _Repeat(number, row.index), runs=row.problem is None)
        return _Slot(key, found)

    def _next_number(self, base: str, number: int, index: int) -> int:
        last = self._repeats.get(base)
        if number == 1 and last is not None and last.at_index < index:
            return last.number + 1
        return number + 1

    def _repeat(self, base: str, key: str, repeat: _Repeat, *, runs: bool) -> None:
        if len(self._repeats) >= _REMEMBERED:
            self._repeats.clear()
        self._repeats[base] = repeat
        if not runs:  # rows that cannot be read have no content to tell them apart
            return
        self._tally["repeated"] += 1
        if len(self._repeated) < _TOLD:
            self._repeated.append((key, repeat.at_index))

    def _add(self, row: NewRow, key: str, at: float, writes: _Writes) -> _Known:
        self._last_id += 1
        self._tally["new"] += 1
        now = _planned_state(row, at)
        place = (self._last_id, row.index, encode(row.location), key, row.digest)
        if now is _PLANNED:
            writes.new_planned.append((*place, self._plan))
        else:
            writes.new.append((*place, *now, self._plan))
        writes.cells.append((self._last_id, dumps(row.cells)))
        writes.change[now.state] += 1
        if row.earlier is not None and now.state is RowState.PLANNED:
            writes.earlier.append((self._last_id, row.earlier))
        return _Known(self._last_id, row.index, row.digest, now.state, self._plan, True, now.error_type, 0)

    def _update(self, row: NewRow, key: str, known: _Known, at: float, writes: _Writes) -> None:
        same = known.digest == row.digest
        if not known.unchanged(row) or (known.untouched and not same):
            self._tally["known" if same else "replanned"] += 1
            self._replace(row, known, at, writes)
        else:
            self._tally["known" if same else "changed"] += 1
            if not same and len(self._changed) < _TOLD:
                self._changed.append(key)
            writes.found_again.append((row.index, encode(row.location), self._plan, known.id))
            if known.state is RowState.PLANNED or known.suspected:
                # Its title, say, may be another, although it asks for the same.
                writes.cells.append((known.id, dumps(row.cells)))
        known.index, known.plan = row.index, self._plan

    def _replace(self, row: NewRow, known: _Known, at: float, writes: _Writes) -> None:
        if known.asks_first:
            row = replace(row, problem=None)
        if known.retries and row.problem is None:
            row = replace(row, possible_second_bill=None)  # a person who had it tried again has decided
        now = _planned_state(row, at)
        location = encode(row.location)
        writes.replaced.append((row.index, location, row.digest, *now, self._plan, known.id))
        writes.cells.append((known.id, dumps(row.cells)))
        if row.earlier is not None and now.state is RowState.PLANNED and not known.asks_first:
            writes.earlier.append((known.id, row.earlier))
        if now.state is not known.state:
            writes.history.append((at, known.id, now.state))
        writes.change[known.state] -= 1
        writes.change[now.state] += 1
        known.digest, known.state, known.error_type = row.digest, now.state, now.error_type


def _adopt_job(row: int, job: EarlierJob, store: Store) -> None:
    """Give a new row the job of an earlier batch, to be asked first as in a retry."""
    here = known_as(job.world, store)
    remote_id = encode(job.remote_id)
    store.connection.execute(_ITS_JOB, (remote_id, here.place, here.world, row, job.digest))
    store.connection.execute(
        _ASKED_FIRST,
        {
            "remote_id": remote_id,
            "generation": job.world["generation"],
            "state": job.state.value,
            "row": row,
            "place": here.place,
        },
    )


def _planned_state(row: NewRow, at: float) -> _PlannedState:
    if row.problem is not None:
        problem = encode(row.problem)
        return _PlannedState(RowState.FAILED, at, problem, _INVALID, problem)
    if row.possible_second_bill is None:
        return _PLANNED
    doubt = encode(row.possible_second_bill)
    if not row.accepted:
        return _PlannedState(RowState.UNKNOWN, at, doubt, _DOUBTFUL, doubt, doubt)
    return _PlannedState(RowState.PLANNED, doubt=doubt)


class _Found:
    """Rows by key: those of a chunk are looked for at once, others as they are asked for."""

    def __init__(self, connection: sqlite3.Connection, keys: Sequence[str]) -> None:
        self._connection = connection
        self._rows: dict[str, _Known | None] = dict.fromkeys(keys)
        unique = list(self._rows)
        for start in range(0, len(unique), _AT_ONCE):
            asked = unique[start : start + _AT_ONCE]
            padded = [*asked, *[asked[-1]] * (_AT_ONCE - len(asked))]
            self._rows |= self._read(_KNOWN_MANY, padded)

    def __getitem__(self, key: str) -> _Known | None:
        if key not in self._rows:
            self._rows[key] = self._read(_KNOWN_ONE, [key]).get(key)
        return self._rows[key]

    def __setitem__(self, key: str, row: _Known) -> None:
        self._rows[key] = row

    def _read(self, statement: str, keys: Sequence[str]) -> dict[str, _Known]:
        return {
            key: _Known(
                row,
                index,
                digest,
                RowState(state),
                plan,
                bool(untouched),
                error_type,
                retries,
                bool(asks_first),
            )
            for key, row, index, digest, state, plan, untouched, error_type, retries, asks_first in (
                self._connection.execute(statement, keys)
            )
        }
