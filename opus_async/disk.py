"""A file that is there whole or not at all: under a temporary name until it is on the disk, then renamed.

No link is followed: the temporary file is made where nothing was, and the renaming takes the place of a link
itself, not of what it leads to.
"""

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
OWNER_ONLY, ANYBODY = 0o600, 0o666
"""Less what the umask takes away."""


@contextmanager
def atomic_write(path: Path, *, private: bool = True) -> Iterator[BinaryIO]:
    """Write a file that takes the place of any other of its name when the block ends well.

    Args:
        path: Where it is to be.
        private: Whether it is for its owner alone; else its permissions follow the umask.

    Raises:
        OSError: It cannot be written, or what is at the path is no file. What was there stays.
    """
    if path.exists() and not path.is_file():  # a device, say: a rename would take its place for good
        raise FileExistsError(errno.EEXIST, "there is something of that name that is no file", str(path))
    part = path.with_name(f".{path.name[:_SHOWN_CHARS]}.{secrets.token_hex(8)}.part")
    mode = OWNER_ONLY if private else ANYBODY
    try:
        with open(part, "xb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, mode)) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _to_the_disk(path.parent)
    finally:
        part.unlink(missing_ok=True)


def _to_the_disk(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
