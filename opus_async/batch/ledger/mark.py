"""The file ``.batch-N``: how far the ledger beside it has come, made after the ledger was written.

N goes up in the ledger, and then here, when it is opened, when it is closed, and each time after its
write-ahead log was copied back. So a ``ledger.db`` without the rest of its log, or one that was put back from
a backup, has a smaller number than this name. A larger one is what a crash between the two leaves. It is in
the name because a backup that is copied over a folder takes nothing away from it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from opus_async.batch.layout import MARK
from opus_async.batch.ledger.disk import open_own, refuse_strange, sync, sync_path

_NAME = re.compile(re.escape(MARK) + r"(\d{1,15})")
_ID_BYTES = 64


class Mark(NamedTuple):
    """What it says.

    Attributes:
        batch: The id of the batch; empty where a power cut has left none.
        number: How far its ledger had come.
    """

    batch: str
    number: int


def marks(directory: Path) -> Iterator[tuple[int, Path]]:
    """All there are in a folder: more than one after a crash, or when a backup was copied over it."""
    for path in directory.iterdir():
        named = _NAME.fullmatch(path.name)
        if named is not None:
            yield int(named[1]), path


def read(directory: Path) -> Mark | None:
    """The newest; None where there is none.

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


def write(directory: Path, mark: Mark) -> None:
    """Say it, on the disk, in the place of what was said before.

    Raises:
        OSError: It cannot be written.
    """
    path = directory / f"{MARK}{mark.number}"
    path.unlink(missing_ok=True)
    descriptor = open_own(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        os.write(descriptor, mark.batch.encode() + b"\n")
        sync(descriptor)
    finally:
        os.close(descriptor)
    sync_path(directory)
    for number, older in marks(directory):
        if number < mark.number:
            with suppress(OSError):  # the newest counts
                older.unlink()
