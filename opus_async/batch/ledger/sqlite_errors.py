"""Turns errors of SQLite and of the disk into LedgerError: which file, why, and what to do."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opus_async.errors import LedgerError
from opus_async.transport.shortage import advice, out_of

try:
    import resource
except ImportError:
    resource = None  # type: ignore[assignment]  # not on this system

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""No room on the disk, in the user's quota, or below the limit of file sizes (``ulimit -f``)."""
_ALMOST_NOTHING = 256 * 1024
"""Bytes: with less than this free, an I/O error while writing is a full disk (SQLite tells them apart only
where it writes; where it maps memory, or sets the size of a file, it does not)."""
_PRIMARY = 0xFF
"""The part of SQLite's extended codes that names the kind."""
_NOTHING_LOST = "Nothing that was recorded is lost"

_NO_WRITING = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_HELD = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


def to_ledger_error(error: Exception, path: Path) -> LedgerError:
    """The LedgerError for what went wrong with a file of a batch directory.

    Args:
        error: As it was raised; one of ours is returned as it is.
        path: The file it is about.
    """
    if isinstance(error, LedgerError):
        return error
    if what := out_of(error):
        return _short(path, what)
    if isinstance(error, OSError):
        return _of_system(error, path)
    if isinstance(error, sqlite3.Error):
        return _of_sqlite(error, path)
    return LedgerError(f"{path} cannot be used any more: {type(error).__name__}: {error}. {_NOTHING_LOST}")


@contextmanager
def translate_errors(path: Path) -> Iterator[None]:
    """Raise errors of the system and of SQLite as LedgerError."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise to_ledger_error(error, path) from None


def _of_system(error: OSError, path: Path) -> LedgerError:
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in _FULL:
        return _full(path, reason)
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return _not_writable(path, reason)
    return LedgerError(f"{path} cannot be written ({reason}): check the disk, then resume. {_NOTHING_LOST}")


def _of_sqlite(error: sqlite3.Error, path: Path) -> LedgerError:
    kind = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
    if kind == sqlite3.SQLITE_FULL or (kind == sqlite3.SQLITE_IOERR and _no_room(path.parent)):
        return _full(path, str(error))
    if kind == sqlite3.SQLITE_IOERR:
        return LedgerError(
            f"{path} cannot be read or written ({error}): check the disk, and whether its file system lets "
            f"programs share memory (network and shared folders often do not); then resume. {_NOTHING_LOST}"
        )
    if kind in _NO_WRITING:
        return _not_writable(path, str(error))
    if kind in _DAMAGED:
        return LedgerError(
            f"{path} is no ledger, or a damaged one ({error}). Put it back from a backup together with "
            f"results.jsonl, or save what can be read with 'sqlite3 {path.name} .recover' (in a copy of the "
            f"folder). Do not run the manifest again before you know which of its rows were billed"
        )
    if kind in _HELD:
        return LedgerError(
            f"{path} is held by another program ({error}): close it, if it is open in a database tool, then "
            f"resume. {_NOTHING_LOST}"
        )
    return LedgerError(f"{path} cannot be used ({error}). {_NOTHING_LOST}")


def _short(path: Path, what: str) -> LedgerError:
    error = LedgerError(
        f"{path} cannot be used: this machine has no {what} left; {advice(what)}, then go on. {_NOTHING_LOST}"
    )
    error.shortage = what
    return error


def _full(path: Path, reason: str) -> LedgerError:
    return LedgerError(
        f"There is no room to write {path} ({reason}): make some, then resume. {_NOTHING_LOST}",
        disk_full=True,
    )


def _not_writable(path: Path, reason: str) -> LedgerError:
    return LedgerError(
        f"{path} cannot be written ({reason}): to run or to resume a batch needs the right to write to its "
        f"folder and its files. Change their permissions, or copy the whole folder to where you may write"
    )


def _no_room(directory: Path) -> bool:
    """Whether a file in this folder cannot grow: the disk is full, or the largest is as large as may be."""
    try:
        if shutil.disk_usage(directory).free < _ALMOST_NOTHING:
            return True
        largest = max((found.stat().st_size for found in directory.iterdir() if found.is_file()), default=0)
    except OSError:
        return False
    return largest + _ALMOST_NOTHING > _largest_allowed()


def _largest_allowed() -> float:
    """Bytes that a file of this process may have (``ulimit -f``)."""
    if resource is None:
        return float("inf")
    soft, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return float("inf") if soft == resource.RLIM_INFINITY else soft
