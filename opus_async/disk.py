"""Durable files and folders: synced to the disk, made and replaced so that they are whole or not there.

No link is followed: a temporary file is made where nothing was, and a rename takes the place of a link
itself, not of what it leads to.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]  # not on this system

OWNER_ONLY, ANYBODY = 0o600, 0o666
"""Permissions of a file; ``ANYBODY`` less what the umask takes away."""
_SEARCH = 0o100
"""Added for a folder, so that its owner can open what is in it."""
_SHOWN_CHARS = 50
"""Of the name in the temporary one: 200 bytes at most, so that all of it stays below a file system's 255."""


def sync(descriptor: int) -> None:
    """Wait until what was written to a file lies on the disk itself, not in its cache (macOS)."""
    if hasattr(fcntl, "F_FULLFSYNC"):
        with suppress(OSError):  # a file system that knows it not
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def sync_path(path: Path) -> None:
    """Sync a file that is not open, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: Path, *, private: bool = False) -> None:
    """Make a folder and those above it that are not there, and sync their names.

    Args:
        path: Of the folder; it may be there.
        private: Whether what is made is for its owner alone; else its permissions follow the umask.

    Raises:
        OSError: It cannot be made, or there is a file of that name.
    """
    mode = OWNER_ONLY | _SEARCH if private else ANYBODY | 0o111
    missing = [each for each in path.parents if not each.exists()]
    for each in (*reversed(missing), path):
        if not each.is_dir():
            each.mkdir(mode, exist_ok=True)
            sync_path(each.parent)


def temporary_path(path: Path) -> Path:
    """A free name beside a file, for what is to take its place: hidden, and ending in ``.part``."""
    return path.with_name(f".{path.name[:_SHOWN_CHARS]}.{secrets.token_hex(8)}.part")


def replace(part: Path, path: Path) -> None:
    """Rename a complete, synced file over any other of that name, and sync the name."""
    part.replace(path)
    sync_path(path.parent)


def rename_new(part: Path, path: Path) -> None:
    """Rename a file in one step, without replacing another one.

    Raises:
        FileExistsError: There is something of the new name; it is not replaced.
    """
    try:
        path.hardlink_to(part)
    except FileExistsError:
        raise
    except OSError:  # most likely a file system without hard links: take the name first
        path.touch(exist_ok=False)
        try:
            part.replace(path)
        except OSError:
            path.unlink()
            raise
    else:
        part.unlink()


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
    part = temporary_path(path)
    mode = OWNER_ONLY if private else ANYBODY
    try:
        with open(part, "xb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, mode)) as file:
            yield file
            file.flush()
            sync(file.fileno())
        replace(part, path)
    finally:
        part.unlink(missing_ok=True)
