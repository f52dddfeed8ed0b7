"""Which rows are to be worked on, in which order. A take costs by what it returns, not by what there is.

What is handed out is only remembered here, in the writer thread: by cursors that never go back. A row that is
due for a look loses its time as it is handed out, so that it is not due again before it is parked again.
"""

from __future__ import annotations

import json
import sqlite3
from array import array
from collections.abc import Sequence
from typing import Any

from opus_async.batch.ledger.sqlite_text import encode
from opus_async.batch.ledger.store import Store
from opus_async.batch.rows import Row, RowState
from opus_async.platform import StartDoubt

LONGEST_REST = 3600.0
"""Seconds. A look that is due later than that when a session begins was set by a clock that has jumped, or is
taken for it: to look once too often costs one request."""

_ROWS = """
SELECT json_group_array(json_array(rows.id, position, key, cells.cells, state, rows.remote_id, generation,
                                   status, orders, attempts, started_at, waiting_since, timings, retried_from,
                                   jobs.world, jobs.digest IS NOT rows.digest, jobs.start_doubt, jobs.alias))
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
_NEXT_DUE = "SELECT id FROM rows WHERE look_at <= ? ORDER BY look_at LIMIT ?"
_DUE = _ROWS + f"WHERE rows.id IN ({_NEXT_DUE})"
_NEXT_PLANNED = """
SELECT id FROM rows WHERE state = 'planned' AND (position, id) > (?, ?) ORDER BY position, id LIMIT ?
"""
_PLANNED = _ROWS + f"WHERE rows.id IN ({_NEXT_PLANNED})"
_BY_KEY = _ROWS + "WHERE key = ?"
_HANDED_OUT = "UPDATE rows SET look_at = NULL WHERE id IN (SELECT value FROM json_each(?))"
_NEXT_LOOK = "SELECT look_at FROM rows WHERE look_at IS NOT NULL ORDER BY look_at LIMIT 1"
_LOOK_NOW = "UPDATE rows SET look_at = ? WHERE state = 'waiting' AND (look_at IS NULL OR look_at > ?)"


class WorkQueue:
    """The rows of one session; made when it begins.

    Args:
        store: Where they are.
        now: In seconds since the epoch.
        same: Numbers of the worlds whose jobs may be ordered here.
    """

    def __init__(self, store: Store, now: float, same: frozenset[int]) -> None:
        self._same = same
        self._may_run = array("q", (row for (row,) in store.connection.execute(_MAY_RUN)))
        self._may_run.reverse()  # taken from the end
        self._position, self._id = -1, -1
        store.connection.execute(_LOOK_NOW, (now, now + LONGEST_REST))

    def take(self, count: int, now: float, store: Store) -> tuple[list[Row], float | None]:
        """Hand out so many rows at most.

        Returns:
            The rows, and when the next of those that rest is due.
        """
        connection = store.connection
        rows = self._left_by_others(connection, count)
        rows += self._due(connection, count - len(rows), now)
        rows += self._planned(connection, count - len(rows))
        return rows, next_look(connection)

    def _left_by_others(self, connection: sqlite3.Connection, count: int) -> list[Row]:
        rows: list[Row] = []
        while self._may_run and len(rows) < count:
            wanted = self._may_run[len(rows) - count :]
            del self._may_run[len(rows) - count :]
            wanted.reverse()
            found = {row.id: row for row in self._rows(connection, _STILL_MAY_RUN, json.dumps(list(wanted)))}
            rows += (found[row] for row in wanted if row in found)
        return rows

    def _due(self, connection: sqlite3.Connection, count: int, now: float) -> list[Row]:
        rows = self._rows(connection, _DUE, now, count)
        if rows:
            connection.execute(_HANDED_OUT, (json.dumps([row.id for row in rows]),))
        return rows

    def _planned(self, connection: sqlite3.Connection, count: int) -> list[Row]:
        rows = self._rows(connection, _PLANNED, self._position, self._id, count)
        rows.sort(key=lambda row: (row.index, row.id))
        if rows:
            self._position, self._id = rows[-1].index, rows[-1].id
        return rows

    def _rows(self, connection: sqlite3.Connection, statement: str, *values: object) -> list[Row]:
        return _rows(connection, statement, values, self._same)


def next_look(connection: sqlite3.Connection) -> float | None:
    """When the next row that rests is due; None when none rests."""
    found = connection.execute(_NEXT_LOOK).fetchone()
    return None if found is None else found[0]


def by_key(key: str, store: Store) -> Row | None:
    """A row as it stands."""
    return next(iter(_rows(store.connection, _BY_KEY, (encode(key),), None)), None)


def _rows(
    connection: sqlite3.Connection, statement: str, values: Sequence[object], same: frozenset[int] | None
) -> list[Row]:
    (text,) = connection.execute(statement, values).fetchone()
    return [_row(found, same) for found in json.loads(text)]


def _row(values: list[Any], same: frozenset[int] | None) -> Row:
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
    ) = values
    return Row(
        id=row,
        index=position,
        key=key,
        cells=json.loads(cells),
        state=RowState(state),
        remote_id=remote_id,
        alias=alias,
        generation=generation,
        status=status,
        orders=orders,
        attempts=attempts + (started_at is None),  # it is counted as it is taken up
        started_at=started_at,
        waiting_since=waiting_since,
        timings=json.loads(timings) if timings else {},
        retried_from=None if retried_from is None else RowState(retried_from),
        elsewhere=remote_id is not None and same is not None and world not in same,
        other_inputs=world is not None and bool(other_inputs),
        start_doubt=None if start_doubt is None else StartDoubt(start_doubt),
    )
