"""What of a batch directory is open for writing: the lock, the database, ``results.jsonl``. One thread's own.

Making a ledger: it is planned into ``ledger.db.new``, which nobody else looks at and nothing of which has to
survive; :meth:`Store.publish` brings it to the disk and gives it its name. From then on every group of changes
is on the disk when :meth:`Store.commit` returns.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from opus_async.batch.ledger.disk import OWNER_ONLY, sync_path
from opus_async.batch.ledger.filesystem import TypeOf, refuse_network
from opus_async.batch.ledger.lock import DirectoryLock
from opus_async.batch.ledger.results import ResultsFile
from opus_async.batch.ledger.schema import SCHEMA_VERSION, TABLES, VIEWS
from opus_async.batch.ledger.steps import TAKE, VIEW, triggers
from opus_async.batch.ledger.trouble import explained
from opus_async.batch.rows import RowState
from opus_async.errors import LedgerError, ManifestError, OpusError

log = logging.getLogger("opus_async.batch")

LEDGER = "ledger.db"
RESULTS = "results.jsonl"
_NEW = f"{LEDGER}.new"
_SIDE_FILES = ("", "-journal", "-wal", "-shm")

_PATIENCE = 10.0
"""Seconds to wait for another program that holds the database: a database tool that someone has open."""
_BOTH = ("PRAGMA cache_size = -16000", "PRAGMA temp_store = MEMORY")
"""16 MB: the index of 100,000 keys fits, and planning does not read pages again and again."""
_WHILE_NEW = ("PRAGMA journal_mode = MEMORY", "PRAGMA synchronous = OFF", *_BOTH)
"""Nothing that is not published has to survive."""
_PUBLISHED = (
    "PRAGMA synchronous = FULL",
    "PRAGMA fullfsync = ON",  # on macOS alone: fsync there leaves data in the disk's own cache
    "PRAGMA checkpoint_fullfsync = ON",
    "PRAGMA wal_autocheckpoint = 4000",  # pages, 16 MB: one that changes often is copied back seldom
    *_BOTH,
)

_COUNTS = "SELECT state, count(*) FROM rows GROUP BY state"
_RECORDED = "SELECT coalesce(max(result_offset + result_length), 0) FROM rows WHERE result_offset + result_length <= ?"
_LAST_LINE = "SELECT key, result_offset, result_length, result_digest FROM rows WHERE result_offset + result_length = ?"
_LOST_HISTORY = """
INSERT INTO history (at, row, state, note)
SELECT ?, id, CASE WHEN remote_id IS NULL THEN 'unknown' ELSE 'running' END, ?
FROM rows WHERE result_offset + result_length > ?
"""
_LOST = """
UPDATE rows SET state = CASE WHEN remote_id IS NULL THEN 'unknown' ELSE 'running' END, note = ?,
    ended_at = NULL, result_offset = NULL, result_length = NULL, result_digest = NULL
WHERE result_offset + result_length > ?
"""
_LOST_NOTE = "its line was missing from results.jsonl"


class Store:
    """See above; made by :meth:`create` or :meth:`open`.

    Attributes:
        facts: What table ``meta`` held when it was opened.
        counts: How many rows were in each state then.
        recollected: Completed rows whose lines had gone from ``results.jsonl``: their jobs are asked again.
    """

    def __init__(self, directory: Path, lock: DirectoryLock) -> None:
        self.directory = directory
        self.facts: dict[str, Any] = {}
        self.counts: dict[RowState, int] = {}
        self.recollected = 0
        self._connection: sqlite3.Connection
        self._steps: list[Mapping[str, Any]] = []
        self._lock = lock
        self._results: ResultsFile | None = None

    @property
    def connection(self) -> sqlite3.Connection:
        """To the database, after the steps that were taken so far."""
        if self._steps:
            steps, self._steps = self._steps, []
            self._connection.execute(TAKE, (json.dumps(steps),))
        return self._connection

    def step(self, step: Mapping[str, Any]) -> None:
        """Have a step written, with others, before anything else is done and before the group ends."""
        self._steps.append(step)

    @property
    def published(self) -> bool:
        """Whether what is committed survives."""
        return self._results is not None

    @property
    def results(self) -> ResultsFile:
        """The lines of completed rows."""
        assert self._results is not None  # noqa: S101 - nothing ends in a ledger that is not published
        return self._results

    @classmethod
    def create(cls, directory: Path, facts: Mapping[str, Any], *, at: float, file_system: TypeOf) -> Store:
        """Begin a ledger in a directory that has none.

        Raises:
            ManifestError: There is one, or results of one.
            LedgerError: The directory cannot be used.
        """
        with _explained(directory):
            directory.mkdir(parents=True, exist_ok=True)
            return cls._held(
                directory,
                lambda store: store._make({"schema_version": SCHEMA_VERSION, "created_at": at, **facts}),
                file_system,
            )

    @classmethod
    def open(cls, directory: Path, *, at: float, file_system: TypeOf) -> Store:
        """Open the ledger of a directory.

        Raises:
            LedgerError: There is none, or it cannot be used.
        """
        if not (directory / LEDGER).is_file():
            raise LedgerError(_nothing_there(directory))
        with _explained(directory):
            return cls._held(directory, lambda store: store._open(at), file_system)

    @classmethod
    def _held(cls, directory: Path, begin: Callable[[Store], None], file_system: TypeOf) -> Store:
        refuse_network(directory, file_system(directory))
        store = cls(directory, DirectoryLock(directory))
        try:
            begin(store)
        except BaseException:
            store.close()
            raise
        return store

    def begin(self) -> None:
        """Begin a group of changes."""
        self.connection.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Bring the lines of the group, then its changes, to the disk."""
        if self._results is not None:
            with _explained(self._results.path):
                self._results.write()
        self.connection.execute("COMMIT")

    def give_up(self, error: Exception) -> LedgerError:
        """Undo the group, and say what went wrong.

        Lines that were written stay: whether a commit that failed has reached the disk is only known when the
        ledger is opened again, and then they are cut off, or recorded.
        """
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        return explained(error, self.directory / LEDGER)

    def publish(self) -> None:
        """Bring the new ledger to the disk and give it its name: from here on resuming works."""
        new, path = self.directory / _NEW, self.directory / LEDGER
        with _explained(path):
            self.connection.close()
            sync_path(new)
            new.rename(path)
            sync_path(self.directory)
            self._connect(path)
            self._results = ResultsFile(self.directory / RESULTS)

    def close(self) -> None:
        """Close everything; what was never published is removed."""
        try:
            with suppress(AttributeError, sqlite3.Error):  # it may not be open
                self._connection.close()
            if self._results is not None:
                self._results.close()
            else:
                _remove_new(self.directory)
        finally:
            self._lock.release()

    # Beginning

    def _make(self, facts: Mapping[str, Any]) -> None:
        if (self.directory / LEDGER).exists():
            raise ManifestError(
                f"{self.directory} holds a batch already: 'opus-async batch resume {self.directory}' goes on with "
                f"it; for a new batch give another folder as --out"
            )
        results = self.directory / RESULTS
        if results.exists() and results.stat().st_size:
            raise ManifestError(
                f"{results} is there, and no ledger that it belongs to: move it away, or give another folder as "
                f"--out"
            )
        _remove_new(self.directory)
        new = self.directory / _NEW
        new.touch(OWNER_ONLY, exist_ok=False)
        self._connection = _connection(new)
        for statement in _WHILE_NEW:
            self.connection.execute(statement)
        self.connection.executescript(TABLES + VIEWS)
        self.connection.executemany(
            "INSERT INTO meta (name, value) VALUES (?, ?)",
            [(name, json.dumps(value)) for name, value in facts.items()],
        )
        self.facts = dict(facts)

    def _open(self, at: float) -> None:
        path = self.directory / LEDGER
        with _explained(path):
            self._connect(path)
            self._read_facts(path)
        with _explained(self.directory / RESULTS):
            self._results = ResultsFile(self.directory / RESULTS)
        with _explained(path):
            self._continue_results(self._results, at)
            self.counts = {RowState(state): rows for state, rows in self.connection.execute(_COUNTS)}
        _remove_new(self.directory)

    def _connect(self, path: Path) -> None:
        self._connection = _connection(path)
        (mode,) = self._connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise LedgerError(
                f"{path} lies where programs cannot share memory, which SQLite's write-ahead log needs: give a "
                f"folder on a local disk"
            )
        for statement in (*_PUBLISHED, VIEW, *triggers()):
            self._connection.execute(statement)

    def _read_facts(self, path: Path) -> None:
        try:
            found = self.connection.execute("SELECT name, value FROM meta").fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
                raise
            raise LedgerError(
                f"{path} is a database, and no ledger of opus-async: name the folder that was given as --out"
            ) from None
        try:
            self.facts = {name: json.loads(value) for name, value in found}
            version = int(self.facts["schema_version"])
        except (KeyError, TypeError, ValueError):
            raise LedgerError(
                f"{path} is no ledger of opus-async, or a damaged one: its table meta makes no sense. Put it "
                f"back from a backup together with results.jsonl"
            ) from None
        if version > SCHEMA_VERSION:
            raise LedgerError(
                f"{path} was written by a newer opus-async (schema {version}; this one knows {SCHEMA_VERSION}): "
                f"upgrade with 'pip install --upgrade opus-async'"
            )
        if version < SCHEMA_VERSION:
            raise LedgerError(
                f"{path} was written by an older opus-async (schema {version}; this one knows {SCHEMA_VERSION}): "
                f"finish the batch with that version"
            )

    def _continue_results(self, results: ResultsFile, at: float) -> None:
        """Make file and ledger agree: a longer file is cut, lines that are gone are to be fetched again."""
        (recorded,) = self.connection.execute(_RECORDED, (results.size,)).fetchone()
        _check_last_line(results, self.connection.execute(_LAST_LINE, (recorded,)).fetchone())
        size = results.size
        results.cut(recorded)
        self.begin()
        self.connection.execute(_LOST_HISTORY, (at, _LOST_NOTE, size))
        self.recollected = self.connection.execute(_LOST, (_LOST_NOTE, size)).rowcount
        self.connection.execute("COMMIT")
        if self.recollected:
            log.warning(
                "%s lacks the lines of %d completed rows (it was shortened, or is not where it was): what their "
                "jobs left is fetched again, without a new bill",
                results.path,
                self.recollected,
            )


def _check_last_line(results: ResultsFile, last: tuple[str, int, int, str] | None) -> None:
    """See whether the end of the file is what was recorded: one that was edited must not be gone on with."""
    if last is None:
        return
    key, offset, length, digest = last
    if hashlib.sha256(results.read(offset, length)).hexdigest() != digest:
        raise LedgerError(
            f"{results.path} was changed after it was written: the line of row {key!r} is not where it was put. "
            f"Bring the file back as it was; or move it away, and resuming fetches all results again (which "
            f"starts no job, and costs no bill)"
        )


def _connection(path: Path) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(uri, uri=True, timeout=_PATIENCE, isolation_level=None)


def _remove_new(directory: Path) -> None:
    for suffix in _SIDE_FILES:
        (directory / f"{_NEW}{suffix}").unlink(missing_ok=True)


def _nothing_there(directory: Path) -> str:
    if (directory / _NEW).exists():
        return (
            f"The batch in {directory} was never planned to its end, and nothing of it was ordered: plan it again "
            f"with 'opus-async batch run MANIFEST --workflow ID --out {directory}'"
        )
    return (
        f"There is no batch in {directory}: name the folder that was given as --out, or start one with "
        f"'opus-async batch run MANIFEST --workflow ID --out {directory}'"
    )


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """What the system or SQLite raises, as our error."""
    try:
        yield
    except OpusError:
        raise
    except (OSError, sqlite3.Error) as error:
        raise explained(error, path) from None
