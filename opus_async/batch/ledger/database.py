"""Connections to the database of a ledger, set up for what they are to be trusted with."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from opus_async.batch.ledger.disk import OWNER_ONLY
from opus_async.batch.ledger.schema import TABLES, VIEWS
from opus_async.batch.ledger.steps import definitions
from opus_async.errors import LedgerError

_PATIENCE = 10.0
"""Seconds to wait for another program that holds the database: a database tool that someone has open."""
_ALWAYS = ("PRAGMA cache_size = -16000", "PRAGMA temp_store = MEMORY")
"""16 MB: the index of 100,000 keys fits, and planning does not read pages again and again."""
_WHILE_NEW = ("PRAGMA journal_mode = MEMORY", "PRAGMA synchronous = OFF", *_ALWAYS)
"""Nothing that is not published has to survive."""
_DURABLE = (
    "PRAGMA synchronous = FULL",
    "PRAGMA fullfsync = ON",  # on macOS, where fsync alone leaves data in the disk's own cache
    "PRAGMA checkpoint_fullfsync = ON",
    "PRAGMA wal_autocheckpoint = 4000",  # pages, 16 MB: one that changes often is copied back seldom
    *_ALWAYS,
)


def make(path: Path) -> sqlite3.Connection:
    """A new database, with its tables, that is not durable."""
    path.touch(OWNER_ONLY, exist_ok=False)  # what SQLite puts beside it gets the same permissions
    connection = _connect(path)
    try:
        for statement in _WHILE_NEW:
            connection.execute(statement)
        connection.executescript(TABLES + VIEWS)
    except BaseException:
        connection.close()
        raise
    return connection


def open_durable(path: Path) -> sqlite3.Connection:
    """One that is there: what is committed to it survives.

    Raises:
        LedgerError: It lies where it cannot be shared with those who read it.
    """
    connection = _connect(path)
    try:
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        for statement in (*_DURABLE, *definitions()):
            connection.execute(statement)
    except BaseException:
        connection.close()
        raise
    if mode != "wal":
        connection.close()
        raise LedgerError(
            f"{path} lies where programs cannot share memory, which SQLite's write-ahead log needs: give a "
            f"folder on a local disk"
        )
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=rw"  # one that is not there is not made
    return sqlite3.connect(uri, uri=True, timeout=_PATIENCE, isolation_level=None)
