"""Small requests and their responses on connections of our own pool, past aiohttp's session.

For each request a session merges headers, makes an object of the request and one of the response, arms a
timer and, before Python 3.12, starts a task for the body: three quarters of what a small request costs. What
is left here is what such a request needs: it leaves in one piece, aiohttp's parser reads the response, and
the connection keeps the deadline. The pool, TLS and name look-ups are aiohttp's, too.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

import aiohttp
from yarl import URL

from opus_async.transport.connections import Connections

__all__ = ["AnswerTooLarge", "Origin", "read_up_to"]

_HEADS = 64
"""Sets of headers that are kept as bytes; a client has a handful."""
_UNSENDABLE = re.compile(r"[^\t\x20-\x7e]")
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods of which a request without a body says no length."""
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_INTERIM = range(100, 200)
_SWITCHING_PROTOCOLS = 101


class AnswerTooLarge(Exception):
    """A response grew past its cap; ``args[0]`` is the cap in bytes."""


class Answer(NamedTuple):
    """A response.

    Attributes:
        status: The HTTP status.
        headers: Case-insensitive.
        body: Decompressed.
        unsent: Bytes of the request that had not left when the response was there.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    unsent: int


class Origin:
    """One scheme, host and port that is asked without a proxy: what all requests to it share.

    Args:
        session: Our own session.
        connector: Its pool.
        url: Scheme, host and port as they are written, without a path.
    """

    def __init__(self, session: aiohttp.ClientSession, connector: Connections, url: str) -> None:
        self._session = session
        self._connector = connector
        self._url = URL(url, encoded=True)
        self._length = len(url)
        self._sample = self._request("GET", {})
        self._key = self._sample.connection_key
        self._heads: dict[tuple[str, bool, tuple[tuple[str, str], ...]], str | None] = {}

    def message(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | memoryview | None,
        *,
        typed: bool = True,
    ) -> bytes | None:
        """All bytes of a request; None where aiohttp has to say what is wrong with it, or to quote it.

        Args:
            method: Upper case.
            url: Of this origin, percent-encoded; its path and query go out byte-identical.
            headers: Of this request; those of the session and of aiohttp are added.
            body: The bytes; None for no body.
            typed: Whether a body whose type ``headers`` do not say is said to be an octet-stream.
        """
        if not self.takes(url):
            return None
        target = url[self._length :]
        head = self._head(method, headers, typed=typed)
        if head is None:
            return None
        if body is None and method in _BODILESS:
            return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode()
        body = body or b""
        length = f"Content-Length: {len(body)}\r\n\r\n"
        return b"".join((f"{method} {target} HTTP/1.1\r\n{head}{length}".encode(), body))

    def takes(self, url: str) -> bool:
        """Whether a URL of this origin can go out as it is."""
        target = url[self._length :]
        return target.isascii() and target.isprintable() and " " not in target and "#" not in target

    async def exchange(
        self,
        method: str,
        message: bytes,
        *,
        deadline: float,
        clock: aiohttp.ClientTimeout,
        cap: int,
        on_sent: Callable[[asyncio.Transport], object] | None = None,
    ) -> Answer:
        """Send a request and read its response.

        A connection that the server has closed meanwhile is found out by the request that meets it; one that
        is idempotent then leaves once more, as with aiohttp's session.

        Args:
            method: Of the request.
            message: From :meth:`message`.
            deadline: When the response has to be there, by the loop's clock.
            clock: Its time for a connection is used.
            cap: The most bytes of the response.
            on_sent: Called with the connection as soon as the request is handed to it. The request then
                leaves once only: whoever watches it may break the connection.

        Raises:
            AnswerTooLarge: It grew past its cap.
            TimeoutError: It was not there in time.
            aiohttp.ClientError: No connection came to be, or it broke.
            aiohttp.http.HttpProcessingError: The response is not HTTP.
        """
        connector, key = self._connector, self._key
        may_repeat = method in _IDEMPOTENT and on_sent is None
        while True:
            wire = connector.take_idle(key, self._url)
            if wire is None:
                wire = await connector.take_new(self._sample, clock)
            may_repeat = may_repeat and wire.exchanges > 0
            usable = False
            try:
                transport = wire.ask(message, deadline=deadline, response_has_body=method != "HEAD")
                if on_sent is not None:
                    on_sent(transport)
                response, payload = await wire.read()
                while response.code in _INTERIM and response.code != _SWITCHING_PROTOCOLS:
                    response, payload = await wire.read()
                content = await read_up_to(payload, cap)
                unsent = transport.get_write_buffer_size()
                usable = True
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                if not may_repeat:
                    raise
                may_repeat = False
            else:
                return Answer(response.code, response.headers, content, unsent)
            finally:
                connector.give_back(key, wire, usable=usable)

    def _head(self, method: str, headers: Mapping[str, str], *, typed: bool) -> str | None:
        """What follows the request line, but the length of the body; None where HTTP does not allow it."""
        key = (method, typed, tuple(headers.items()))
        if key not in self._heads:
            if len(self._heads) >= _HEADS:
                self._heads.clear()
            self._heads[key] = self._new_head(method, headers, typed=typed)
        return self._heads[key]

    def _new_head(self, method: str, headers: Mapping[str, str], *, typed: bool) -> str | None:
        made = self._request(method, headers).headers
        made.pop("Content-Length", None)
        if typed and method in aiohttp.ClientRequest.POST_METHODS:
            made.setdefault("Content-Type", "application/octet-stream")  # as aiohttp says of a body
        lines = [f"{name}: {value}" for name, value in made.items()]
        if any(map(_UNSENDABLE.search, (method, *lines))):
            return None
        return "".join(f"{line}\r\n" for line in lines)

    def _request(self, method: str, headers: Mapping[str, str]) -> aiohttp.ClientRequest:
        merged = self._session.headers.copy()
        merged.update(headers)
        return aiohttp.ClientRequest(
            method,
            self._url,
            headers=merged,
            loop=asyncio.get_running_loop(),
            session=self._session,
        )


async def read_up_to(content: aiohttp.StreamReader, cap: int) -> bytes:
    """Read a body to its end.

    Raises:
        AnswerTooLarge: It has more bytes than ``cap``.
    """
    if content.is_eof() and content.total_bytes <= cap:  # it came with its head, as most do
        return content.read_nowait()
    parts: list[bytes] = []
    size = 0
    while size <= cap:
        if content.at_eof():
            return b"".join(parts)
        parts.append(await content.readany())
        size += len(parts[-1])
    raise AnswerTooLarge(cap)
