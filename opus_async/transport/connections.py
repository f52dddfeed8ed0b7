"""The connection pool: a connection with unexpected bytes on it is closed, never used again.

HTTP/1.1 pairs responses with requests by their order alone. A copy of a response that comes late would be
taken for the response to the next request on its connection, and every later one for that of another request.
So bytes on an idle connection close it at once, bytes that the system has received and the loop has not read
yet are checked for before a request is sent, and two responses to one request are an error.

What no client can notice: a copy that arrives after the request has left and before its response. Where such
a response names its job, that is compared; see ``opus/protocol/identity_check.py``.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import logging
import math
import select
import time
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from yarl import URL

log = logging.getLogger("opus_async.transport")

_TURNS_AT_THE_DEADLINE = 3
"""Turns of the loop: while it stood still (a slow callback, a stopped process) the response may have come."""
_READ_AT_ONCE = 64 * 1024
"""Bytes: from 128 KiB on, asyncio's size, the C library asks the system for memory at each read."""
_FINAL = 200
"""The lowest status that ends an exchange; 1xx only announce one."""


class TwoAnswers(aiohttp.ClientConnectionError):
    """Two responses came to one request: which of them is its own cannot be known."""


class ClosedBeforeItWasSent(aiohttp.ClientConnectionError):
    """The pool was closed while a connection was being opened."""


class Wire(ResponseHandler):
    """One connection.

    Args:
        loop: The event loop.
        numbers: Gives each connection its number.

    Attributes:
        number: Later connections have larger numbers.
        idle: Whether it waits in the pool, where no bytes may come.
        exchanges: Requests that went over it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, numbers: itertools.count[int]) -> None:
        super().__init__(loop)
        self.number = next(numbers)
        self.idle = False
        self.exchanges = 0
        self._answers = 0
        self._deadline = math.inf
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = math.inf
        self._poll: select.poll | None = None

    def ask(self, message: bytes, *, deadline: float, response_has_body: bool) -> asyncio.Transport:
        """Send a request whole, over the connection that is returned; its response can be read from then on.

        Args:
            message: All bytes of it.
            deadline: When the response has to be there, by the loop's clock: then whoever reads it gets a
                TimeoutError. To be ended by :meth:`leave`.
            response_has_body: Whether a response can have one: not to a HEAD.
        """
        transport = self.transport
        if transport is None or transport.is_closing():
            raise aiohttp.ServerDisconnectedError
        self.set_response_params(skip_payload=not response_has_body, read_until_eof=True)
        self._deadline = deadline
        if deadline < self._alarm_at:  # else an earlier request's alarm sets itself anew for this one
            self._set_alarm(deadline)
        transport.write(message)
        return transport

    def leave(self) -> None:
        """End an exchange: nobody reads its response any more."""
        self.idle = True
        self._deadline = math.inf
        transport = self.transport
        if transport is not None and transport.get_write_buffer_size():  # answered before all of it was sent
            self.force_close()
            self.abort()

    @property
    def is_quiet(self) -> bool:
        """Whether there is nothing to read: the system has received no bytes, and no end."""
        if self._poll is None:
            socket = None if self.transport is None else self.transport.get_extra_info("socket")
            if socket is None:
                return True
            self._poll = select.poll()
            self._poll.register(socket.fileno(), select.POLLIN)
        return not self._poll.poll(0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, which is to read in pieces that memory is at hand for."""
        if hasattr(transport, "max_size"):  # asyncio's own without TLS: it allocates as much for each read
            transport.max_size = _READ_AT_ONCE
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Take note that it is closed."""
        if self._alarm is not None:
            self._alarm.cancel()
        super().connection_lost(exc)

    def set_idle(self) -> None:
        """Mark it as idle: the exchange has ended."""
        self.idle = True

    def data_received(self, data: bytes) -> None:
        """Take bytes that came; close the connection when it is idle."""
        if self.idle and data:
            _tell(self.transport)
            self.abort()
        else:
            super().data_received(data)

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - aiohttp's signature
        """Go on reading where it was paused: each body that is read asks for it, and few were paused."""
        if self._reading_paused or self._buffer_paused:
            super().resume_reading(resume_parser)

    def set_response_params(self, **options: Any) -> None:
        """Begin an exchange."""
        self._answers = 0
        self.exchanges += 1
        super().set_response_params(**options)

    def feed_data(self, data: Any, size: int = 0) -> None:
        """Hand on the head of a response, unless it is the second to one request."""
        self._answers += data[0].code >= _FINAL
        if self._answers > 1:
            self._buffer.clear()
            self.set_exception(TwoAnswers())
        else:
            super().feed_data(data, size)

    def _set_alarm(self, when: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm, self._alarm_at = self._loop.call_at(when, self._ring), when

    def _ring(self) -> None:
        """Fail the exchange whose deadline has come; set the alarm again for one that began meanwhile."""
        self._alarm, self._alarm_at = None, math.inf
        if self._deadline == math.inf:
            return
        if self._loop.time() < self._deadline:
            self._set_alarm(self._deadline)
            return
        self._fail(self._deadline, _TURNS_AT_THE_DEADLINE)

    def _fail(self, deadline: float, turns: int) -> None:
        """Fail the exchange of this deadline after so many turns of the loop, unless it has ended by then."""
        if self._deadline != deadline:
            return
        if turns:
            self._loop.call_soon(self._fail, deadline, turns - 1)
            return
        late = TimeoutError()
        self.set_exception(late)
        if self._payload is not None:
            self._payload.set_exception(late)


class Connections(aiohttp.TCPConnector):
    """aiohttp's pool, which checks each connection before it is used again."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._numbers = itertools.count()
        # how TCPConnector is told which protocol to speak; no public name of it is offered
        self._factory = functools.partial(Wire, self._loop, self._numbers)  # type: ignore[assignment]
        self._first_trusted: dict[tuple[str | None, int | None], int] = {}

    def distrust(self, url: URL) -> None:
        """Use no connection again that is open to the host of this URL."""
        self._first_trusted[url.host, url.port] = next(self._numbers)

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        """A connection that is new, or idle with nothing to read."""
        while True:
            connection = await super().connect(req, traces, timeout)
            wire = connection.protocol
            if not isinstance(wire, Wire):
                return connection
            if not wire.idle or self._is_quiet(wire, req.url):
                wire.idle = False
                connection.add_callback(wire.set_idle)
                return connection
            connection.close()

    def take_idle(self, key: ConnectionKey, url: URL) -> Wire | None:
        """The connection that is idle for the longest, as :meth:`connect` would find it; to be given back.

        Args:
            key: Of the requests that it is for.
            url: Of its host.

        Returns:
            None where there is none, or the first is not fit to be used.
        """
        idle = self._conns.get(key)
        if not idle:
            return None
        wire, since = idle[0]
        if (
            not isinstance(wire, Wire)
            or not wire.is_connected()
            or time.monotonic() - since > (self._keepalive_timeout or math.inf)
            or not self._is_quiet(wire, url)
        ):
            return None
        idle.popleft()
        if not idle:
            del self._conns[key]
        self._acquired.add(wire)
        wire.idle = False
        return wire

    async def take_new(self, request: aiohttp.ClientRequest, clock: aiohttp.ClientTimeout) -> Wire:
        """A connection that :meth:`connect` finds or opens; to be given back.

        Raises:
            aiohttp.ClientError: None came to be.
        """
        try:
            connection = await self.connect(request, [], clock)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError from error
        except UnicodeError as error:  # no name server can be asked for such a name
            raise aiohttp.InvalidURL(request.url) from error
        except aiohttp.ClientConnectionError as error:
            if self.closed and not isinstance(error, aiohttp.ClientConnectorError):
                raise ClosedBeforeItWasSent from error
            raise
        wire, connection._protocol = connection.protocol, None  # noqa: SLF001 - it comes back by give_back
        assert isinstance(wire, Wire)  # noqa: S101 - no other is made here
        return wire

    def give_back(self, key: ConnectionKey, wire: Wire, *, usable: bool) -> None:
        """Give a connection back after its exchange.

        Args:
            key: Of the requests that it was for.
            wire: The connection.
            usable: Whether the exchange came to its end, so that another one may follow.
        """
        wire.leave()
        self._release(key, wire, should_close=not usable)

    def _is_quiet(self, wire: Wire, url: URL) -> bool:
        if self._first_trusted and wire.number < self._first_trusted.get((url.host, url.port), 0):
            return False
        if wire.should_close or not wire.is_quiet:
            _tell(wire.transport)
            return False
        return True


def _tell(transport: asyncio.Transport | None) -> None:
    peer = None if transport is None else transport.get_extra_info("peername")
    log.info("A connection to %s had something to read before anything was asked: closed", peer)
