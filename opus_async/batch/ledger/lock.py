"""The lock of a batch directory: one process at a time works on it, and a second one is told which.

The lock (``flock``, on the directory itself: no file can be taken from under it) is the system's: it goes
with the process that held it, however that died. The file ``.lock`` only tells who it is, see :func:`holder`.
Where there is no ``flock``, SQLite's own lock on an empty database takes its place: that works wherever a
ledger does.

A child that is forked does not hold it: it would keep the next process out for as long as it lives.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sqlite3
import time
import weakref
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from opus_async.batch.ledger.database import refuse_links
from opus_async.batch.ledger.own_files import open_own
from opus_async.errors import LedgerBusy, LedgerError
from opus_async.layout import LOCK
from opus_async.transport.forks import in_child

try:
    from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock
except ImportError:
    flock = None  # type: ignore[assignment]  # not on this system

_NO_LOCKS = frozenset(
    {errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOLCK, errno.EBADF, errno.EINVAL, errno.EISDIR}
)
"""The last three where files can be locked, and directories cannot."""
_SHOWN_BYTES = 4096
_READ_TRIES, _READ_PAUSE = 20, 0.005
"""Whoever has just taken the lock has not yet written who it is."""
_TAKE_TRIES = 4
"""Who only looks whether the lock is held has it for some microseconds."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process that works on a batch.

    Attributes:
        pid: Its process id.
        host: The machine it runs on.
        since: When it took the lock, in seconds since the epoch; None where it did not say.
        alive: True; or None when it runs, as it says, on another machine, so that nobody here can tell.
    """

    pid: int
    host: str
    since: float | None
    alive: bool | None


@dataclass(frozen=True, slots=True)
class _Note:
    """What the file ``.lock`` says of its writer; None for what it does not say."""

    pid: int | None = None
    host: str | None = None
    since: float | None = None

    @classmethod
    def of_myself(cls) -> _Note:
        return cls(os.getpid(), socket.gethostname(), time.time())

    @classmethod
    def read(cls, path: Path) -> _Note | None:
        """The note; None where there is none, or not yet."""
        try:
            with os.fdopen(open_own(path, os.O_RDONLY), "rb") as file:
                told = json.loads(file.read(_SHOWN_BYTES))
        except (OSError, ValueError, LedgerError):
            return None
        if not isinstance(told, dict):
            return None
        pid, host, since = told.get("pid"), told.get("host"), told.get("since")
        return cls(
            pid if isinstance(pid, int) else None,
            host if isinstance(host, str) else None,
            since if isinstance(since, int | float) else None,
        )

    def as_bytes(self) -> bytes:
        return json.dumps(asdict(self)).encode()


def holder(directory: Path) -> Process | None:
    """Who works on a batch, as its lock says; None when nobody does."""
    note = _Note.read(directory / LOCK)
    if note is None or note.pid is None or note.host is None:
        return None
    held = _is_held(directory)
    if held is None and note.host == socket.gethostname():
        held = _lives(note.pid)
    return None if held is False else Process(note.pid, note.host, note.since, held)


def _is_held(directory: Path) -> bool | None:
    """Whether the lock is held; None where there are no locks. The number can be another process's by now."""
    if flock is None:
        return None
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        flock(descriptor, LOCK_SH | LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return False


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        return True
    return True


_held: weakref.WeakSet[DirectoryLock] = weakref.WeakSet()


def _forget() -> None:
    """In a forked child: close what was inherited, and leave the lock to the parent."""
    for each in _held:
        each.leave_to_parent()


in_child(_forget)


class DirectoryLock:
    """The lock of a batch directory, held from when it is made until it is released.

    Args:
        directory: Of the batch.

    Raises:
        LedgerBusy: Another process holds it; the message names it.
        LedgerDoubtful: What is to be written is a link.
        OSError: The directory cannot be written to.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / LOCK
        self._myself = _Note.of_myself().as_bytes()
        self._database: sqlite3.Connection | None = None
        self._descriptor: int | None = None
        try:
            taken = self._take(directory)
            if taken:
                _write(self._path, self._myself)
                _held.add(self)
        except BaseException:
            self._let_go()
            raise
        if not taken:
            self._let_go()
            raise _busy(directory, _note_of_holder(self._path))

    def name_holder(self) -> None:
        """Write the note of the holder again, if the file was removed."""
        if not self._path.exists():
            with suppress(OSError, LedgerError):  # the lock holds all the same
                _write(self._path, self._myself)

    def release(self) -> None:
        """Release the lock."""
        with suppress(OSError, LedgerError):  # what it says is for others to read, and no more
            _write(self._path, b"")
        self._let_go()

    def leave_to_parent(self) -> None:
        """Close what a forked child has of it: what keeps others out is what its parent has."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _take(self, directory: Path) -> bool:
        try:
            if flock is not None:
                self._descriptor = os.open(directory, os.O_RDONLY)
                return _locked(self._descriptor)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        return self._take_database(directory / f"{LOCK}.db")

    def _take_database(self, path: Path) -> bool:
        refuse_links(path, written=True)
        os.close(open_own(path, os.O_RDWR | os.O_CREAT))  # for its owner alone
        self._database = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            self._database.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                return False
            raise
        return True

    def _let_go(self) -> None:
        if self._database is not None:
            self._database.close()
        if self._descriptor is not None:
            os.close(self._descriptor)


def _locked(descriptor: int) -> bool:
    """Lock a file or a directory; False if another one has."""
    for left in reversed(range(_TAKE_TRIES)):
        try:
            flock(descriptor, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            if left:
                time.sleep(_READ_PAUSE)
        else:
            return True
    return False


def _write(path: Path, text: bytes) -> None:
    descriptor = open_own(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        os.write(descriptor, text)
    finally:
        os.close(descriptor)


def _note_of_holder(path: Path) -> _Note:
    """What the holder of the lock has said, or says in a moment."""
    for _ in range(_READ_TRIES):
        if note := _Note.read(path):
            return note
        time.sleep(_READ_PAUSE)
    return _Note()


def _busy(directory: Path, note: _Note) -> LedgerBusy:
    who = "a process that has not said who it is"
    if note.pid is not None and note.host is not None:
        who = f"process {note.pid} on host {note.host}"
    if note.since is not None:
        who += f", since {_moment(note.since)}"
    return LedgerBusy(
        f"Another run ({who}) works on {directory}: wait for its end, or stop it first. "
        f"'opus-async batch status {directory}' shows how far it is",
        pid=note.pid,
        host=note.host or "",
    )


def _moment(since: float) -> str:
    """As a clock on the wall shows it; with the date if that is not today's."""
    try:
        then = datetime.fromtimestamp(since).astimezone()
    except (OverflowError, OSError, ValueError):
        return "an unknown time"
    today = datetime.now().astimezone().date()
    return then.strftime("%H:%M" if then.date() == today else "%Y-%m-%d %H:%M")
