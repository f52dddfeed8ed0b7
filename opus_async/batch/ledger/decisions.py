"""Decisions of a person between sessions: rows that are tried again, and unknown rows that are settled."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from opus_async.batch.choices import ACCEPT_SECOND_BILL
from opus_async.batch.ledger.planning import EARLIER, Change
from opus_async.batch.ledger.result_recording import append
from opus_async.batch.ledger.schema import BY_PERSON
from opus_async.batch.ledger.sqlite_text import encode
from opus_async.batch.ledger.store import Store
from opus_async.batch.ledger.transitions import When
from opus_async.batch.rows import UNBILLED, RowState
from opus_async.errors import AmbiguousExecution, ManifestError
from opus_async.models import JobStatus
from opus_async.remote.contents import CONTENT

RETRIED = UNBILLED | {RowState.UNKNOWN}
"""States in which a row can be tried again; that of an unknown one may cost a second bill."""
RESOLVED = "resolved by a person"
"""A note for those who read the file; column ``decided_by`` is what counts."""
STARTED = frozenset({JobStatus.IN_PROGRESS, JobStatus.WAITING, JobStatus.COMPLETED})
"""Statuses of jobs that are billed, or will be unless they end badly."""
ACCEPTED = "accepted"
DIFFERED = "seen to differ from a job never started"
"""How it is told that an order was answered with a clear yes, or found to have taken effect."""
_ENDED_BADLY = frozenset({JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.TIMED_OUT})
_TOLD = 20
"""Keys that are named when they cannot be resolved; more are counted."""

_ANEW = """
UPDATE rows SET state = 'planned', retried_from = ?, stage = NULL, retries = retries + 1, started_at = NULL,
    ended_at = NULL, timings = NULL, error = NULL, error_type = NULL, cause = NULL, note = NULL,
    decided_by = NULL,
    orders_before = orders_before + CASE WHEN remote_id IS NULL THEN orders ELSE 0 END,
    orders = CASE WHEN remote_id IS NULL THEN 0 ELSE orders END,
    remote_id = CASE WHEN orders > 0 THEN remote_id END,
    generation = CASE WHEN orders > 0 THEN generation END
"""
"""A job that was ordered stays with its row, to be asked first; a shell that was not is left."""
_LEFT = """
UPDATE jobs SET gave_way = 1 WHERE row IN (SELECT id FROM rows WHERE state = ? AND orders = 0)
"""
_ALL_ANEW = f"{_ANEW} WHERE state = ?"
_ONE_ANEW = f"{_ANEW} WHERE id = ?"
_RETRIED_NOTE = "to be tried again"
_WAS_JOB = "? || coalesce('; its job ' || CASE WHEN orders > 0 THEN remote_id END || ' is asked first', '')"
_ALL_HISTORY = f"""
INSERT INTO history (at, session, row, state, note) SELECT ?, ?, id, 'planned', {_WAS_JOB}
FROM rows WHERE state = ?
"""  # noqa: S608 - words of ours
_ONE_ANEW_HISTORY = f"""
INSERT INTO history (at, session, row, state, note) SELECT ?, ?, id, 'planned', {_WAS_JOB}
FROM rows WHERE id = ?
"""  # noqa: S608 - words of ours, no values
_ACCEPTED = f"""
state = 'planned' AND doubt IS NOT NULL AND orders_before = 0
    AND ((orders = 0 AND (retries = 0 OR retried_from = 'unknown')) OR {EARLIER})
"""
"""Rows that run because a second bill was accepted for them, and that were not ordered yet."""
_DOUBTED_NOTE = "a second bill is not accepted this time"
_DOUBT_HISTORY = f"""
INSERT INTO history (at, row, state, note) SELECT ?, id, 'unknown', ? FROM rows WHERE {_ACCEPTED}
"""  # noqa: S608 - words of ours, no values
_DOUBT_JOBS = f"""
UPDATE jobs SET gave_way = 1 WHERE row IN (SELECT id FROM rows WHERE {_ACCEPTED} AND NOT {EARLIER})
"""  # noqa: S608 - words of ours, no values
_DOUBT = f"""
UPDATE rows SET state = 'unknown', ended_at = ?, error = doubt, error_type = ?, cause = doubt, session = NULL,
    remote_id = CASE WHEN {EARLIER} THEN remote_id END, generation = CASE WHEN {EARLIER} THEN generation END,
    orders = CASE WHEN {EARLIER} THEN orders ELSE 0 END, retried_from = NULL
WHERE {_ACCEPTED}
"""  # noqa: S608 - words of ours, no values
_ONE_HISTORY = "INSERT INTO history (at, session, row, state, note) VALUES (?, ?, ?, ?, ?)"
_DONE = """
UPDATE rows SET state = 'completed', ended_at = ?, decided_by = ?, note = ?,
    error = NULL, error_type = NULL, cause = NULL,
    result_offset = ?, result_length = ?, result_digest = ?
WHERE id = ?
"""
_FAILED = "UPDATE rows SET state = 'failed', ended_at = ?, decided_by = ?, note = ? WHERE id = ?"
_UNKNOWN = "SELECT id FROM rows WHERE state = 'unknown' ORDER BY position, id"
_BY_KEY = "SELECT id, state FROM rows WHERE key = ?"
_DIFFERED = """
SELECT 1 FROM rows JOIN jobs ON jobs.remote_id = rows.remote_id AND jobs.row = rows.id
WHERE rows.id = ? AND NOT gave_way AND start_doubt = 'differed'
"""
_STATUS = "SELECT key, status FROM rows WHERE id = ?"
_STORY = """
SELECT row, state FROM history WHERE state IN ('planned', 'running', 'waiting')
    AND row IN (SELECT id FROM rows WHERE state = 'unknown') ORDER BY id
"""
"""In one reading: there is no index by row."""
_BY_ID = "SELECT position, key, remote_id FROM rows WHERE id = ?"


def retry(states: Sequence[RowState], when: When, store: Store) -> Change:
    """Plan all rows of these states anew."""
    change: Counter[RowState] = Counter()
    for state in dict.fromkeys(states):
        store.connection.execute(_ALL_HISTORY, (*when, _RETRIED_NOTE, state))
        store.connection.execute(_LEFT, (state,))
        count = store.connection.execute(_ALL_ANEW, (state, state)).rowcount
        change[state] -= count
        change[RowState.PLANNED] += count
    # What the platform prepared may be why they failed: it is prepared anew, which costs time and no bill.
    store.connection.execute("DELETE FROM memory WHERE substr(name, 1, ?) <> ?", (len(CONTENT), CONTENT))
    return change


def doubt_again(at: float, store: Store) -> Change:
    """Plan rows as unknown again that an earlier batch may have billed, unless they were ordered.

    That a second bill is accepted holds for the command it is said to.
    """
    store.connection.execute(_DOUBT_HISTORY, (at, _DOUBTED_NOTE))
    store.connection.execute(_DOUBT_JOBS)
    count = store.connection.execute(_DOUBT, (at, AmbiguousExecution.__name__)).rowcount
    return {RowState.PLANNED: -count, RowState.UNKNOWN: count}


def unknown_rows(keys: Sequence[str] | None, store: Store) -> list[int]:
    """Ids of the unknown rows of these keys, or of all.

    Raises:
        ManifestError: A key is not in the ledger, or its row is not unknown; all of them are told.
    """
    if keys is None:
        return [row for (row,) in store.connection.execute(_UNKNOWN)]
    rows, problems = [], []
    for key in dict.fromkeys(map(encode, keys)):
        found = store.connection.execute(_BY_KEY, (key,)).fetchone()
        if found is None:
            problems.append(f"there is no row with the key {key!r}")
        elif found[1] != RowState.UNKNOWN:
            problems.append(f"row {key!r} is {found[1]}, not unknown")
        else:
            rows.append(found[0])
    if problems:
        raise ManifestError(
            "Nothing was resolved, because only rows that are unknown can be:", _some(problems)
        )
    return rows


def started(rows: Sequence[int], store: Store) -> dict[str, str]:
    """The same as :func:`known_started`, for whoever writes the ledger."""
    return known_started(store.connection, rows)


def known_started(connection: sqlite3.Connection, rows: Sequence[int] | None = None) -> dict[str, str]:
    """Of these unknown rows, or of all, those whose jobs were started: key -> how that is known.

    A bad end that was seen since is no bill.
    """
    if rows is None:
        rows = [row for (row,) in connection.execute(_UNKNOWN)]
    accepted = _accepted(rows, connection)
    found: dict[str, str] = {}
    for row in rows:
        key, status = connection.execute(_STATUS, (row,)).fetchone()
        if status in STARTED:
            found[key] = status
        elif connection.execute(_DIFFERED, (row,)).fetchone():
            found[key] = DIFFERED
        elif row in accepted and status not in _ENDED_BADLY:
            found[key] = ACCEPTED
    return found


def _accepted(rows: Sequence[int], connection: sqlite3.Connection) -> set[int]:
    """Those whose order was accepted, as far as their history tells."""
    wanted = set(rows)
    accepted: set[int] = set()
    for row, state in connection.execute(_STORY):
        if row in wanted and state == RowState.PLANNED:
            accepted.discard(row)
        elif row in wanted:
            accepted.add(row)
    return accepted


def refuse_started(found: Mapping[str, str]) -> None:
    """Refuse to settle rows whose jobs were started: a new job may be a second bill.

    Raises:
        ManifestError: It names the rows.
    """
    if found:
        raise ManifestError(
            "Nothing was resolved: the jobs of these rows were started, so they are billed or will be, and a "
            "row that is run again is billed again. Resume the batch, which waits for them and collects what "
            "they give; settle a row as 'done' if it ran, or accept a second bill:",
            _some([f"row {key!r}: {how}" for key, how in found.items()]),
        ).advised(*ACCEPT_SECOND_BILL)


def _some(problems: Sequence[str]) -> list[str]:
    more = [f"and {len(problems) - _TOLD:,} more"] if len(problems) > _TOLD else []
    return [*problems[:_TOLD], *more]


def resolve(decision: str, rows: Sequence[int], when: When, store: Store) -> Change:
    """Settle unknown rows."""
    to = {"done": RowState.COMPLETED, "retry": RowState.PLANNED, "failed": RowState.FAILED}[decision]
    for row in rows:
        if to is RowState.COMPLETED:
            line = append(_line(store.connection.execute(_BY_ID, (row,)).fetchone()), store)
            store.connection.execute(_DONE, (when.at, BY_PERSON, RESOLVED, *line, row))
        elif to is RowState.PLANNED:
            store.connection.execute(_ONE_ANEW_HISTORY, (*when, RESOLVED, row))
            store.connection.execute(_ONE_ANEW, (RowState.FAILED, row))
            continue
        else:
            store.connection.execute(_FAILED, (when.at, BY_PERSON, RESOLVED, row))
        store.connection.execute(_ONE_HISTORY, (*when, row, to, RESOLVED))
    return {RowState.UNKNOWN: -len(rows), to: len(rows)}


def _line(row: tuple[int, str, str | None]) -> bytes:
    """The line of ``results.jsonl`` of a row that a person called done: its outputs are not known."""
    position, key, remote_id = row
    line: dict[str, Any] = {
        "index": position,
        "key": key,
        "job_id": remote_id,
        "status": "COMPLETED",
        "outputs": {},
        "timings": {},
    }
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"
