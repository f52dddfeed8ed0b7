"""Where the bytes of an upload come from: a path, bytes, or a file object, each read anew for every attempt.

A body that cannot be read twice would upload nothing on the second attempt and get 200 for it. Whatever can
block (opening, hashing, reading from a cold disk) happens in a thread. A small file in the page cache blocks
nothing, and a thread would cost more than the work itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import stat
import threading
import weakref
from collections.abc import Callable
from typing import IO, Protocol

from opus_async.errors import UploadError
from opus_async.gaps import gapped
from opus_async.transport.confined import Confined
from opus_async.transport.hashing import new_buffer, sha256
from opus_async.transport.open_source import (
    SMALL,
    FileReading,
    OpenSource,
    changed,
    identity_of,
    takes_nowait,
    to_thread,
    unreadable,
)
from opus_async.transport.shortage import patiently


class Source(Protocol):
    """What can be uploaded.

    Attributes:
        filename: As the caller named it.
        size: Bytes.
        bounds_reading: Whether it bounds its own waiting: an upload that waits for it has not stalled.
    """

    filename: str
    size: int
    bounds_reading: bool

    async def open(self) -> OpenSource:
        """Start reading from the beginning."""

    async def digest(self) -> str:
        """SHA-256 in hex."""


async def identity(source: Source) -> str:
    """What is the same for the same content: what a source knows without reading it, else its SHA-256.

    Raises:
        UploadError: It changed or cannot be read.
    """
    known: str | None = getattr(source, "identity", None)
    return await digest(source) if known is None else known


async def digest(source: Source) -> str:
    """The SHA-256 of a source in hex.

    Raises:
        UploadError: It changed or cannot be read.
    """
    return await patiently(source.digest)


class BytesSource:
    """Bytes in memory.

    Args:
        filename: As the caller named them.
        data: The content.
    """

    bounds_reading = False

    def __init__(self, filename: str, data: bytes) -> None:
        self.filename = filename
        self.size = len(data)
        self._data = data

    def __repr__(self) -> str:
        return f"BytesSource({self.filename!r}, {self.size} bytes)"

    async def open(self) -> OpenSource:
        """Start reading from the beginning."""
        return _BytesReading(self._data)

    async def digest(self) -> str:
        """SHA-256 in hex."""
        if self.size <= SMALL:
            return hashlib.sha256(self._data).hexdigest()
        return await to_thread(lambda: hashlib.sha256(self._data).hexdigest())


class _BytesReading:
    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)

    def read_now(self, buffer: memoryview, offset: int) -> memoryview:
        return self._data[offset : offset + len(buffer)]

    async def read(self, size: int, offset: int) -> bytes:
        return bytes(self._data[offset : offset + size])

    async def check(self) -> None:
        return

    def close(self) -> None:
        return


class PathSource:
    """A file, as it is now: if it is changed, truncated or replaced later, it is refused.

    Args:
        path: The file; a :class:`~opus_async.transport.confined.Confined` must lie in its folder.
        filename: As the caller named it; the last part of the path by default.

    Raises:
        UploadError: It is missing, unreadable, no regular file, or outside of the folder it is confined to.
    """

    bounds_reading = False

    def __init__(self, path: str | os.PathLike[str], filename: str | None = None) -> None:
        self._path = os.fspath(path)
        self.filename = os.path.basename(self._path) if filename is None else filename  # noqa: PTH119 - a str
        try:
            found = path.stat() if isinstance(path, Confined) else os.stat(self._path)  # noqa: PTH116 - a str
        except (OSError, ValueError) as error:
            raise unreadable(self._path, self.filename, error) from None
        if not stat.S_ISREG(found.st_mode):
            raise UploadError(
                gapped("{} is not a regular file: give the path of a file", self._path),
                filename=self.filename,
            )
        self.size = found.st_size
        self._identity = identity_of(found)

    def __repr__(self) -> str:
        return f"PathSource({self._path!r}, {self.size} bytes)"

    async def open(self) -> FileReading:
        """Open the file: in a thread, unless it is small and its device known for answering at once."""
        if self.size <= SMALL and takes_nowait(self._identity):
            reading = self._open()
        else:
            reading = await to_thread(self._open, undo=FileReading.close)
        try:
            reading.check_now()
        except BaseException:
            reading.close()
            raise
        return reading

    async def digest(self) -> str:
        """SHA-256 in hex, in pieces; stops at once when cancelled."""
        if self.size <= SMALL and takes_nowait(self._identity) is not False:
            found = await self._hash_cached()
            if found is not None:
                return found
        return await _hashed(self._hash)

    async def _hash_cached(self) -> str | None:
        """Hash the file in the loop; None where not all of it lies in the page cache."""
        reading = await self.open()
        try:
            content = reading.read_now(memoryview(bytearray(self.size)), 0)
            if content is None or len(content) < self.size:
                return None
            found = hashlib.sha256(content).hexdigest()
            reading.check_now()
            return found
        finally:
            reading.close()

    def _open(self) -> FileReading:
        try:
            number = os.open(
                self._path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
            )
        except OSError as error:
            raise unreadable(self._path, self.filename, error) from None
        return FileReading(number, self.filename, self._identity)

    def _hash(self, stop: threading.Event, buffer: memoryview) -> str:
        reading = self._open()
        try:
            found, _ = sha256(reading.readinto, stop, buffer)
            reading.check_now()
            return found
        finally:
            reading.close()


class _Shared:
    """A file object that several sources may share: its start position, and the lock to move it."""

    def __init__(self, fileobj: IO[bytes], start: int | None) -> None:
        self.file = fileobj
        self.lock = threading.Lock()
        self.start = fileobj.tell() if start is None else start


_SHARED: weakref.WeakValueDictionary[int, _Shared] = weakref.WeakValueDictionary()
"""By the identity of the file object, which its state keeps alive."""


def _shared(fileobj: IO[bytes], start: int | None) -> _Shared:
    known = _SHARED.get(id(fileobj))
    if known is None:
        known = _SHARED[id(fileobj)] = _Shared(fileobj, start)
    return known


class FileObjectSource:
    """A binary, seekable file object, from its position now to its end. It is left open, at that position.

    While there are sources of a file object, another one starts where the first did: rows may share it.

    Args:
        filename: As the caller named it.
        fileobj: Opened in binary mode.
        start: Where it begins; its position now by default.

    Raises:
        UploadError: It is a text file, closed, or cannot seek.
    """

    bounds_reading = False

    def __init__(self, filename: str, fileobj: IO[bytes], *, start: int | None = None) -> None:
        self.filename = filename
        try:
            self._shared = _shared(fileobj, start)
            with self._shared.lock:
                self.size = self._size()
                binary = isinstance(fileobj.read(0), bytes)
        except (OSError, ValueError, AttributeError):
            raise UploadError(
                gapped(
                    "{}: the file object cannot seek, so a failed upload could not be tried again: pass a "
                    "path, or its bytes (file.read())",
                    filename,
                ),
                filename=filename,
            ) from None
        if not binary or self.size < 0:
            raise UploadError(
                gapped("{}: the file object gives text, not bytes: open it with 'rb'", filename),
                filename=filename,
            )

    def __repr__(self) -> str:
        return f"FileObjectSource({self.filename!r}, {self.size} bytes)"

    async def open(self) -> OpenSource:
        """Start at the position that the file object had when the source was made."""
        return _FileObjectReading(self)

    async def digest(self) -> str:
        """SHA-256 in hex, in chunks."""
        return await _hashed(self._hash)

    def read_at(self, size: int, offset: int) -> bytes:
        """Read in this thread; two uploads of one file object do not disturb each other."""
        shared = self._shared
        try:
            with shared.lock:
                shared.file.seek(shared.start + offset)
                try:
                    return shared.file.read(size)
                finally:
                    shared.file.seek(shared.start)
        except (OSError, ValueError) as error:
            raise unreadable(self.filename, self.filename, error) from None

    def check(self) -> None:
        """Compare the size with what it was."""
        try:
            with self._shared.lock:
                size = self._size()
        except (OSError, ValueError) as error:
            raise unreadable(self.filename, self.filename, error) from None
        if size != self.size:
            raise changed(self.filename)

    def _size(self) -> int:
        shared = self._shared
        size = shared.file.seek(0, io.SEEK_END) - shared.start
        shared.file.seek(shared.start)
        return size

    def _hash(self, stop: threading.Event, buffer: memoryview) -> str:
        offset = 0

        def readinto(target: memoryview) -> int:
            nonlocal offset
            piece = self.read_at(len(target), offset)
            offset += len(piece)
            target[: len(piece)] = piece
            return len(piece)

        found, _ = sha256(readinto, stop, buffer)
        self.check()
        return found


class _FileObjectReading:
    def __init__(self, source: FileObjectSource) -> None:
        self._source = source

    def read_now(self, buffer: memoryview, offset: int) -> None:  # noqa: ARG002 - any file object may block
        return None

    async def read(self, size: int, offset: int) -> bytes:
        return await to_thread(lambda: self._source.read_at(size, offset))

    async def check(self) -> None:
        await to_thread(self._source.check)

    def close(self) -> None:
        return


async def _hashed(hash_until: Callable[[threading.Event, memoryview], str]) -> str:
    """Compute a hash in a thread, which is told to stop when this task is cancelled."""
    stop, buffer = threading.Event(), new_buffer()
    try:
        return await to_thread(lambda: hash_until(stop, buffer))
    except asyncio.CancelledError:
        stop.set()
        raise
