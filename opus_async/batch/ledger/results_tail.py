"""What ``results.jsonl`` holds beyond the lines that the ledger knows: each line is a job that completed.

A crash leaves some, between the file and the ledger: rows that are under way, with the job that the line
names. Anything else means that the ledger has lost something, or that the file has got something.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, BinaryIO

from opus_async.batch.ledger.sqlite_text import encode
from opus_async.batch.rows import IN_FLIGHT, RowState
from opus_async.models import JobStatus

_UNDER_WAY = IN_FLIGHT | {RowState.UNKNOWN}
_FIRST = b'{"index": '
_BEGINNING = re.compile(rb'\{"index": (\d{1,15}), (?:"key": ("(?:[^"\\]|\\.)*"))?')
"""Of a line that was cut off: its place in the manifest, and its key if that is whole."""
_BY_KEY = "SELECT id, key, state, remote_id FROM rows WHERE key = ?"
_BY_POSITION = "SELECT id, key, state, remote_id FROM rows WHERE position = ?"


class Verdict(Enum):
    """What a piece of the file says about the ledger."""

    CRASH = "a crash came between the file and the ledger"
    PROOF = "its row completed, and the ledger does not know of it"
    AGAIN = "its row completed, as the ledger knows"
    STRANGE = "it belongs to no row that could have completed"
    TORN = "the beginning of a line of a row that is under way, or completed as the ledger knows"
    TORN_PROOF = (
        "the beginning of a line of a row that the ledger takes for not begun, or for ended otherwise"
    )
    GARBAGE = "no line of ours"

    @property
    def is_whole(self) -> bool:
        """Whether it is a line, with its end: what follows it can be read."""
        return self in {Verdict.CRASH, Verdict.PROOF, Verdict.AGAIN, Verdict.STRANGE}

    @property
    def completes(self) -> bool:
        """Whether its row has completed."""
        return self in {Verdict.CRASH, Verdict.PROOF}


@dataclass(frozen=True, slots=True)
class Piece:
    """A line, or what is left behind the last one.

    Attributes:
        offset: Where it begins, in bytes.
        data: Its bytes.
        verdict: What it says.
        row: The ledger's number of its row; None where there is none.
        key: The key it names, or that of the row; empty where neither can be told.
        line: Of a whole line, what it says.
    """

    offset: int
    data: bytes
    verdict: Verdict
    row: int | None = None
    key: str = ""
    line: dict[str, Any] | None = None


def pieces(connection: sqlite3.Connection, file: BinaryIO, start: int) -> Iterator[Piece]:
    """What lies beyond ``start``, in order; one line at a time is held."""
    file.seek(start)
    offset = start
    for data in file:
        if data.strip(b"\0"):  # zeros are what a power cut leaves where data was to come
            yield (
                _whole(connection, offset, data) if data.endswith(b"\n") else _torn(connection, offset, data)
            )
        offset += len(data)


def _whole(connection: sqlite3.Connection, offset: int, data: bytes) -> Piece:
    try:
        line = json.loads(data)
        key, job, status = line["key"], line["job_id"], line["status"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return Piece(offset, data, Verdict.STRANGE)
    if not isinstance(key, str) or not isinstance(job, str | None) or status != JobStatus.COMPLETED:
        return Piece(offset, data, Verdict.STRANGE)
    found = connection.execute(_BY_KEY, (encode(key),)).fetchone()
    if found is None:
        return Piece(offset, data, Verdict.STRANGE, None, key, line)
    row, _, state, remote_id = found
    same_job = remote_id == encode(job)
    if state == RowState.COMPLETED:
        verdict = Verdict.AGAIN if same_job else Verdict.STRANGE
    else:
        verdict = Verdict.CRASH if same_job and state in _UNDER_WAY else Verdict.PROOF
    return Piece(offset, data, verdict, row, key, line)


def _torn(connection: sqlite3.Connection, offset: int, data: bytes) -> Piece:
    named = _BEGINNING.match(data)
    if named is None:
        ours = _FIRST.startswith(data) or re.fullmatch(rb'\{"index": \d{0,15},?', data)
        return Piece(offset, data, Verdict.TORN if ours else Verdict.GARBAGE)
    question, value = _BY_POSITION, int(named[1])
    if named[2] is not None:
        try:
            question, value = _BY_KEY, encode(json.loads(named[2]))
        except ValueError:
            return Piece(offset, data, Verdict.GARBAGE)
    found = connection.execute(question, (value,)).fetchone()
    if found is None:
        return Piece(offset, data, Verdict.TORN_PROOF)
    row, key, state, _ = found
    known = state in _UNDER_WAY or state == RowState.COMPLETED
    return Piece(offset, data, Verdict.TORN if known else Verdict.TORN_PROOF, row, key)
