"""Opens the file of a manifest for each reading, and checks that it has not changed since the first."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from opus_async.errors import ManifestError

HEAD_BYTES = 1 << 20
"""Bytes of a file from which encoding, delimiter and format are detected."""


class Source:
    """A regular file that must not change after the manifest was opened.

    Args:
        path: The file, absolute.

    Attributes:
        path: The file.
        size: Its size in bytes.

    Raises:
        ManifestError: It is no regular file, or is empty.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with readable(path):
            status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ManifestError(
                f"{path} is no regular file, and a manifest is read more than once: save it to a file first"
            )
        if status.st_size == 0:
            raise ManifestError(f"{path} is empty: a manifest has one row for each job")
        self.size = status.st_size
        self._stamp = _stamp(status)

    def stamp(self) -> str:
        """The file's size, time of the last change and inode, as text."""
        with readable(self.path):
            return _stamp(self.path.stat())

    def head(self) -> bytes:
        """The first part of the file: :data:`HEAD_BYTES` of it, or all."""
        with self.reading() as file:
            return file.read(HEAD_BYTES)

    @contextmanager
    def reading(self) -> Iterator[BinaryIO]:
        """Open the file for one reading.

        Raises:
            ManifestError: It cannot be read, or changed since the manifest was opened.
        """
        with readable(self.path), self.path.open("rb") as file:
            self._compare(os.fstat(file.fileno()))
            yield file
            self._compare(os.fstat(file.fileno()))

    def _compare(self, status: os.stat_result) -> None:
        if _stamp(status) != self._stamp:
            raise ManifestError(
                f"{self.path} was changed while it was in use, so what was read of it cannot be trusted: "
                "run the same command again once it is saved"
            )


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn errors of the file system into sentences.

    Raises:
        ManifestError: In place of any OSError inside of the ``with`` block.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise ManifestError(f"{path} does not exist (any more): check the path") from error
    except PermissionError as error:
        raise ManifestError(f"{error.filename or path} may not be read: check its permissions") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise ManifestError(
            f"{error.filename or path} cannot be read ({reason}): copy it to a local disk and try again"
        ) from error


def _stamp(status: os.stat_result) -> str:
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ino}"
