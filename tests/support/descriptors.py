"""What this process holds open."""

from __future__ import annotations

import os
from pathlib import Path

FDS = Path("/proc/self/fd")
_NO_FILES = ("/dev/", "/proc/")
"""Devices, and the listing of descriptors itself, whose own number differs from time to time."""


def open_files() -> dict[int, str]:
    """Open descriptors of this process that a program of ours could have opened: files and sockets."""
    found = {}
    for entry in os.scandir(FDS) if FDS.is_dir() else ():
        try:
            target = os.readlink(entry)  # noqa: PTH115 - twice for every test: a Path takes as long again
        except OSError:  # closed since it was listed
            continue
        if target.startswith("socket:") or (target.startswith("/") and not target.startswith(_NO_FILES)):
            found[int(entry.name)] = target
    return found
