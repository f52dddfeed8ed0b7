"""Bounds the connections of a server in number, bytes and time: for a port that anybody may reach.

aiohttp's server waits for the rest of a request for ever, and takes every connection: some hundred requests
that never come to their end would take the descriptors of the process. Each connection here has a time and a
number of bytes in which to come to a request, and there is a number for all of them; what goes beyond is cut
off. Memory is bounded by ``MAX_CONNECTIONS`` times what aiohttp buffers of each (128 KiB) and ``MAX_HEAD``
twice: 50 MiB.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

MAX_CONNECTIONS = 200
"""Connections at once: a fifth of the open files that a process may have where nobody raised the limit."""
MAX_HEAD = 64 * 1024
"""Bytes until a request has begun: four times the largest head that aiohttp takes."""
HEAD_SECONDS = 10.0
"""Seconds until a request has begun, from the connection or the last answer on."""
REQUEST_SECONDS = 10.0
"""Seconds that a request may then last, its body included."""
_END_OF_HEAD = b"\r\n\r\n"


class ConnectionGuard:
    """Bounds the connections of one server; the protocol factory for ``loop.create_server``.

    Args:
        serve: Makes the protocol of a connection.
        most: Connections at once; when one more comes, the one that has waited longest for a request is cut
            off, or else the oldest.
        seconds: Until a request has begun, and until it is answered.

    Attributes:
        closed: Set once the server is gone. A connection that was accepted right before reaches its protocol
            after that, and is cut off there: the server would not know of it, and leave it open.
    """

    def __init__(
        self,
        serve: Callable[[], asyncio.Protocol],
        *,
        most: int = MAX_CONNECTIONS,
        seconds: tuple[float, float] = (HEAD_SECONDS, REQUEST_SECONDS),
    ) -> None:
        self._serve = serve
        self._most = most
        self.head_seconds, self.request_seconds = seconds
        self.closed = False
        self._open: dict[asyncio.BaseTransport, _Guarded] = {}
        """In the order in which they came."""

    def __call__(self) -> asyncio.Protocol:
        """The protocol of one more connection, for ``loop.create_server``."""
        return _Guarded(self._serve(), self)

    def __len__(self) -> int:
        return len(self._open)

    def begun(self, transport: asyncio.BaseTransport | None) -> None:
        """A request begins to be answered on this connection."""
        if transport is not None and (connection := self._open.get(transport)):
            connection.wait_for_an_answer()

    def answered(self, transport: asyncio.BaseTransport | None) -> None:
        """A request was answered on this connection; another may follow."""
        if transport is not None and (connection := self._open.get(transport)):
            connection.wait_for_a_request()

    def made(self, connection: _Guarded, transport: asyncio.Transport) -> None:
        """Register a new connection; where there are too many, cut one off."""
        if len(self._open) >= self._most:
            waiting = (held for held in self._open.values() if not held.busy)
            next(waiting, next(iter(self._open.values()))).cut_off()
        self._open[transport] = connection

    def lost(self, transport: asyncio.BaseTransport) -> None:
        """Forget a connection that has ended."""
        self._open.pop(transport, None)


class _Guarded(asyncio.Protocol):
    """Passes a connection's events on to the server's protocol, as long as it keeps within its bounds."""

    def __init__(self, inner: asyncio.Protocol, guard: ConnectionGuard) -> None:
        self.busy = False
        self._inner = inner
        self._guard = guard
        self._head: bytearray | None = bytearray()
        """Of the next request, as far as it has come; None when it has come to its end."""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._guard.closed:
            self._inner = asyncio.Protocol()
            self._transport.abort()
            return
        self._guard.made(self, self._transport)
        self.wait_for_a_request()
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if not self.busy and self._head is not None:
            self._head += data
            if _END_OF_HEAD in self._head:
                self._head = None  # what follows is a body, which whoever answers takes in or refuses
            elif len(self._head) > MAX_HEAD:
                self.cut_off()
                return
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer:
            self._timer.cancel()
        if self._transport is not None:
            self._guard.lost(self._transport)
        self._inner.connection_lost(exc)

    def wait_for_a_request(self) -> None:
        self.busy, self._head = False, bytearray()
        self._within(self._guard.head_seconds)

    def wait_for_an_answer(self) -> None:
        self.busy = True
        self._within(self._guard.request_seconds)

    def cut_off(self) -> None:
        if self._transport is not None:
            self._guard.lost(self._transport)
            self._transport.abort()

    def _within(self, seconds: float) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.cut_off)
