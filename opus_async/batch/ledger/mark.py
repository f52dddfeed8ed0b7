"""The file ``.batch``: how far the ledger beside it has come, written after the ledger was.

A number goes up in the ledger, and then here, when it is opened, when it is closed, and each time after its
write-ahead log was copied back. So a ``ledger.db`` without the rest of its log, or one that was put back from
a backup, has a smaller number than this file. A larger one is the trace of a crash between the two.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

from opus_async.batch.layout import MARK
from opus_async.batch.ledger.disk import open_own, sync, sync_path

_BYTES = 128
"""Always as many, so that it is written in one piece and no old end is left."""


class Mark(NamedTuple):
    """What it says.

    Attributes:
        batch: The id of the batch.
        number: How far its ledger had come.
    """

    batch: str
    number: int


def read(directory: Path) -> Mark | None:
    """What it says; None where there is none, or a power cut left none that can be read.

    Raises:
        LedgerDoubtful: It is no file of ours.
        OSError: It cannot be read.
    """
    try:
        descriptor = open_own(directory / MARK, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        told = json.loads(os.read(descriptor, _BYTES))
        return Mark(str(told["batch"]), int(told["number"]))
    except (ValueError, TypeError, KeyError):
        return None
    finally:
        os.close(descriptor)


def write(directory: Path, mark: Mark) -> None:
    """Say it, on the disk.

    Raises:
        LedgerDoubtful: What is there is no file of ours.
        OSError: It cannot be written.
    """
    path = directory / MARK
    there = path.exists()
    descriptor = open_own(path, os.O_WRONLY | os.O_CREAT)
    try:
        os.pwrite(descriptor, json.dumps(mark._asdict()).encode().ljust(_BYTES - 1) + b"\n", 0)
        sync(descriptor)
    finally:
        os.close(descriptor)
    if not there:
        sync_path(directory)
