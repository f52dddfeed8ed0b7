"""Bringing files to the disk: what a power cut must not take."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]  # not on this system

OWNER_ONLY = 0o600
"""What a batch sends and gets is nobody else's business."""


def sync(descriptor: int) -> None:
    """Wait until what was written to a file lies on the disk itself, not in its cache (macOS)."""
    if hasattr(fcntl, "F_FULLFSYNC"):
        with suppress(OSError):  # a file system that knows it not
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def make_directory(path: Path) -> None:
    """Make a folder and those above it that are not there, so that a power cut does not take them."""
    new = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for each in reversed(new):
        sync_path(each.parent)


def sync_path(path: Path) -> None:
    """Likewise for a file that is not open, or for the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)
