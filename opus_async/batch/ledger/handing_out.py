"""Which rows are to be worked on, in which order. A take costs by the rows it returns, however many there are.

What is handed out is only remembered here, in the writer thread: by cursors that never go back. A row that is
due for a look loses its time as it is handed out, so that it is not due again before it is parked again.
"""

from __future__ import annotations

import json
import sqlite3
from array import array
from typing import Any

from opus_async.batch.ledger.store import Store
from opus_async.batch.ledger.text import storable
from opus_async.batch.rows import Row, RowState

LONGEST_REST = 3600.0
"""Seconds. A look that is due later than that when a session begins was set by a clock that has jumped, or is
taken for it: to look once too often costs one request."""

_ROW = """
SELECT rows.id, position, key, cells.cells, state, remote_id, generation, status, orders, attempts, started_at,
       waiting_since, timings
FROM rows JOIN cells ON cells.row = rows.id
"""
_MAY_RUN = """
SELECT id FROM rows WHERE state IN ('ordering', 'running') OR (state = 'unknown' AND remote_id IS NOT NULL)
ORDER BY CASE state WHEN 'ordering' THEN 0 WHEN 'running' THEN 1 ELSE 2 END, position, id
"""
_STILL_MAY_RUN = f"{_ROW} WHERE rows.id = ? AND state IN ('ordering', 'running', 'unknown')"
_DUE = f"{_ROW} WHERE look_at <= ? ORDER BY look_at LIMIT ?"
_PLANNED = (
    f"{_ROW} WHERE state = 'planned' AND (position, rows.id) > (?, ?) ORDER BY position, rows.id LIMIT ?"
)
_BY_KEY = f"{_ROW} WHERE key = ?"
_HANDED_OUT = "UPDATE rows SET look_at = NULL WHERE id = ?"
_NEXT_LOOK = "SELECT look_at FROM rows WHERE look_at IS NOT NULL ORDER BY look_at LIMIT 1"
_LOOK_NOW = "UPDATE rows SET look_at = ? WHERE state = 'waiting' AND (look_at IS NULL OR look_at > ?)"


class HandingOut:
    """The rows of one session; made when it begins.

    Args:
        store: Where they are.
        now: In seconds since the epoch.
    """

    def __init__(self, store: Store, now: float) -> None:
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
            rows += map(_row, connection.execute(_STILL_MAY_RUN, (self._may_run.pop(),)))
        return rows

    def _due(self, connection: sqlite3.Connection, count: int, now: float) -> list[Row]:
        rows = [_row(values) for values in connection.execute(_DUE, (now, count))]
        connection.executemany(_HANDED_OUT, [(row.id,) for row in rows])
        return rows

    def _planned(self, connection: sqlite3.Connection, count: int) -> list[Row]:
        rows = [_row(values) for values in connection.execute(_PLANNED, (self._position, self._id, count))]
        if rows:
            self._position, self._id = rows[-1].index, rows[-1].id
        return rows


def next_look(connection: sqlite3.Connection) -> float | None:
    """When the next row that rests is due; None when none rests."""
    found = connection.execute(_NEXT_LOOK).fetchone()
    return None if found is None else found[0]


def by_key(key: str, store: Store) -> Row | None:
    """A row as it stands."""
    found = store.connection.execute(_BY_KEY, (storable(key),)).fetchone()
    return None if found is None else _row(found)


def _row(values: tuple[Any, ...]) -> Row:
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
    ) = values
    return Row(
        id=row,
        index=position,
        key=key,
        cells=json.loads(cells),
        state=RowState(state),
        remote_id=remote_id,
        generation=generation,
        status=status,
        orders=orders,
        attempts=attempts + (started_at is None),  # it is counted as it is taken up
        started_at=started_at,
        waiting_since=waiting_since,
        timings=json.loads(timings) if timings else {},
    )
