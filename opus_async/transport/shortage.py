"""Recognises that this machine has run out of open files, memory or threads, and waits for that to pass.

It is never the fault of the request. The system reports it in many forms; here they become one value.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from opus_async.errors import OpusError

__all__ = ["Waits", "advice", "no_file_can_be_opened", "out_of", "patiently", "require_files"]

ValueT = TypeVar("ValueT")

FILES, MEMORY, THREADS = "open files", "memory", "threads"

_BY_ERRNO = {
    errno.EMFILE: FILES,
    errno.ENFILE: FILES,
    errno.ENOMEM: MEMORY,
    errno.ENOBUFS: MEMORY,
}
_NO_THREAD = "can't start new thread"
"""CPython's words for an EAGAIN or ENOMEM of ``pthread_create``: a plain RuntimeError that has no number."""
_ADVICE = {
    FILES: "raise the limit (ulimit -n), or lower the concurrency",
    MEMORY: "end other programs, or lower max_in_flight and the concurrency",
    THREADS: "raise the limit of processes (ulimit -u, or of the container), or end other programs",
}
_FILES_OF_SQLITE = 4
"""A database, its write-ahead log, the memory that it shares, and its folder."""
FIRST_WAIT, LAST_WAIT = 0.1, 2.0
"""Seconds before it is tried again, at first and at most: files close as requests end, within moments."""
SHORTAGE_LASTS = 120.0
"""Seconds after which a person has to act; as long as a request is tried for by default."""


def out_of(error: BaseException) -> str | None:
    """What this machine has run out of, by an exception: ``open files``, ``memory``, ``threads`` or None.

    Looks through what caused it: an error of ours keeps that of the system.
    """
    return next(filter(None, map(_named, _chain(error))), None)


def advice(what: str) -> str:
    """What a person can do about a shortage."""
    return _ADVICE[what]


def no_file_can_be_opened(at_once: int = 1) -> bool:
    """Whether this process cannot open a file more now: for libraries that hide the number of an error.

    Args:
        at_once: How many the library needs at the same time; it may have closed those that it got.
    """
    numbers: list[int] = []
    try:
        while len(numbers) < at_once:
            numbers.append(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno in {errno.EMFILE, errno.ENFILE}
    finally:
        for number in numbers:
            os.close(number)
    return False


def require_files(at_once: int) -> None:
    """Raise OSError where this process cannot open so many files more, before a library fails half-way."""
    if no_file_can_be_opened(at_once):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


class Waits:
    """The waits of one operation for which this machine has no resources; they do not count as attempts.

    Files are closed and memory is freed as others end, within moments; what lasts needs a person.

    Args:
        patience: Seconds over all waits.
    """

    __slots__ = ("_left", "_wait")

    def __init__(self, patience: float = SHORTAGE_LASTS) -> None:
        self._left = patience
        self._wait = FIRST_WAIT

    def next_wait(self) -> float | None:
        """Seconds to wait; None to give up."""
        if self._left <= 0:
            return None
        wait, self._wait = self._wait, min(self._wait * 2, LAST_WAIT)
        self._left -= wait
        return wait


async def patiently(
    attempt: Callable[[], Awaitable[ValueT]],
    *,
    patience: float = SHORTAGE_LASTS,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> ValueT:
    """Make attempts until one meets no shortage.

    Args:
        attempt: Makes one attempt.
        patience: Seconds over all waits, after which the last error is raised.
        sleep: Waits so many seconds.
    """
    waits = Waits(patience)
    while True:
        try:
            return await attempt()
        except Exception as error:
            wait = waits.next_wait() if out_of(error) else None
            if wait is None:
                raise
        await sleep(wait)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__


def _named(error: BaseException) -> str | None:  # noqa: PLR0911 - a table
    if isinstance(error, OpusError):
        return error.shortage
    if isinstance(error, MemoryError):
        return MEMORY
    if isinstance(error, RuntimeError):
        return THREADS if _NO_THREAD in str(error) else None
    sqlite3 = sys.modules.get("sqlite3")  # whoever raised an error of it has imported it
    if sqlite3 is not None and isinstance(error, sqlite3.OperationalError):
        hidden = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if hidden == sqlite3.SQLITE_NOMEM:
            return MEMORY
        cannot_open = hidden == sqlite3.SQLITE_CANTOPEN
        return FILES if cannot_open and no_file_can_be_opened(_FILES_OF_SQLITE) else None
    if isinstance(error, socket.gaierror):  # its number is the resolver's own
        if error.errno == socket.EAI_MEMORY:
            return MEMORY
        return FILES if no_file_can_be_opened() else None
    if isinstance(error, OSError):
        inside = getattr(error, "os_error", None)  # aiohttp's keep the system's there
        return _BY_ERRNO.get(error.errno or 0) if inside is None else _named(inside)
    return None
