"""The end of a row: its line of ``results.jsonl``, its files, and the step that records both."""

from __future__ import annotations

import hashlib

from opus_async.batch.ledger.sqlite_text import encode
from opus_async.batch.ledger.store import Store
from opus_async.batch.ledger.transitions import Line, When, ended
from opus_async.batch.rows import RowResult

DOWNLOADED = "INSERT OR REPLACE INTO downloads (row, name, path, size, sha256) VALUES (?, ?, ?, ?, ?)"


def end(row: int, when: When, ending: RowResult, store: Store) -> None:
    """It has ended."""
    line = None if ending.line is None else append(ending.line, store)
    store.step(ended(row, when, ending, line))
    for file in ending.files:
        values = (row, encode(file.name), encode(file.path), file.size, file.sha256)
        store.connection.execute(DOWNLOADED, values)


def append(line: bytes, store: Store) -> Line:
    """A line for ``results.jsonl``: on the disk before the group that it belongs to is."""
    return Line(store.results.add(line), len(line), hashlib.sha256(line).hexdigest())
