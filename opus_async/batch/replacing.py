"""A file that is there whole or not at all: under a temporary name until it is on the disk, then renamed."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_SHOWN_CHARS = 50
"""Of the name in the temporary one, so that all of it stays below a file system's 255 bytes."""


@contextmanager
def replaced(path: Path, *, private: bool = True) -> Iterator[BinaryIO]:
    """Write a file that takes the place of any other of its name when the block ends well.

    Args:
        path: Where it is to be.
        private: Whether it is for its owner alone, as what lies in a batch directory is.

    Raises:
        OSError: It cannot be written, or what is at the path is no file. What was there stays.
    """
    if path.exists() and not path.is_file():  # a device, say: a rename would take its place for good
        raise FileExistsError(errno.EEXIST, "there is something of that name that is no file", str(path))
    part = path.with_name(f".{path.name[:_SHOWN_CHARS]}.{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            if private:
                part.chmod(0o600)
            yield file
        _to_the_disk(part)
        part.replace(path)
        _to_the_disk(path.parent)
    finally:
        part.unlink(missing_ok=True)


def _to_the_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
