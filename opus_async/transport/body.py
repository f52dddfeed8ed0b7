"""Request bodies of known size that count the bytes sent and can be aborted.

Two facts of aiohttp are the reason for them: it sends an idempotent request a second time by itself after
a reset (a body that says it is consumed stops that), and it closes a connection politely, so that a server
that has stopped reading keeps the socket open for ever (``abort`` stops that).
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import Any

import aiohttp
from aiohttp.abc import AbstractStreamWriter

CHUNK = 96 * 1024
"""64 to 128 KiB is fastest on Python 3.11; above, malloc maps each buffer anew, and page faults cost more."""

_TURNS = 100


class Body(aiohttp.Payload):
    """A body for one attempt.

    Args:
        size: Bytes in all.

    Attributes:
        sent: Bytes handed to the socket so far.
        transport: The connection, once writing has begun.
        writing: Whether aiohttp's writer task is inside this body.
    """

    _autoclose = True

    def __init__(self, size: int) -> None:
        super().__init__(None)
        self._size: int = size
        self.sent = 0
        self.writing = False
        self.transport: asyncio.Transport | None = None

    @property
    def left(self) -> int:
        """Bytes that have not reached the kernel."""
        buffered = 0 if self.transport is None else self.transport.get_write_buffer_size()
        return self._size - self.sent + buffered

    @abstractmethod
    async def produce(self, writer: AbstractStreamWriter) -> None:
        """Write all of it, counting in ``sent``."""

    def abort(self) -> None:
        """Abort the connection, unsent bytes included; does nothing when writing never began."""
        if self.transport is not None:
            self.transport.abort()

    async def settled(self) -> None:
        """Return when the writer task has left this body: aiohttp cancels it without waiting for it."""
        for _ in range(_TURNS):
            if not self.writing:
                return
            await asyncio.sleep(0)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Follow aiohttp's older spelling of :meth:`write_with_length`."""
        await self.write_with_length(writer, None)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:  # noqa: ARG002 - aiohttp's signature
        """Write it once; from here on aiohttp may not send it again by itself."""
        self._consumed = True
        self.transport = getattr(writer, "transport", None)
        self.writing = True
        try:
            await self.produce(writer)
        finally:
            self.writing = False

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:  # noqa: ARG002 - aiohttp's
        """Refuse: a body that is sent in pieces has no text."""
        raise TypeError("this body is sent in pieces and has no text")


class BytesBody(Body):
    """Bytes in memory, written in chunks: aiohttp's own warns above 1 MiB and copies the rest at once.

    Args:
        data: The whole body.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(len(data))
        self._data = memoryview(data)

    async def produce(self, writer: AbstractStreamWriter) -> None:
        """Write the bytes in chunks."""
        for start in range(0, len(self._data), CHUNK):
            chunk: Any = self._data[start : start + CHUNK]
            await writer.write(chunk)
            self.sent += len(chunk)
