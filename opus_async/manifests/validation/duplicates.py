"""Finds rows and files that come twice, among millions: a few bytes each, on the disk beyond some MB."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from hashlib import blake2b
from typing import NamedTuple

from opus_async.manifests import Record
from opus_async.manifests.problem import Problem, Severity
from opus_async.text import quoted

_MEMORY_KIB = 4096
"""What SQLite keeps in memory; the rest lies in a temporary file without a name."""
_IN_MEMORY = 4_000
"""Rows up to which no database is needed: they take some MB."""
_SCHEMA = f"""
PRAGMA cache_size = -{_MEMORY_KIB};
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE rows(name BLOB PRIMARY KEY, content BLOB, place TEXT) WITHOUT ROWID;
CREATE TABLE files(path BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE cells(value BLOB PRIMARY KEY) WITHOUT ROWID;
BEGIN;
"""


class FirstSeen(NamedTuple):
    """The first row of a name.

    Attributes:
        where: The row in words, like ``line 18``.
        content: The digest of its content.
    """

    where: str
    content: bytes


class DuplicateIndex:
    """Rows and files seen so far: a few rows in memory, all else in a temporary database.

    The database goes with :meth:`close`, or the process.
    """

    def __init__(self) -> None:
        self._rows: dict[bytes, FirstSeen] | None = {}
        """By name; None once they were too many: then they are in the database."""
        self._stored: sqlite3.Connection | None = None
        """Made when it is needed: most manifests need none."""

    def row(self, name: str | bytes, content: bytes, where: str) -> FirstSeen | None:
        """Note a row.

        Args:
            name: Its key; or, as bytes, the digest of its content.
            content: The digest of its content.
            where: The row in words.

        Returns:
            The first row of this name; None when this is the first.
        """
        short = _short(name)
        if self._rows is not None:
            first = self._rows.get(short)
            if first is None:
                self._rows[short] = FirstSeen(where, content)
                if len(self._rows) == _IN_MEMORY:
                    entries = ((key, row.content, row.where) for key, row in sorted(self._rows.items()))
                    self._database.executemany("INSERT INTO rows VALUES (?, ?, ?)", entries)
                    self._rows = None
            return first
        entry = (short, content, where)
        if self._database.execute("INSERT OR IGNORE INTO rows VALUES (?, ?, ?)", entry).rowcount:
            return None
        found = self._database.execute("SELECT place, content FROM rows WHERE name = ?", entry[:1])
        return FirstSeen(*found.fetchone())

    def file(self, path: str) -> bool:
        """Note a file; True when it was not noted before."""
        added = self._database.execute("INSERT OR IGNORE INTO files VALUES (?)", (_short(path),))
        return bool(added.rowcount)

    def values(self, column: str, values: Collection[str]) -> bool:
        """Note different values of a column; True when that column had none of them before."""
        names = sorted(_short(f"{column}\0{value}") for value in values)  # in order they are added faster
        added = self._database.executemany("INSERT OR IGNORE INTO cells VALUES (?)", zip(names, strict=True))
        return not values or added.rowcount == len(values)

    def close(self) -> None:
        """Delete the database."""
        if self._stored is not None:
            self._stored.close()

    @property
    def _database(self) -> sqlite3.Connection:
        if self._stored is None:
            self._stored = sqlite3.connect("", isolation_level=None)  # a temporary file without a name
            self._stored.executescript(_SCHEMA)
        return self._stored


def repeat_problem(record: Record, key: str | None, content: bytes, earlier: FirstSeen) -> Problem:
    """The problem with a row whose key, or whose content where it has no key, an earlier row has too.

    Args:
        record: The row.
        key: As the row gives it; None where it gives none.
        content: The digest of its content.
        earlier: The first row of that key or content.
    """
    named = None if key is None else quoted(key)
    if key is None or content == earlier.content:
        included = "" if named is None else f", key {named} included"
        message = f"the same as {earlier.where}{included}: it is run, and billed, once more"
        cause, severity = "identical to an earlier row, and run once more", Severity.WARNING
        fix = "take it out unless that is wanted"
    else:
        message = f"{earlier.where} has the key {named}, too, and asks for something else"
        cause, severity, fix = "a key that comes twice", Severity.ERROR, "give each row a key of its own"
    return Problem(
        message=message,
        cause=cause,
        severity=severity,
        fix=fix,
        index=record.index,
        where=record.where,
        key=key,
        parts=() if named is None else (named,),
    )


def _short(name: str | bytes) -> bytes:
    """16 bytes of a text's digest; a digest as it is, marked so that it equals that of no text."""
    if isinstance(name, bytes):
        return b"\0" + name
    return blake2b(name.encode(errors="surrogateescape"), digest_size=16).digest()
