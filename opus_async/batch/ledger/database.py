"""Connections to the database of a ledger: to create it, to write it, to read it."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path

from opus_async.batch.ledger.own_files import refuse_strange
from opus_async.batch.ledger.schema import IDENTITY, TABLES, VIEWS
from opus_async.batch.ledger.transitions import temp_schema
from opus_async.disk import OWNER_ONLY
from opus_async.errors import LedgerError
from opus_async.layout import LEDGER

NEW_LEDGER = f"{LEDGER}.new"
"""A ledger while it is planned: nobody else looks at it, and nothing of it has to survive."""
SIDE_FILES = ("-journal", "-wal", "-shm")
"""What SQLite puts beside a database, after its name."""
_PATIENCE = 10.0
"""Seconds to wait for another program that holds the database: a database tool that someone has open."""
_ALWAYS = "PRAGMA cache_size = -16000; PRAGMA temp_store = MEMORY;"
"""16 MB: the index of 100,000 keys fits, and planning does not read pages again and again."""
_WHILE_NEW = f"PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; {_ALWAYS}"
"""Nothing that is not published has to survive."""
_DURABLE = f"""
PRAGMA synchronous = FULL;
PRAGMA fullfsync = ON;              -- on macOS, where fsync alone leaves data in the disk's own cache
PRAGMA checkpoint_fullfsync = ON;
PRAGMA wal_autocheckpoint = 0;      -- the store does it, and marks that it was done
{_ALWAYS}
"""


def missing(directory: Path) -> LedgerError:
    """The error for a directory without a ledger: it says whether one was begun, and what to do."""
    if (directory / NEW_LEDGER).exists():
        return LedgerError(
            f"The batch in {directory} was never planned to its end, and nothing of it was ordered: plan it "
            f"again with 'opus-async batch run MANIFEST --workflow ID --out {directory}'"
        )
    return LedgerError(
        f"There is no batch in {directory}: name the directory of a batch, or start one with "
        f"'opus-async batch run MANIFEST --workflow ID --out {directory}'"
    )


def refuse_links(path: Path, *, written: bool) -> None:
    """Refuse a database that is a link or no file of ours, or whose side files are.

    Raises:
        LedgerDoubtful: One is a link, or no file.
    """
    for suffix in ("", *SIDE_FILES):
        refuse_strange(path.with_name(f"{path.name}{suffix}"), written=written)


def recover(path: Path) -> None:
    """Roll back what a process that died left half-written; a connection that only reads cannot.

    Harmless beside a process that writes: SQLite tells its journal from one that was left.

    Raises:
        sqlite3.Error: It cannot be: the folder may not be written to, say.
    """
    journal = path.with_name(f"{path.name}-journal")
    if journal.exists() and journal.stat().st_size:
        connection = _connect(path)
        try:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        finally:
            connection.close()


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open a database that is there, so that nothing can change it."""
    return _connect(path, mode="ro")


def create(path: Path) -> sqlite3.Connection:
    """Create a database with its tables. It is not durable yet."""
    path.touch(OWNER_ONLY, exist_ok=False)  # what SQLite puts beside it gets the same permissions
    connection = _connect(path)
    try:
        connection.executescript(f"{_WHILE_NEW} BEGIN; {TABLES} {IDENTITY} {VIEWS} COMMIT;")
    except BaseException:
        connection.close()
        raise
    return connection


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Open a database that is there for writing: what is committed to it survives.

    Raises:
        LedgerError: It lies where it cannot be shared with those who read it.
    """
    _withdraw(path)
    connection = _connect(path)
    try:
        _log_ahead(connection, path)
        connection.executescript(f"{_DURABLE} {IDENTITY} {temp_schema()}")
    except BaseException:
        connection.close()
        raise
    return connection


def _withdraw(path: Path) -> None:
    """Let nobody but its owner read a database; what is made beside it gets the same permissions."""
    for suffix in ("", *SIDE_FILES):
        with suppress(FileNotFoundError, PermissionError):  # that one is another user's, whose choice it is
            path.with_name(f"{path.name}{suffix}").chmod(OWNER_ONLY)


def finish(connection: sqlite3.Connection, path: Path) -> None:
    """Close a new database so that its file alone is the whole of it, and nothing is to be done to it first.

    Raises:
        LedgerError: As :func:`open_for_writing`.
    """
    try:
        _log_ahead(connection, path)
    finally:
        connection.close()
    for suffix in SIDE_FILES:
        if path.with_name(f"{path.name}{suffix}").exists():
            raise LedgerError(
                f"{path.name}{suffix} stays beside the new ledger: check the disk, and run again"
            )


def _log_ahead(connection: sqlite3.Connection, path: Path) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise LedgerError(
            f"{path} lies where programs cannot share memory, which SQLite's write-ahead log needs: give a "
            f"folder on a local disk"
        )


def _connect(path: Path, mode: str = "rw") -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"  # one that is not there is not made
    return sqlite3.connect(uri, uri=True, timeout=_PATIENCE, isolation_level=None)
