"""``results.jsonl``: lines are appended, brought to the disk, and only then recorded in the ledger.

The ledger says how long the file is. What lies beyond is the tail of a crash, and is cut off when it is
opened.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from opus_async.batch.ledger.disk import OWNER_ONLY, sync, sync_path


class ResultsFile:
    """The file, in the hands of the writer thread.

    Args:
        path: Made if it is not there.

    Attributes:
        size: Of the file, in bytes, the lines that are not written yet included.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pending: list[bytes] = []
        there = path.exists()
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, OWNER_ONLY)
        if not there:
            sync_path(path.parent)
        self.size = self._written = os.fstat(self._descriptor).st_size

    def read(self, offset: int, length: int) -> bytes:
        """What stands there."""
        return os.pread(self._descriptor, length, offset)

    def measured(self) -> int:
        """How long it is by now, before anything is added."""
        self.size = self._written = os.fstat(self._descriptor).st_size
        return self.size

    def cut(self, size: int) -> None:
        """Cut off what lies beyond."""
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
        """Let go of it."""
        os.close(self._descriptor)
