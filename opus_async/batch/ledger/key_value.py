"""Values by name: facts of the batch, what the platform prepared, digests of files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from opus_async.batch.ledger.sqlite_text import encode
from opus_async.batch.ledger.store import Store

FileFacts = tuple[int, int, int, str]
"""Size in bytes, mtime in nanoseconds, inode, SHA-256 in hex."""

_FACT = "INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)"
_RECALL = "SELECT value FROM memory WHERE name = ?"
_KEEP = "INSERT OR REPLACE INTO memory (name, value, at) VALUES (?, ?, ?)"
_RECALL_FILE = "SELECT size, mtime_ns, inode, sha256 FROM files WHERE path = ?"
_SOME_FILES = "SELECT path FROM files WHERE path >= ? AND path < ? ORDER BY random() LIMIT ?"
_SOME_OTHERS = "SELECT path FROM files WHERE path < ? OR path >= ? LIMIT ?"
_KEEP_FILE = "INSERT OR REPLACE INTO files (path, size, mtime_ns, inode, sha256) VALUES (?, ?, ?, ?, ?)"

_SIGN, _RANGE = 1 << 63, 1 << 64
"""A database's integers are signed; some file systems number their files up to 2 ** 64."""


def keep_facts(facts: Mapping[str, str], store: Store) -> None:
    """Store facts by name, as JSON."""
    store.connection.executemany(_FACT, list(facts.items()))


def get(name: str, store: Store) -> str | None:
    """The value of a name; None if there is none."""
    found = store.connection.execute(_RECALL, (encode(name),)).fetchone()
    return None if found is None else found[0]


def put(name: str, value: str, at: float, store: Store) -> None:
    """Store a value under a name."""
    store.connection.execute(_KEEP, (encode(name), encode(value), at))


def recall_files(paths: Sequence[str], store: Store) -> dict[str, FileFacts]:
    """Path -> what is stored of files; unknown ones are left out."""
    found = {}
    for path in paths:
        known = store.connection.execute(_RECALL_FILE, (encode(path),)).fetchone()
        if known is not None:
            size, mtime_ns, inode, sha256 = known
            found[path] = (size, mtime_ns, inode % _RANGE, sha256)
    return found


def some_files(beginning: str, at_most: int, inside: bool, store: Store) -> list[str]:  # noqa: FBT001 - a step is called by position
    """Paths of known files that begin with a text that is not empty, at random; or of some that do not."""
    first = encode(beginning)
    behind = f"{first[:-1]}{chr(ord(first[-1]) + 1)}"
    query = _SOME_FILES if inside else _SOME_OTHERS
    return [path for (path,) in store.connection.execute(query, (first, behind, at_most))]


def keep_file(path: str, facts: FileFacts, store: Store) -> None:
    """Store the digest of a file, and its size, modification time and inode."""
    size, mtime_ns, inode, sha256 = facts
    signed = (inode + _SIGN) % _RANGE - _SIGN
    store.connection.execute(_KEEP_FILE, (encode(path), size, mtime_ns, signed, sha256))
