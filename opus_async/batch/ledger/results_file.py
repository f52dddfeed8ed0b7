"""The file ``results.jsonl``: its lines reach the disk before the ledger records them.

The ledger says how long the file is. What lies beyond is what a crash left, or evidence that the ledger has
lost something: see :mod:`.results_tail`.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from opus_async.batch.ledger.own_files import open_own
from opus_async.disk import sync, sync_path
from opus_async.errors import LedgerDoubtful

_LAST_LINE = """
SELECT key, result_offset, result_length, result_digest FROM rows WHERE result_offset + result_length <= ?
ORDER BY result_offset DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Agreed:
    """What it took to make the file and the ledger agree.

    Attributes:
        lost: Completed rows without a line: they are running again.
        proved: Rows that are completed because of their lines, although the ledger had not known of it.
    """

    lost: int = 0
    proved: int = 0


@contextmanager
def read_only(path: Path) -> Iterator[BinaryIO | None]:
    """Open the file for reading; None where there is none.

    Raises:
        LedgerDoubtful: It is no file of ours.
    """
    try:
        descriptor = open_own(path, os.O_RDONLY)
    except FileNotFoundError:
        yield None
        return
    with os.fdopen(descriptor, "rb") as file:
        yield file


def known_end(connection: sqlite3.Connection, path: Path, file: BinaryIO, examined: int) -> int:
    """Where what is known of the file ends: its last recorded line, or what a person was told of.

    Args:
        connection: To the ledger.
        path: Of the results.
        file: They themselves.
        examined: Up to where they were examined, and gone on with all the same.

    Raises:
        LedgerDoubtful: The line is not where it was put: a file that was edited must not be gone on with.
    """
    size = os.fstat(file.fileno()).st_size
    last = connection.execute(_LAST_LINE, (size,)).fetchone()
    examined = examined if examined <= size else 0
    if last is None:
        return examined
    key, offset, length, digest = last
    file.seek(offset)
    if hashlib.sha256(file.read(length)).hexdigest() != digest:
        raise LedgerDoubtful(
            f"{path} was changed after it was written: the line of row {key!r} is not where it was put. "
            f"Bring the file back as it was; or move it away, and resuming fetches all results again (which "
            f"starts no job, and costs no bill)",
            keys=(key,),
        )
    return max(int(offset + length), examined)


class ResultsFile:
    """The file ``results.jsonl``, open for appending in the writer thread.

    Args:
        path: Made if it is not there.

    Attributes:
        size: Of the file, in bytes, the lines that are not written yet included.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pending: list[bytes] = []
        there = path.exists()
        self._descriptor = open_own(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        if not there:
            sync_path(path.parent)
        self.size = self._written = os.fstat(self._descriptor).st_size

    def cut(self, size: int) -> None:
        """Cut the file off at an offset."""
        if self._written > size:
            os.ftruncate(self._descriptor, size)
            sync(self._descriptor)
        self.size = self._written = size

    def add(self, line: bytes) -> int:
        """Take a line for the next :meth:`write`; returns the offset at which it will stand."""
        offset = self.size
        self._pending.append(line)
        self.size += len(line)
        return offset

    def write(self) -> None:
        """Append the lines that were added, and wait until they are on the disk.

        Raises:
            OSError: It failed; the file is as long as it was before.
        """
        if not self._pending:
            return
        left = memoryview(b"".join(self._pending))
        self._pending.clear()
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
            sync(self._descriptor)
        except OSError:
            with suppress(OSError):  # then it is cut when it is opened again
                os.ftruncate(self._descriptor, self._written)
            raise
        self._written = self.size

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)
