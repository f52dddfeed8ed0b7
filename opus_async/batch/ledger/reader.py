"""A look at a ledger that changes nothing: safe beside the process that writes it, and after its death.

Only what a process that died has left half-written is undone first, as SQLite does for whoever writes next.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, BinaryIO, Self

from opus_async.batch.ledger import database
from opus_async.batch.ledger.migrations import show_current_columns
from opus_async.batch.ledger.own_files import open_own
from opus_async.batch.ledger.schema import BY_PERSON, SCHEMA_VERSION
from opus_async.batch.ledger.sqlite_errors import to_ledger_error
from opus_async.batch.meta import BatchMeta
from opus_async.batch.rows import ENDED, EarlierJob, RowState
from opus_async.errors import LedgerError
from opus_async.layout import LEDGER, RESULTS
from opus_async.metrics.counts import Counts
from opus_async.metrics.failure_groups import group_label
from opus_async.metrics.samples import Sample

NOT_COMPLETED = ENDED - {RowState.COMPLETED}
"""States of rows that have an end and no result."""

_NEEDS_WRITING = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM})
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRow:
    """A row as it stands in the ledger.

    Attributes:
        id: The ledger's own number for it.
        index: Its place in the manifest, from 0.
        key: What names it.
        digest: SHA-256 in hex of what it asks for.
        state: Where it stands.
        stage: The platform's stage it is in, or ended in.
        remote_id: The platform's id of its job.
        generation: Of the platform's API, by which the id is known.
        status: The platform's last word on it.
        orders: How many orders to start it were made durable.
        attempts: How often it was taken up from the beginning.
        session: The session that last changed it.
        started_at: When it was first taken up; this and all other times in seconds since the epoch.
        ordered_at: When the order to start was about to leave.
        ended_at: When its end was known.
        look_at: When it is to be looked at again.
        waiting_since: Since when it waits for a person.
        timings: Seconds per stage, and ``total``.
        error: What went wrong.
        error_type: The name of the error's class.
        cause: The same for all rows that failed for the same reason.
        note: What a person, or the planning, left to say.
        decided_by: ``person`` where one said that it is completed or failed; else None.
        result_offset: Where its line of ``results.jsonl`` begins, in bytes.
        result_length: Of that line in bytes, the line end included.
        result_digest: SHA-256 in hex of that line.
        plan: The planning that last saw it in the manifest.
        cells: Column -> value, as planned.
    """

    id: int
    index: int
    key: str
    digest: str | None
    state: RowState
    stage: str | None
    remote_id: str | None
    generation: str | None
    status: str | None
    orders: int
    attempts: int
    session: int | None
    started_at: float | None
    ordered_at: float | None
    ended_at: float | None
    look_at: float | None
    waiting_since: float | None
    timings: Mapping[str, float] = field(repr=False)
    error: str | None
    error_type: str | None
    cause: str | None
    note: str | None
    decided_by: str | None
    result_offset: int | None
    result_length: int | None
    result_digest: str | None
    plan: int | None
    cells: Mapping[str, Any] = field(repr=False)

    @property
    def reason(self) -> str | None:
        """What went wrong; of a row that a person called failed, that this was so."""
        return reason(self.state, self.decided_by, self.error)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSession:
    """One process that worked on the batch.

    Attributes:
        id: Its number, from 1.
        began_at: In seconds since the epoch.
        ended_at: In seconds since the epoch; None while it works, and for ever when it died.
        seen_at: The last moment of which it left a trace: its end, a sample, or a change of a row.
        pid: Its process id.
        host: The machine it ran on.
        version: Of this package.
        settings: What it was told to do, without secrets.
        ended_because: Why it stopped.
        exit_code: What the shell was told.
        stray_shells: Shells it made that were never started.
        uploads_saved: Files that needed no upload, because the same content was there.
    """

    id: int
    began_at: float
    ended_at: float | None
    seen_at: float
    pid: int | None
    host: str | None
    version: str | None
    settings: Mapping[str, Any]
    ended_because: str | None
    exit_code: int | None
    stray_shells: int
    uploads_saved: int


@dataclass(frozen=True, slots=True)
class StoredSample:
    """A sample, and when it was taken.

    Attributes:
        at: In seconds since the epoch.
        session: By which session.
        sample: How that one stood.
    """

    at: float
    session: int
    sample: Sample


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Rows that ended without completing for the same reason.

    Attributes:
        cause: The reason.
        count: How many they are.
        states: How many of them are in which state.
        examples: The first of them in manifest order.
        told: The cause as people read it.
    """

    cause: str
    count: int
    states: Mapping[RowState, int]
    examples: tuple[StoredRow, ...]
    told: str


_COLUMNS = tuple(each.name for each in fields(StoredRow))
_SELECTED = ", ".join(
    {"index": "rows.position", "cells": "cells.cells"}.get(name, f"rows.{name}") for name in _COLUMNS
)
_ROWS = f"SELECT {_SELECTED} FROM rows LEFT JOIN cells ON cells.row = rows.id"  # noqa: S608 - names of ours
DECIDED = "a person decided that it failed"
_BY_A_PERSON = f"rows.state = 'failed' AND rows.decided_by = '{BY_PERSON}'"
CAUSE = (
    f"CASE WHEN {_BY_A_PERSON} THEN '{DECIDED}' "
    "ELSE coalesce(rows.cause, rows.error_type, 'no reason was recorded') END"
)
"""What failures are grouped by, in SQL."""
_WITHOUT_RESULT = f"rows.state IN ({', '.join(repr(state.value) for state in sorted(NOT_COMPLETED))})"
_CAUSES = f"SELECT {CAUSE}, state, count(*) FROM rows WHERE {_WITHOUT_RESULT} GROUP BY 1, 2"  # noqa: S608 - words of ours, no values
_SAME_ERRORS = f"""
SELECT {CAUSE}, min(error) FROM rows WHERE {_WITHOUT_RESULT}
GROUP BY 1 HAVING count(error) = count(*) AND min(error) = max(error)
"""  # noqa: S608 - words of ours, no values
_EXAMPLES = f"""
SELECT cause, id FROM (
    SELECT {CAUSE} AS cause, id, position,
           row_number() OVER (PARTITION BY {CAUSE} ORDER BY position, id) AS place
    FROM rows WHERE {_WITHOUT_RESULT})
WHERE place <= ? ORDER BY position, id
"""  # noqa: S608 - words of ours, no values
_JOB = """
SELECT jobs.digest, worlds.facts FROM jobs JOIN worlds ON worlds.id = jobs.world
WHERE jobs.remote_id = ? AND jobs.row = ? AND NOT gave_way
"""
_SESSIONS = """
SELECT id, began_at, ended_at,
       max(began_at, coalesce(ended_at, 0), coalesce(sampled.at, 0), coalesce(changed.at, 0)),
       pid, host, version, settings, ended_because, exit_code,
       coalesce(stray_shells, 0), coalesce(uploads_saved, 0)
FROM sessions
LEFT JOIN (SELECT session, max(at) AS at FROM samples GROUP BY session) AS sampled ON sampled.session = id
LEFT JOIN (SELECT session, max(at) AS at FROM history GROUP BY session) AS changed ON changed.session = id
ORDER BY id
"""


class LedgerReader:
    """Reads the ledger of a batch directory; never writes it.

    What a method streams is one moment of the ledger, however long the reading takes; between two calls a
    running batch goes on. Belongs to the thread that made it.

    Args:
        directory: Of the batch.

    Raises:
        LedgerError: Here and everywhere: there is none, or it cannot be read; the message says what to do.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._path = directory / LEDGER
        self._results: BinaryIO | None = None
        if not self._path.is_file():
            raise database.missing(directory)
        with self._explained():
            database.refuse_links(self._path, written=False)
            database.recover(self._path)
            self._connection = database.open_to_look(self._path)
        try:
            with self._explained():
                show_current_columns(self._connection)
            self.meta = self._read_meta()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        self._connection.close()
        if self._results is not None:
            self._results.close()

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        """All that is read inside is of one moment."""
        with self._explained():
            self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.rollback()

    def counts(self) -> Counts:
        """How many rows are in each state."""
        found = self._select("SELECT state, count(*) FROM rows GROUP BY state")
        with self._explained():
            return Counts(**{RowState(state).value: count for state, count in found})

    def attempts(self) -> int:
        """How often rows were taken up from the beginning, over all rows."""
        ((attempts,),) = self._select("SELECT coalesce(sum(attempts), 0) FROM rows")
        return int(attempts)

    def rows(self, states: Collection[RowState] | None = None) -> Iterator[StoredRow]:
        """Rows in manifest order, as they are read.

        Args:
            states: Only rows in these; None for all.
        """
        wanted = tuple(states or ())
        chosen = "" if states is None else f"WHERE rows.state IN ({', '.join('?' * len(wanted))})"
        return map(self._row, self._select(f"{_ROWS} {chosen} ORDER BY rows.position, rows.id", wanted))

    def ordered_job(self, row: StoredRow) -> EarlierJob | None:
        """The job of a row, if an order to start it may have left."""
        if not row.orders or row.remote_id is None:
            return None
        found = next(self._select(_JOB, (row.remote_id, row.id)), None)
        if found is None:
            return None
        digest, world = found
        return EarlierJob(remote_id=row.remote_id, world=self._json(world), digest=digest, state=row.state)

    def sessions(self) -> tuple[StoredSession, ...]:
        """All sessions, the oldest first."""
        names = [each.name for each in fields(StoredSession)]
        sessions = (dict(zip(names, values, strict=True)) for values in self._select(_SESSIONS))
        return tuple(
            StoredSession(**session | {"settings": self._json(session["settings"])}) for session in sessions
        )

    def samples(self, since: float = 0.0) -> Iterator[StoredSample]:
        """How the sessions stood, in the order of time, as they are read.

        Args:
            since: Samples taken before are left out; in seconds since the epoch.
        """
        chosen = "SELECT at, session, data FROM samples WHERE at >= ? ORDER BY id"
        for at, session, data in self._select(chosen, (since,)):
            yield StoredSample(at, session, Sample.from_json(self._json(data)))

    def failures_by_cause(self, limit_examples: int = 3) -> tuple[FailureGroup, ...]:
        """Rows that ended without completing, by reason, the most frequent reason first."""
        states: dict[str, dict[RowState, int]] = {}
        for cause, state, count in self._select(_CAUSES):
            states.setdefault(cause, {})[RowState(state)] = count
        examples = self._examples(limit_examples)
        same: dict[str, str] = dict(self._select(_SAME_ERRORS))
        groups = [
            FailureGroup(
                cause=cause,
                count=sum(counts.values()),
                states=counts,
                examples=tuple(examples.get(cause, ())),
                told=group_label(cause, same.get(cause)),
            )
            for cause, counts in states.items()
        ]
        return tuple(sorted(groups, key=lambda group: (-group.count, group.cause)))

    def has_files(self) -> bool:
        """Whether a result file of any row lies in the batch directory."""
        ((found,),) = self._select("SELECT EXISTS (SELECT 1 FROM downloads)")
        return bool(found)

    def files_of(self, row: StoredRow) -> list[str]:
        """Its result files that lie in the batch directory, as paths relative to that."""
        return [path for (path,) in self._select("SELECT path FROM downloads WHERE row = ?", (row.id,))]

    def inputs_with(self, inode: int) -> list[Path]:
        """The files that rows name and that had this number on their disk, when they were read."""
        signed = (inode + (1 << 63)) % (1 << 64) - (1 << 63)  # as the ledger keeps it
        return [Path(path) for (path,) in self._select("SELECT path FROM files WHERE inode = ?", (signed,))]

    def outputs_with(self, size: int) -> list[str]:
        """The result files of this size, from the batch directory."""
        return [path for (path,) in self._select("SELECT path FROM downloads WHERE size = ?", (size,))]

    def result_of(self, row: StoredRow) -> dict[str, Any] | None:
        """A row's line of ``results.jsonl``; None for a row that has none.

        Raises:
            LedgerError: The file does not hold what was recorded.
        """
        if row.result_offset is None or row.result_length is None:
            return None
        try:
            if self._results is None:
                self._results = os.fdopen(open_own(self.directory / RESULTS, os.O_RDONLY), "rb")
            self._results.seek(row.result_offset)
            line = self._results.read(row.result_length)
        except OSError as error:
            raise LedgerError(f"{self.directory / RESULTS} cannot be read ({error.strerror})") from None
        if hashlib.sha256(line).hexdigest() == row.result_digest:
            result: dict[str, Any] = json.loads(line)
            if result["key"] == row.key:
                return result
        raise LedgerError(
            f"{self.directory / RESULTS} does not hold what was recorded for row {row.index}, key "
            f"{row.key!r}: it was changed after it was written. Bring the file back as it was; or move it "
            f"away, and 'opus-async batch resume {self.directory}' fetches all results again without a bill"
        )

    def _examples(self, limit: int) -> Mapping[str, list[StoredRow]]:
        examples: dict[str, list[StoredRow]] = {}
        for cause, row_id in self._select(_EXAMPLES, (limit,)):
            found = next(self._select(f"{_ROWS} WHERE rows.id = ?", (row_id,)))
            examples.setdefault(cause, []).append(self._row(found))
        return examples

    def _row(self, values: tuple[Any, ...]) -> StoredRow:
        row = dict(zip(_COLUMNS, values, strict=True))
        with self._explained():
            row["state"] = RowState(row["state"])
            row["timings"] = json.loads(row["timings"] or "{}")
            row["cells"] = json.loads(row["cells"] or "{}")
        return StoredRow(**row)

    def _read_meta(self) -> BatchMeta:
        facts = {name: self._json(value) for name, value in self._select("SELECT name, value FROM meta")}
        if facts.get("schema_version", SCHEMA_VERSION) > SCHEMA_VERSION:
            raise LedgerError(
                f"{self._path} was made by a newer version of opus-async: look at it with that one, or update"
            )
        with self._explained():
            return BatchMeta.of(facts)

    def _select(self, statement: str, values: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        with self._explained():
            yield from self._connection.execute(statement, values)

    def _json(self, text: str | None) -> Any:
        with self._explained():
            return {} if text is None else json.loads(text)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """What SQLite or the ledger's content raises, as our error."""
        try:
            yield
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _NEEDS_WRITING:
                raise LedgerError(
                    f"{self._path} cannot be opened: reading it takes the right to write to its folder (for "
                    "memory that it shares with its writer, and to undo what a dead one left half-written). "
                    "Without that right, copy the folder"
                ) from None
            raise to_ledger_error(error, self._path) from None
        except ValueError as error:
            raise LedgerError(f"{self._path} holds what this version cannot read ({error})") from None


def reason(state: RowState, decided_by: str | None, error: str | None) -> str | None:
    """What went wrong with a row; of one that a person called failed, that this was so."""
    if state is not RowState.FAILED or decided_by != BY_PERSON:
        return error
    return f"{DECIDED}; until then: {error}" if error else DECIDED
