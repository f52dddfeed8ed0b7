"""Reads a ledger without changing it: safe beside the process that writes it, and after its death.

Only what a process that died has left half-written is undone first, as SQLite does for whoever writes next.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from pydantic_core import from_json

from opus_async.batch.ledger import database
from opus_async.batch.ledger.decisions import known_started
from opus_async.batch.ledger.migrations import HAS_ALIAS, show_current_columns
from opus_async.batch.ledger.own_files import open_own
from opus_async.batch.ledger.schema import BY_PERSON, SCHEMA_VERSION
from opus_async.batch.ledger.sqlite_errors import to_ledger_error
from opus_async.batch.ledger.stored import (
    DECIDED,
    NOT_COMPLETED,
    FailureGroup,
    StoredRow,
    StoredSample,
    StoredSession,
)
from opus_async.batch.meta import BatchMeta
from opus_async.batch.rows import EarlierJob, RowState
from opus_async.errors import LedgerError
from opus_async.layout import LEDGER, RESULTS
from opus_async.metrics.cost import BilledJobs, Cost
from opus_async.metrics.counts import Counts
from opus_async.metrics.failure_groups import group_label
from opus_async.metrics.samples import Sample
from opus_async.transport.shortage import out_of

_NEEDS_WRITING = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM})


_COLUMNS = tuple(each.name for each in fields(StoredRow))
_SELECTED = ", ".join(
    {"index": "rows.position", "cells": "cells.cells"}.get(name, f"rows.{name}") for name in _COLUMNS
)
_ROWS = f"SELECT {_SELECTED} FROM rows LEFT JOIN cells ON cells.row = rows.id"  # noqa: S608 - names of ours
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
_ALIAS = "SELECT alias FROM jobs WHERE remote_id = ? AND row = ? AND NOT gave_way"
_UNENDED = "SELECT id FROM sessions WHERE ended_at IS NULL"
_OF_UNENDED = f"WHERE EXISTS ({_UNENDED}) AND session IN ({_UNENDED}) GROUP BY session"
"""Of sessions that recorded no end; where all did, none of what may be many changes is looked at."""
_SESSIONS = f"""
SELECT id, began_at, ended_at,
       max(began_at, coalesce(ended_at, 0), coalesce(sampled.at, 0), coalesce(changed.at, 0)),
       pid, host, version, settings, ended_because, exit_code,
       coalesce(stray_shells, 0), coalesce(uploads_saved, 0)
FROM sessions
LEFT JOIN (SELECT session, max(at) AS at FROM samples {_OF_UNENDED}) AS sampled ON sampled.session = id
LEFT JOIN (SELECT session, max(at) AS at FROM history {_OF_UNENDED}) AS changed ON changed.session = id
ORDER BY id
"""  # noqa: S608 - words of ours, no values


_MAY_BE_BILLED = """
SELECT coalesce(sum(state = 'completed'), 0),
       coalesce(sum(max(0, CASE
           WHEN state = 'unknown' OR decided_by IS NOT NULL THEN orders - (state = 'completed')
           WHEN state = 'planned' AND id IN (SELECT row FROM history WHERE state = 'unknown') THEN orders
           ELSE orders - 1 END)
       + CASE WHEN orders_before = 0 THEN 0
              WHEN id IN (SELECT row FROM history WHERE state = 'unknown') THEN orders_before
              ELSE max(0, orders_before - retries) END), 0),
       coalesce(sum(state IN ('ordering', 'running', 'waiting')), 0)
FROM rows
"""
"""An order beyond the first may have started a second run of its job. A job that was given up counts where
its row was once unknown; else it is known to have ended badly, and only further orders of it count."""


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
            self._connection = database.open_for_reading(self._path)
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
    def snapshot(self) -> Iterator[None]:
        """Read all that is read inside from one moment of the ledger."""
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

    def unknown_started(self) -> int:
        """How many unknown rows have jobs that were started, as the ledger knows."""
        with self._explained():
            return len(known_started(self._connection))

    def cost(self) -> Cost | None:
        """What the batch has cost so far; None where nobody told a price."""
        price = self.meta.settings.price
        if price is None:
            return None
        ((certain, possible, in_flight),) = self._select(_MAY_BE_BILLED)
        return Cost(price=price, jobs=BilledJobs(certain=certain, possible=possible, in_flight=in_flight))

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

    def alias_of(self, row: StoredRow) -> str | None:
        """The second id of the job of a row; None where it has none, or none is known."""
        if next(self._select(HAS_ALIAS), None) is None:
            return None
        return next((alias for (alias,) in self._select(_ALIAS, (row.remote_id, row.id))), None)

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
        if not states:  # the other two look through all rows once more
            return ()
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

    def knows_input(self, path: str) -> bool:
        """Whether rows named a file by this path or URL, when they were planned."""
        return any(True for _ in self._select("SELECT 1 FROM files WHERE path = ?", (path,)))

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
        place = row.result_offset, row.result_length, row.result_digest, row.index, row.key
        return next(self._results_at((place,)))

    def _results_at(
        self, places: Iterable[tuple[int, int, str | None, int, str]]
    ) -> Iterator[dict[str, Any]]:
        """Lines of ``results.jsonl``, each by its offset, length and digest, and its row's index and key."""
        try:
            for offset, length, digest, index, key in places:
                if self._results is None:
                    self._results = os.fdopen(open_own(self.directory / RESULTS, os.O_RDONLY), "rb")
                self._results.seek(offset)
                line = self._results.read(length)
                result = _parsed(line) if sha256(line).hexdigest() == digest else None
                if result is None or result["key"] != key:
                    raise LedgerError(
                        f"{self.directory / RESULTS} does not hold what was recorded for row {index}, key "
                        f"{key!r}: it was changed after it was written. Bring the file back as it was; or "
                        f"move it away, and 'opus-async batch resume {self.directory}' fetches all results "
                        "again without a bill"
                    )
                yield result
        except OSError as error:
            if out_of(error):
                raise to_ledger_error(error, self.directory / RESULTS) from None
            raise LedgerError(f"{self.directory / RESULTS} cannot be read ({error.strerror})") from None

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
            # "yield from" would close the cursor of a reader that stops early: after the ledger that fails.
            for found in self._connection.execute(statement, values):  # noqa: UP028
                yield found

    def _json(self, text: str | None) -> Any:
        with self._explained():
            return {} if text is None else json.loads(text)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """What SQLite or the ledger's content raises, as our error."""
        try:
            yield
        except sqlite3.Error as error:
            needs_writing = getattr(error, "sqlite_errorcode", 0) & 0xFF in _NEEDS_WRITING
            if needs_writing and not out_of(error):
                raise LedgerError(
                    f"{self._path} cannot be opened: reading it takes the right to write to its folder (for "
                    "memory that it shares with its writer, and to undo what a dead one left half-written). "
                    "Without that right, copy the folder"
                ) from None
            raise to_ledger_error(error, self._path) from None
        except ValueError as error:
            raise LedgerError(f"{self._path} holds what this version cannot read ({error})") from None


def _parsed(line: bytes) -> dict[str, Any]:
    """What a line of ``results.jsonl`` holds."""
    try:
        result: dict[str, Any] = from_json(line)
    except ValueError:  # half of a surrogate pair, or hundreds of levels of nesting
        result = json.loads(line.decode())  # of bytes it would guess the encoding
    return result
