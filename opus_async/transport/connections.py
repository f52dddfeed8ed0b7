"""The pool of connections: one that is out of step with its answers is closed, never used.

HTTP/1.1 pairs answers with requests by their order alone. A copy of an answer that comes late would be taken
for the answer to the next request on its connection, and every answer after it for that of another request.
So nothing may come before it was asked for: bytes on a connection at rest close it at once, what the system
has received and the loop has not read yet is looked for before a request goes out, and two answers to one
request are none.

What no client can tell: a copy that arrives after the request has left and before its answer. Where such an
answer names its job, that is compared; see ``opus/protocol/belonging.py``.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import logging
import select
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from yarl import URL

log = logging.getLogger("opus_async.transport")

_FINAL = 200
"""From here on a status ends an exchange; the 1xx before it announce one."""


class TwoAnswers(aiohttp.ClientConnectionError):
    """Two answers came to one request: which of them is its own cannot be told."""


class Wire(ResponseHandler):
    """One connection.

    Attributes:
        number: Of its making; later ones have larger numbers.
        at_rest: Whether it waits in the pool, where nothing may come.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, numbers: itertools.count[int]) -> None:
        super().__init__(loop)
        self.number = next(numbers)
        self.at_rest = False
        self._answers = 0

    def rest(self) -> None:
        """The exchange has ended."""
        self.at_rest = True

    def data_received(self, data: bytes) -> None:
        """Take what came; close the connection when nobody has asked for it."""
        if self.at_rest and data:
            _tell(self.transport)
            self.abort()
        else:
            super().data_received(data)

    def set_response_params(self, **options: Any) -> None:
        """Begin an exchange."""
        self._answers = 0
        super().set_response_params(**options)

    def feed_data(self, data: Any, size: int = 0) -> None:
        """Hand on the head of an answer, unless it is the second to one request."""
        self._answers += data[0].code >= _FINAL
        if self._answers > 1:
            self._buffer.clear()
            self.set_exception(TwoAnswers())
        else:
            super().feed_data(data, size)


class Connections(aiohttp.TCPConnector):
    """aiohttp's pool, with a look at each connection before it is used again."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._numbers = itertools.count()
        # how TCPConnector is told which protocol to speak; no public name of it is offered
        self._factory = functools.partial(Wire, self._loop, self._numbers)  # type: ignore[assignment]
        self._first_trusted: dict[tuple[str | None, int | None], int] = {}

    def distrust(self, url: URL) -> None:
        """Use none of the connections again that there are to the host of this URL."""
        self._first_trusted[url.host, url.port] = next(self._numbers)

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        """A connection that is new, or at rest with nothing to read."""
        while True:
            connection = await super().connect(req, traces, timeout)
            wire = connection.protocol
            if not isinstance(wire, Wire):
                return connection
            if not wire.at_rest or self._is_quiet(wire, req.url):
                wire.at_rest = False
                connection.add_callback(wire.rest)
                return connection
            connection.close()

    def _is_quiet(self, wire: Wire, url: URL) -> bool:
        if wire.number < self._first_trusted.get((url.host, url.port), 0):
            return False
        if wire.should_close or _has_something_to_read(wire.transport):
            _tell(wire.transport)
            return False
        return True


def _has_something_to_read(transport: asyncio.Transport | None) -> bool:
    """Whether the system has bytes for it, or the end, that the loop has not read yet."""
    socket = None if transport is None else transport.get_extra_info("socket")
    if socket is None:
        return False
    poll = select.poll()
    poll.register(socket.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _tell(transport: asyncio.Transport | None) -> None:
    peer = None if transport is None else transport.get_extra_info("peername")
    log.info("A connection to %s had something to read before anything was asked: closed", peer)
