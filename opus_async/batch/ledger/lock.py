"""One process at a time works on a batch directory; a second one is told by whom it is held.

The lock (``flock``) is the system's: it goes with the process that held it, however that died, and the file
that stays is no obstacle. Where there is no ``flock``, SQLite's own lock on an empty database takes its
place: that works wherever a ledger does.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sqlite3
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from opus_async.batch.ledger.disk import OWNER_ONLY
from opus_async.errors import LedgerBusy

try:
    from fcntl import LOCK_EX, LOCK_NB, flock
except ImportError:
    flock = None  # type: ignore[assignment]  # not on this system

LOCK = ".lock"
_NO_LOCKS = frozenset({errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOLCK})
_SHOWN_BYTES = 4096
_READ_TRIES, _READ_PAUSE = 20, 0.005
"""Whoever has just taken the lock has not yet written who it is."""


class DirectoryLock:
    """Held from when it is made until it is released.

    Args:
        directory: Of the batch.

    Raises:
        LedgerBusy: Another process holds it; the message names it.
        OSError: The directory cannot be written to.
    """

    def __init__(self, directory: Path) -> None:
        path = directory / LOCK
        self._database: sqlite3.Connection | None = None
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, OWNER_ONLY)
        try:
            taken = self._take(path)
            if taken:
                os.ftruncate(self._descriptor, 0)
                os.write(self._descriptor, _myself())
        except BaseException:
            self._let_go()
            raise
        if not taken:
            self._let_go()
            raise _busy(directory, _holder(path))

    def release(self) -> None:
        """Let others in."""
        with suppress(OSError):  # what it says is for others to read, and no more
            os.ftruncate(self._descriptor, 0)
        self._let_go()

    def _take(self, path: Path) -> bool:
        try:
            if flock is not None:
                flock(self._descriptor, LOCK_EX | LOCK_NB)
                return True
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        return self._take_database(path.with_name(f"{LOCK}.db"))

    def _take_database(self, path: Path) -> bool:
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
        os.close(self._descriptor)


def _myself() -> bytes:
    return json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}).encode()


def _holder(path: Path) -> dict[str, Any]:
    """Who holds it, as far as the file tells."""
    for _ in range(_READ_TRIES):
        with suppress(OSError, ValueError):
            with path.open("rb") as file:
                found = json.loads(file.read(_SHOWN_BYTES))
            if isinstance(found, dict):
                return found
        time.sleep(_READ_PAUSE)
    return {}


def _busy(directory: Path, holder: dict[str, Any]) -> LedgerBusy:
    pid, host, since = holder.get("pid"), holder.get("host"), holder.get("since")
    who = "a process that has not said who it is"
    if isinstance(pid, int) and isinstance(host, str):
        who = f"process {pid} on host {host}"
    if isinstance(since, int | float):
        who += f", since {_moment(since)}"
    return LedgerBusy(
        f"Another run ({who}) works on {directory}: wait for its end, or stop it first. "
        f"'opus-async batch status {directory}' shows how far it is",
        pid=pid if isinstance(pid, int) else None,
        host=host if isinstance(host, str) else "",
    )


def _moment(since: float) -> str:
    """As a clock on the wall shows it; with the date if that is not today's."""
    try:
        then = datetime.fromtimestamp(since).astimezone()
    except (OverflowError, OSError, ValueError):
        return "an unknown time"
    today = datetime.now().astimezone().date()
    return then.strftime("%H:%M" if then.date() == today else "%Y-%m-%d %H:%M")
