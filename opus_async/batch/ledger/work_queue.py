"""Chooses the rows that are worked on next. A take costs by what it returns, not by what there is.

What is handed out is only remembered here, in the writer thread: by cursors that never go back. A row that is
due for a poll loses its time as it is handed out, so that it is not due again before it is parked again.
"""

from __future__ import annotations

import json
import sqlite3
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from opus_async.batch.ledger.sqlite_text import encode
from opus_async.batch.ledger.store import Store
from opus_async.batch.ports import WorkerLease
from opus_async.batch.rows import Row, RowLease, RowState
from opus_async.platform import StartDoubt

LONGEST_REST = 3600.0
"""Seconds. A poll that is due later than that when a session begins was set by a clock that has jumped, or is
taken for it: to poll once too often costs one request."""

_ROWS = """
SELECT json_group_array(json_array(rows.id, position, key, json(cells.cells), state, rows.remote_id,
                                   generation, status, orders, attempts, started_at, waiting_since,
                                   json(timings), retried_from, jobs.world, jobs.digest IS NOT rows.digest,
                                   jobs.start_doubt, jobs.alias, location))
FROM rows JOIN cells ON cells.row = rows.id
LEFT JOIN jobs ON jobs.remote_id = rows.remote_id AND jobs.row = rows.id AND NOT gave_way
"""
"""As one value; :mod:`opus_async.batch.ledger.transitions` tells what it costs to be asked row by row."""
_MAY_RUN = """
SELECT id FROM rows WHERE state IN ('ordering', 'running') OR (state = 'unknown' AND remote_id IS NOT NULL)
ORDER BY CASE state WHEN 'ordering' THEN 0 WHEN 'running' THEN 1 ELSE 2 END, position, id
"""
_STILL_MAY_RUN = f"""{_ROWS}
WHERE rows.id IN (SELECT value FROM json_each(?)) AND state IN ('ordering', 'running', 'unknown')
"""  # noqa: S608 - words of ours
_UNCERTAIN = "SELECT id FROM rows WHERE state = 'ordering' ORDER BY position, id"
_IS_UNCERTAIN = "SELECT 1 FROM rows WHERE state IN ('ordering', 'unknown') LIMIT 1"
_OVERTAKEN = """
WITH ordered AS (
    SELECT row, min(session) AS first, max(session) AS last FROM history WHERE state = 'ordering' GROUP BY row
)
SELECT ordered.row FROM ordered JOIN rows ON rows.id = ordered.row
WHERE state IN ('ordering', 'unknown')
    AND NOT EXISTS (SELECT 1 FROM sessions WHERE id = ordered.last AND settle_after IS NOT NULL)
    AND ordered.last < (
        SELECT max(obeyed.first) FROM ordered AS obeyed JOIN rows ON rows.id = obeyed.row
        WHERE orders + orders_before = 1 AND status NOT IN ('PENDING', 'UNKNOWN')
    )
"""
"""Rows whose last order was sent by an earlier session than that of another row, of which the platform has
shown a job. Workers in other processes may send an order after their session: theirs are left out. One pass
over the history, made where there are uncertain rows."""
_RETURNED = f"""{_ROWS}
WHERE rows.id IN (SELECT value FROM json_each(?))
    AND state IN ('planned', 'ordering', 'running', 'waiting', 'unknown')
"""  # noqa: S608 - words of ours, no values
_NEXT_DUE = "SELECT id FROM rows WHERE look_at <= ? ORDER BY look_at LIMIT ?"
_DUE = _ROWS + f"WHERE rows.id IN ({_NEXT_DUE})"
_NEXT_PLANNED = """
SELECT id FROM rows WHERE state = 'planned' AND (position, id) > (?, ?) ORDER BY position, id LIMIT ?
"""
_PLANNED = _ROWS + f"WHERE rows.id IN ({_NEXT_PLANNED})"
_BY_KEY = _ROWS + "WHERE key = ?"
_HANDED_OUT = "UPDATE rows SET look_at = NULL WHERE id IN (SELECT value FROM json_each(?))"
_NEXT_POLL = "SELECT look_at FROM rows WHERE look_at IS NOT NULL ORDER BY look_at LIMIT 1"
_POLL_NOW = "UPDATE rows SET look_at = ? WHERE state = 'waiting' AND (look_at IS NULL OR look_at > ?)"


@dataclass(frozen=True, slots=True)
class _For:
    """Whom rows are handed out to.

    Attributes:
        worker: The lease they are held by.
        now: In seconds since the epoch.
        same: Numbers of the worlds whose jobs may be ordered here.
        overtaken: Numbers of rows; see :class:`Row`.
    """

    worker: WorkerLease
    now: float
    same: frozenset[int]
    overtaken: frozenset[int]


@dataclass(frozen=True, slots=True)
class Taken:
    """What was handed out.

    Attributes:
        rows: The rows.
        next_poll: When the next parked row is due.
    """

    rows: Sequence[Row]
    next_poll: float | None


class WorkQueue:
    """The rows of one session; made when it begins.

    Args:
        store: Where they are.
        now: In seconds since the epoch.
        same: Numbers of the worlds whose jobs may be ordered here.
        limit: Planned rows that are handed out at most; None for all.
    """

    def __init__(self, store: Store, now: float, same: frozenset[int], *, limit: int | None = None) -> None:
        self._same = same
        self._limit = limit
        self._may_run = array("q", (row for (row,) in store.connection.execute(_MAY_RUN)))
        self._may_run.reverse()  # taken from the end
        uncertain = store.connection.execute(_IS_UNCERTAIN).fetchone() is not None
        overtaken = store.connection.execute(_OVERTAKEN) if uncertain else ()
        self._overtaken = frozenset(row for (row,) in overtaken)
        self._position, self._id = -1, -1
        store.connection.execute(_POLL_NOW, (now, now + LONGEST_REST))

    def hold_back_uncertain(self, store: Store) -> Sequence[int]:
        """Leave out rows whose order may have left, until they are returned; their numbers."""
        uncertain = [row for (row,) in store.connection.execute(_UNCERTAIN)]
        held_back = set(uncertain)
        self._may_run = array("q", (row for row in self._may_run if row not in held_back))
        return uncertain

    def take(
        self, count: int, now: float, worker: WorkerLease, returned: Sequence[int], store: Store
    ) -> Taken:
        """Take rows for a worker, so many at most.

        Args:
            count: How many.
            now: In seconds since the epoch.
            worker: To whom.
            returned: Numbers of rows that come back from leases that have ended: the first to be handed out.
            store: Where they are.
        """
        connection, to = store.connection, _For(worker, now, self._same, self._overtaken)
        rows = _in_order(connection, _RETURNED, returned, to) if returned else []
        rows += self._left_by_others(connection, count - len(rows), to)
        rows += self._due(connection, count - len(rows), to)
        rows += self._planned(connection, self._within_limit(count - len(rows)), to)
        return Taken(rows, next_poll(connection))

    def _left_by_others(self, connection: sqlite3.Connection, count: int, to: _For) -> list[Row]:
        rows: list[Row] = []
        while self._may_run and len(rows) < count:
            wanted = self._may_run[len(rows) - count :]
            del self._may_run[len(rows) - count :]
            wanted.reverse()
            rows += _in_order(connection, _STILL_MAY_RUN, wanted, to)
        return rows

    def _due(self, connection: sqlite3.Connection, count: int, to: _For) -> list[Row]:
        rows = _rows(connection, _DUE, (to.now, count), to)
        if rows:
            connection.execute(_HANDED_OUT, (json.dumps([row.id for row in rows]),))
        return rows

    def _planned(self, connection: sqlite3.Connection, count: int, to: _For) -> list[Row]:
        rows = _rows(connection, _PLANNED, (self._position, self._id, count), to)
        rows.sort(key=lambda row: (row.index, row.id))
        if rows:
            self._position, self._id = rows[-1].index, rows[-1].id
        if self._limit is not None:
            self._limit -= len(rows)
        return rows

    def _within_limit(self, count: int) -> int:
        return count if self._limit is None else min(count, self._limit)


def next_poll(connection: sqlite3.Connection) -> float | None:
    """When the next parked row is due to be polled; None when none is parked."""
    found = connection.execute(_NEXT_POLL).fetchone()
    return None if found is None else found[0]


def by_key(key: str, store: Store) -> Row | None:
    """A row as it stands."""
    return next(iter(_rows(store.connection, _BY_KEY, (encode(key),), None)), None)


def _in_order(connection: sqlite3.Connection, statement: str, wanted: Sequence[int], to: _For) -> list[Row]:
    """Rows by their numbers, in this order."""
    found = {row.id: row for row in _rows(connection, statement, (json.dumps(list(wanted)),), to)}
    return [found[row] for row in wanted if row in found]


def _rows(
    connection: sqlite3.Connection, statement: str, values: Sequence[object], to: _For | None
) -> list[Row]:
    (text,) = connection.execute(statement, values).fetchone()
    return [_row(found, to) for found in json.loads(text)]


def _row(values: list[Any], to: _For | None) -> Row:
    (
        row,
        position,
        key,
        cells,
        state,
        remote_id,
        generation,
        status,
        orders,
        attempts,
        started_at,
        waiting_since,
        timings,
        retried_from,
        world,
        other_inputs,
        start_doubt,
        alias,
        location,
    ) = values
    return Row(
        id=row,
        index=position,
        key=key,
        cells=cells,
        state=RowState(state),
        remote_id=remote_id,
        alias=alias,
        location=location,
        generation=generation,
        status=status,
        orders=orders,
        attempts=attempts + (started_at is None),  # it is counted as it is taken up
        started_at=started_at,
        waiting_since=waiting_since,
        timings=timings or {},
        retried_from=None if retried_from is None else RowState(retried_from),
        elsewhere=remote_id is not None and to is not None and world not in to.same,
        other_inputs=world is not None and bool(other_inputs),
        start_doubt=None if start_doubt is None else StartDoubt(start_doubt),
        overtaken=to is not None and row in to.overtaken,
        waited=None if waiting_since is None or to is None else max(0.0, to.now - waiting_since),
        lease=None if to is None else RowLease(row, to.worker.owner, to.worker.epoch),
    )
