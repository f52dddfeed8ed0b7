"""Records the end of a row: its line of ``results.jsonl``, its files, and the step that tells of both."""

from __future__ import annotations

import hashlib

from opus_async.batch.ledger.sqlite_text import encode
from opus_async.batch.ledger.store import Store
from opus_async.batch.ledger.transitions import ResultLine, When, finished
from opus_async.batch.rows import RowResult

DOWNLOADED = "INSERT OR REPLACE INTO downloads (row, name, path, size, sha256) VALUES (?, ?, ?, ?, ?)"


def record(row: int, when: When, ending: RowResult, store: Store) -> None:
    """Record how a row ended, in the present group."""
    line = None if ending.line is None else append(ending.line, store)
    store.step(finished(row, when, ending, line))
    for file in ending.files:
        values = (row, encode(file.name), encode(file.path), file.size, file.sha256)
        store.connection.execute(DOWNLOADED, values)


def append(line: bytes, store: Store) -> ResultLine:
    """Append a line to ``results.jsonl``; it is on the disk before the group that it belongs to."""
    return ResultLine(store.results.add(line), len(line), hashlib.sha256(line).hexdigest())
