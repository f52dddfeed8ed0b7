"""Opens files of a batch directory, and only files of ours: no links, no devices.

A directory may come from somebody else. Whatever is opened here is a regular file in the directory itself:
no link leads out of it, and no pipe or device is waited for.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from opus_async.disk import OWNER_ONLY
from opus_async.errors import LedgerDoubtful

_GUARDED = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
"""No link is followed, no pipe is waited for, no program that is started inherits it."""
_IS_LINK = frozenset({errno.ELOOP, errno.EMLINK, errno.ENXIO})
"""What systems say of a link that is not followed; the last one of a pipe that nobody reads."""


def open_own(path: Path, flags: int) -> int:
    """Open a file of a batch directory, for its owner alone if it is made.

    Args:
        path: Of the file; its folder may be reached through links, it may be none.
        flags: Of ``os.open``. A file that is truncated is cut only after it was found to be ours.

    Returns:
        The descriptor.

    Raises:
        LedgerDoubtful: It is a link, no regular file, or (to be written) has another name somewhere.
        OSError: It cannot be opened.
    """
    try:
        descriptor = os.open(path, (flags & ~os.O_TRUNC) | _GUARDED, OWNER_ONLY)
    except OSError as error:
        if error.errno in _IS_LINK:
            refuse_strange(path, written=True)
        raise
    try:
        _refuse(path, os.fstat(descriptor), written=flags & (os.O_WRONLY | os.O_RDWR) != 0)
        if flags & os.O_TRUNC:
            os.ftruncate(descriptor, 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def refuse_strange(path: Path, *, written: bool) -> None:
    """Raise if a file is there that is not one of ours; for files that another library opens by their name.

    Args:
        path: Of the file; it need not be there.
        written: Whether it is to be written: then it must have no other name.

    Raises:
        LedgerDoubtful: As :func:`open_own`.
    """
    with suppress(FileNotFoundError):
        _refuse(path, path.lstat(), written=written)


def _refuse(path: Path, found: os.stat_result, *, written: bool) -> None:
    if stat.S_ISLNK(found.st_mode):
        what = "is a symbolic link"
    elif not stat.S_ISREG(found.st_mode):
        what = "is no regular file"
    elif written and found.st_nlink > 1:
        what = "has a second name elsewhere (a hard link)"
    else:
        return
    raise LedgerDoubtful(
        f"{path} {what}: a batch writes into files of its own directory only, or it would change one that "
        f"may be somebody else's. Nothing was touched. See what it is, and put a plain file in its place, or "
        f"remove it if it is not yours"
    )
