"""The file ``.batch-N``: how far the ledger beside it has come, made after the ledger was written.

N goes up in the ledger, and then here, when it is opened, when it is closed, and each time after its
write-ahead log was copied back. So a ``ledger.db`` without the rest of its log, or one that was put back from
a backup, has a smaller number than this name. A larger one is what a crash between the two leaves. It is in
the name because a backup that is copied over a folder takes nothing away from it.

The ledger keeps which file that is, too: a backup that was copied over everything else in the folder, and
takes away what it does not have, brings a file of its own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from opus_async.batch.ledger.file_birth import born
from opus_async.batch.ledger.own_files import open_own, refuse_strange
from opus_async.disk import sync, sync_path
from opus_async.layout import MARK

_NAME = re.compile(re.escape(MARK) + r"(\d{1,15})")
_NEW = f"{MARK}new"
_ID_BYTES = 64


class Mark(NamedTuple):
    """The content of the newest mark.

    Attributes:
        batch: The id of the batch; empty where a power cut has left none.
        number: How far its ledger had come.
    """

    batch: str
    number: int


class File(NamedTuple):
    """Which file it is, among all that ever had its name.

    Attributes:
        inode: As the file system numbers it; numbers are used again.
        born: When it was made, in ns since the epoch; 0 where that is not told.
    """

    inode: int
    born: int


def marks(directory: Path) -> Iterator[tuple[int, Path]]:
    """All marks in a folder: more than one after a crash, or when a backup was copied over it."""
    for path in directory.iterdir():
        named = _NAME.fullmatch(path.name)
        if named is not None:
            yield int(named[1]), path


def read(directory: Path) -> Mark | None:
    """The newest mark; None where there is none.

    Raises:
        LedgerDoubtful: It is no file of ours.
        OSError: It cannot be read.
    """
    number, path = max(marks(directory), default=(0, None))
    if path is None:
        return None
    refuse_strange(path, written=True)
    descriptor = open_own(path, os.O_RDONLY)
    try:
        return Mark(os.read(descriptor, _ID_BYTES).decode("ascii", "replace").strip(), number)
    finally:
        os.close(descriptor)


def file_of(directory: Path, number: int) -> File:
    """Which file says that number.

    Raises:
        OSError: None does.
    """
    return _file(directory / f"{MARK}{number}")


def prepare(directory: Path, batch: str) -> File:
    """Make the next one, on the disk, under a name that counts for nothing yet.

    Raises:
        OSError: It cannot be written.
    """
    path = directory / _NEW
    path.unlink(missing_ok=True)
    descriptor = open_own(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        os.write(descriptor, batch.encode() + b"\n")
        sync(descriptor)
    finally:
        os.close(descriptor)
    return _file(path)


def publish(directory: Path, number: int) -> None:
    """Give the one that was prepared its number, in the place of what was said before.

    Raises:
        OSError: It cannot be written.
    """
    (directory / _NEW).rename(directory / f"{MARK}{number}")
    sync_path(directory)
    for older, path in marks(directory):
        if older < number:
            with suppress(OSError):  # the newest counts
                path.unlink()


def _file(path: Path) -> File:
    return File(path.lstat().st_ino, born(path))
