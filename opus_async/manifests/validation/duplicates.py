"""What came by already, also of millions of rows: a few bytes each, on the disk beyond some megabytes."""

from __future__ import annotations

import sqlite3
from hashlib import blake2b
from typing import NamedTuple

_MEMORY_KIB = 4096


class FirstSeen(NamedTuple):
    """The first row of a name: where it stands, and the digest of its content."""

    where: str
    content: bytes


class DuplicateIndex:
    """Rows and files seen so far. Nothing of it outlives :meth:`close`, or the process."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)  # a temporary file without a name
        self._database.executescript(
            f"""
            PRAGMA cache_size = -{_MEMORY_KIB};
            PRAGMA journal_mode = OFF;
            PRAGMA synchronous = OFF;
            CREATE TABLE rows(name BLOB PRIMARY KEY, content BLOB, place TEXT) WITHOUT ROWID;
            CREATE TABLE files(path BLOB PRIMARY KEY) WITHOUT ROWID;
            BEGIN;
            """
        )

    def row(self, name: str | bytes, content: bytes, where: str) -> FirstSeen | None:
        """Take note of a row; the first one of this name, if this is not it."""
        entry = (_short(name), content, where)
        if self._database.execute("INSERT OR IGNORE INTO rows VALUES (?, ?, ?)", entry).rowcount:
            return None
        found = self._database.execute("SELECT place, content FROM rows WHERE name = ?", entry[:1])
        return FirstSeen(*found.fetchone())

    def file(self, path: str) -> bool:
        """Take note of a file; whether it is new."""
        added = self._database.execute("INSERT OR IGNORE INTO files VALUES (?)", (_short(path),))
        return bool(added.rowcount)

    def close(self) -> None:
        """Forget everything."""
        self._database.close()


def _short(name: str | bytes) -> bytes:
    """A text by 16 bytes of its digest; a digest as it is."""
    if isinstance(name, bytes):
        return b"\0" + name
    return blake2b(name.encode(errors="surrogateescape"), digest_size=16).digest()
