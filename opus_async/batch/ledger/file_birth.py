"""The birth time of files, which tells a copy from its original: inodes are used again.

Python tells it on macOS and Windows; on Linux the system call ``statx`` has to be asked.
"""

from __future__ import annotations

import ctypes
import os
import struct
from functools import cache
from pathlib import Path
from typing import Any

_AT_FDCWD = -100
_NOFOLLOW = 0x100
_BIRTH = 0x800
"""``AT_SYMLINK_NOFOLLOW`` and ``STATX_BTIME`` of ``linux/stat.h``."""
_SIZE = 256
_MASK, _TIME = struct.Struct("=I"), struct.Struct("=qI")
_TIME_AT = 80
"""Where ``stx_btime`` stands in ``struct statx``, which is the same on every architecture."""
_SECOND = 1_000_000_000


def born(path: Path) -> int:
    """When a file or folder was made, in ns since the epoch; 0 where the system does not tell.

    Args:
        path: Of the file; it is not opened, and a link is not followed.
    """
    seconds = getattr(path.lstat(), "st_birthtime", None)
    if seconds is not None:
        return int(seconds * _SECOND)
    statx = _statx()
    if statx is None:
        return 0
    told = ctypes.create_string_buffer(_SIZE)
    if statx(_AT_FDCWD, os.fsencode(path), _NOFOLLOW, _BIRTH, told) != 0:
        return 0
    (mask,) = _MASK.unpack_from(told)
    if not mask & _BIRTH:
        return 0
    whole, rest = _TIME.unpack_from(told, _TIME_AT)
    return int(whole) * _SECOND + int(rest)


@cache
def _statx() -> Any:
    """The function of the C library; None where it has none."""
    try:
        return ctypes.CDLL(None).statx
    except (AttributeError, OSError, TypeError):
        return None
