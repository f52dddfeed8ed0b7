"""A source, opened for one attempt: read without blocking where the system can, else in a thread.

A hop to the executor costs more than copying the bytes, so a file that lies in the page cache is read in the
loop (``preadv`` with ``RWF_NOWAIT``, Linux) and only a cold one by a thread. A small file is opened in the
loop, too, where files on the same device have been read that way before: a file system over a network or in
user space refuses that flag, and to open a file there can block for as long as the other side likes.
"""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from opus_async.errors import UploadError
from opus_async.gaps import gapped, literal
from opus_async.transport.shortage import advice, out_of

ResultT = TypeVar("ResultT")

_NOWAIT = getattr(os, "RWF_NOWAIT", 0) if hasattr(os, "preadv") else 0
"""Read what lies in the page cache, and say so when it does not."""
SMALL = 64 * 1024
"""Bytes that take less to open, read and hash than a thread switch does."""

_takes_nowait: dict[int, bool] = {}
"""Device -> whether its file system takes that flag, as the last read of one of its files showed."""


def takes_nowait(identity: tuple[int, ...]) -> bool | None:
    """Whether a file can be read without blocking; None where none on its device has been read yet.

    Args:
        identity: Of :func:`identity_of`.
    """
    return _takes_nowait.get(identity[0]) if _NOWAIT else False


class OpenSource(Protocol):
    """A source, opened for one attempt."""

    def read_now(self, buffer: memoryview, offset: int) -> memoryview | None:
        """Read without blocking, into the buffer or not: empty at the end, None if :meth:`read` is needed."""

    async def read(self, size: int, offset: int) -> bytes:
        """Read in a thread; empty at the end."""

    async def check(self) -> None:
        """Raise UploadError when the content has changed."""

    def close(self) -> None:
        """Close it, at once or as soon as a read that is under way returns."""


class FileReading:
    """An open file of a known identity.

    When it is closed while a thread reads from it, that thread closes it on its way out: a number that is
    free again could already be another file's.

    Args:
        number: The file descriptor, which is closed by :meth:`close`.
        filename: As the caller named it, for messages.
        identity: Of :func:`identity_of`, when the source was made.
    """

    def __init__(self, number: int, filename: str, identity: tuple[int, ...]) -> None:
        self._number = number
        self._filename = filename
        self._identity = identity
        self._nowait = takes_nowait(identity) is not False
        self._lock = threading.Lock()
        self._reading = False
        self._closed = False

    def read_now(self, buffer: memoryview, offset: int) -> memoryview | None:
        """Read from the page cache into the buffer."""
        if not buffer:  # that would tell nothing of the file system: none refuses to read nothing
            return buffer
        if not self._nowait:
            return None
        try:
            count = os.preadv(self._number, [buffer], offset, _NOWAIT)
        except BlockingIOError:
            return None
        except OSError as error:  # a real one shows in read()
            self._nowait = False
            if error.errno == errno.EOPNOTSUPP:
                _takes_nowait[self._identity[0]] = False
            return None
        _takes_nowait[self._identity[0]] = True
        return buffer[:count]

    async def read(self, size: int, offset: int) -> bytes:
        """Read in the executor."""
        return await to_thread(lambda: self.pread(size, offset))

    async def check(self) -> None:
        """Compare with what it was when the source was made."""
        self.check_now()

    def pread(self, size: int, offset: int) -> bytes:
        """Read in this thread."""
        with self._lock:
            if self._closed:
                return b""
            self._reading = True
        try:
            return os.pread(self._number, size, offset)
        except OSError as error:
            raise unreadable(self._filename, self._filename, error) from None
        finally:
            with self._lock:
                self._reading = False
                if self._closed:
                    os.close(self._number)

    def readinto(self, buffer: memoryview) -> int:
        """Fill a buffer with what comes next, in this thread, which alone uses the file; 0 at the end."""
        try:
            return os.readv(self._number, [buffer])
        except OSError as error:
            raise unreadable(self._filename, self._filename, error) from None

    def check_now(self) -> None:
        """Compare with what it was when the source was made, in this thread."""
        if identity_of(os.fstat(self._number)) != self._identity:
            raise changed(self._filename)

    def close(self) -> None:
        """Close it now, or leave that to the thread that is inside a read."""
        with self._lock:
            if not self._closed:
                self._closed = True
                if not self._reading:
                    os.close(self._number)


async def to_thread(
    function: Callable[[], ResultT], undo: Callable[[ResultT], object] | None = None
) -> ResultT:
    """Run a function in the loop's executor.

    Args:
        function: What to run.
        undo: Called with a result that came after a cancel.
    """
    late = _Late(function, undo)
    try:
        future = asyncio.get_running_loop().run_in_executor(None, late.run)
    except RuntimeError:  # no thread could be started; another one may still take it up
        late.give_up()
        raise
    if undo is None:
        return await future
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        future.add_done_callback(lambda done: None if done.exception() else undo(done.result()))
        raise


class _Late(Generic[ResultT]):
    """A function in the executor's queue that may be given up: what it opened is closed then.

    An executor that cannot start a thread raises, and yet leaves the function to the threads it has.
    """

    def __init__(self, function: Callable[[], ResultT], undo: Callable[[ResultT], object] | None) -> None:
        self._function = function
        self._undo = undo
        self._lock = threading.Lock()
        self._given_up = False
        self._done: list[ResultT] = []

    def run(self) -> ResultT:
        result = self._function()
        with self._lock:
            self._done.append(result)
            self._close()
        return result

    def give_up(self) -> None:
        with self._lock:
            self._given_up = True
            self._close()

    def _close(self) -> None:
        if self._given_up and self._undo is not None:
            while self._done:
                self._undo(self._done.pop())


def changed(filename: str) -> UploadError:
    """The error for a file that has changed."""
    return UploadError(
        gapped(
            "{} changed while it was being uploaded: nothing half was stored. Start again when it is written "
            "to its end",
            filename,
        ),
        filename=filename,
    )


def identity_of(found: os.stat_result) -> tuple[int, ...]:
    """What identifies the content of a file, as far as the system tells without reading it."""
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def unreadable(name: str, filename: str, error: Exception) -> UploadError:
    """The error for a file that cannot be opened or read.

    Args:
        name: How messages name it.
        filename: As the caller named it.
        error: What the system said.
    """
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    what = out_of(error)
    fix = "check the path and its permissions" if what is None else advice(what)
    refusal = UploadError(gapped(f"{{}} cannot be read ({literal(reason)}): {fix}", name), filename=filename)
    refusal.shortage = what
    return refusal
