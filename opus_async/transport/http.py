"""One attempt of one HTTP request: a request value in, status, headers and bytes out.

No retries and no waiting for a slot: the caller has one, so the clock of the time-out starts here. What a
response means is not known here. aiohttp's exceptions become a TransportError here, because several of them
carry the URL with its query.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import field
from http import HTTPStatus
from typing import Any

import aiohttp
from aiohttp.http import HttpProcessingError
from yarl import URL

from opus_async.cheap_dataclass import cheap_dataclass
from opus_async.config import Timeouts
from opus_async.errors import Obstacle, TransportError
from opus_async.gaps import gapped, literal
from opus_async.transport.body import CHUNK, Body, BytesBody
from opus_async.transport.exchange import AnswerTooLarge, read_up_to
from opus_async.transport.network_errors import (
    never_begins,
    proxy_wants_password,
    to_transport_error,
)
from opus_async.transport.redirects import REDIRECTS, next_url, redirect_refused
from opus_async.transport.session import NEVER_ROUND, HttpSession
from opus_async.transport.urls import without_query

__all__ = ["Http", "Request", "Response"]

log = logging.getLogger("opus_async.transport")

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""Ten times the largest results seen; a compressed response that unpacks to more is no accident."""

MAX_STORAGE_ANSWER_BYTES = 256 * 1024
"""Storage answers a PUT with nothing, or with a short XML error."""

Take = Callable[[bytes], Awaitable[object]]
"""Awaited with each piece of a body, so that no more is read than was taken."""
Begin = Callable[[Mapping[str, str]], Take]
"""Called with the headers of a response before its body is read."""

_WHOLE = 200
"""The only status whose body is the file: a 206 that nobody asked for is a part of it."""
_MAX_HOPS = 3
_CONNECT_SHARE = 0.9
"""Of a request's time, at most this for connecting, so that a connection that never came is told apart from
a response that never came: only the first is safe to repeat."""

_FAILURES = (aiohttp.ClientError, HttpProcessingError, AnswerTooLarge, OSError, ValueError, RuntimeError)
"""What keeps an exchange from coming to its end."""


@cheap_dataclass()
class Request:
    """One request.

    Attributes:
        operation: Its name in events, logs and limits.
        method: Upper case.
        url: Absolute and percent-encoded; goes out byte-identical.
        headers: Name -> value.
        body: The bytes; None for no body.
        timeout: Seconds for this attempt, response included; None for ``Timeouts.request``.
        follow: Whether a redirect inside its own origin is followed: never for a request that must not be
            sent twice, because it may have taken effect before the server redirected it.
    """

    operation: str
    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    timeout: float | None = None
    follow: bool = True


@cheap_dataclass()
class Response:
    """A complete response.

    Attributes:
        status: The HTTP status.
        headers: Case-insensitive.
        body: Decompressed.
        seconds: From the call to the last byte.
        ended: When the last byte was there, by the loop's clock.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    seconds: float
    ended: float


class Http:
    """Sends the requests of one client, each once.

    Args:
        timeouts: ``connect`` and ``request`` are used here.
        session: The caller's own session, used as it is (its pool limit, proxies and cookies included) and
            never closed here. Its pool is aiohttp's: it does not look whether a connection at rest has
            something to read, so that a response that names no job can be another's.
        max_answer_bytes: A larger response is refused, counted after decompression.
    """

    def __init__(
        self,
        timeouts: Timeouts,
        *,
        session: aiohttp.ClientSession | None = None,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        self._connect = timeouts.connect
        self._request = timeouts.request
        self._max_answer_bytes = max_answer_bytes
        self._session = HttpSession(session)
        self._clocks: dict[float, aiohttp.ClientTimeout] = {}
        self._unhurried = aiohttp.ClientTimeout(
            total=None, connect=timeouts.connect, ceil_threshold=NEVER_ROUND
        )

    async def send(self, request: Request) -> Response:
        """Send a request once, following redirects inside its own origin.

        Raises:
            TransportError: No complete response came; ``request_sent`` tells whether the server may have seen
                the request.
            ConfigurationError: The environment names an unusable proxy.
        """
        began = self._session.time()
        seconds = self._request if request.timeout is None else request.timeout
        response = await self._send(request, request.url, began, seconds, began + seconds)
        if response.status in REDIRECTS:
            return await self._follow(request, response, began, seconds)
        return response

    async def put(
        self,
        url: str,
        body: Body,
        *,
        headers: Mapping[str, str],
        skip_auto_headers: Iterable[str] = (),
    ) -> Response:
        """PUT a body once: no total time-out (the caller watches for stalls), no redirect followed.

        Args:
            url: Goes out byte-identical.
            body: For this attempt alone.
            headers: Name -> value.
            skip_auto_headers: Names of headers that aiohttp must not add.

        Raises:
            TransportError: As in :meth:`send`. The connection is aborted when the body was not all sent.
        """
        return await self._exchange(
            "PUT",
            url,
            began=self._session.time(),
            clock=self._unhurried,
            cap=MAX_STORAGE_ANSWER_BYTES,
            headers=headers,
            data=body,
            skip_auto_headers=skip_auto_headers,
        )

    def sends_whole(self, url: str) -> bool:
        """Whether :meth:`put_whole` can be used for this URL."""
        self._session.open()
        origin = self._session.origin(url)
        return origin is not None and origin.takes(url)

    async def put_whole(
        self,
        url: str,
        body: bytes | memoryview,
        *,
        headers: Mapping[str, str],
        on_sent: Callable[[asyncio.Transport], object],
    ) -> tuple[Response, int]:
        """PUT a small body in one piece, once, past aiohttp's session; else as :meth:`put`.

        Args:
            url: One that :meth:`sends_whole` takes.
            body: At most ``CHUNK`` bytes.
            headers: Name -> value; no type of the body is added.
            on_sent: Called with the connection as soon as all is handed to it.

        Returns:
            The response, and how many bytes had not left when it was there.

        Raises:
            TransportError: As in :meth:`send`.
        """
        began = self._session.time()
        self._session.open()
        origin = self._session.origin(url)
        message = None if origin is None else origin.message("PUT", url, headers, body, typed=False)
        assert origin is not None and message is not None  # noqa: S101, PT018 - sends_whole was asked
        try:
            answer = await origin.exchange(
                "PUT",
                message,
                clock=self._unhurried,
                deadline=math.inf,
                cap=MAX_STORAGE_ANSWER_BYTES,
                on_sent=on_sent,
            )
        except _FAILURES as error:
            failure = to_transport_error(error, method="PUT", url=url, clock=self._unhurried)
        else:
            ended = self._session.time()
            response = _response(
                "PUT", url, answer.status, answer.headers, answer.body, began=began, ended=ended
            )
            return response, answer.unsent
        raise failure  # outside the handler: the cause may hold the URL with its query

    async def get(self, url: str, *, headers: Mapping[str, str], stall: float, begin: Begin) -> Response:
        """GET a body in pieces, once: no total time-out, no redirect followed.

        Args:
            url: Goes out byte-identical.
            headers: Name -> value.
            stall: Seconds without a byte after which it is given up. While a piece is being taken and the
                buffer is full, the other side is not to blame.
            begin: Called with the headers of an HTTP 200; what it returns is awaited with each piece. What
                either raises ends the attempt; it must be an OpusError.

        Returns:
            The response: of a 200 without the body, of any other with it.

        Raises:
            TransportError: As in :meth:`send`.
        """
        return await self._exchange(
            "GET",
            url,
            began=self._session.time(),
            clock=aiohttp.ClientTimeout(
                total=None, connect=self._connect, sock_read=stall, ceil_threshold=NEVER_ROUND
            ),
            cap=MAX_STORAGE_ANSWER_BYTES,
            begin=begin,
            headers=headers,
        )

    def distrust(self, url: str) -> None:
        """Use no open connection to the host of this URL again: see :meth:`HttpSession.distrust`."""
        self._session.distrust(url)

    async def close(self) -> None:
        """Close our own connections; a caller's session stays open. May be called twice."""
        await self._session.close()

    async def _follow(self, request: Request, response: Response, began: float, seconds: float) -> Response:
        """Follow a redirect inside of its own origin, and those that come of it."""
        url = request.url
        for _ in range(_MAX_HOPS):
            location = response.headers.get("Location")
            if response.status not in REDIRECTS or location is None:
                return response
            if not request.follow:
                raise redirect_refused(request.method, url, "was redirected, and must not be sent twice")
            url = next_url(request.method, url, status=response.status, location=location)
            response = await self._send(request, url, began, self._left(began, seconds), began + seconds)
        if response.status in REDIRECTS and "Location" in response.headers:
            raise redirect_refused(request.method, url, f"was redirected more than {_MAX_HOPS} times")
        return response

    async def _send(
        self, request: Request, url: str, began: float, seconds: float, deadline: float
    ) -> Response:
        """Send a request to this URL once: directly where that can be, else by aiohttp's session.

        Args:
            request: What to send.
            url: Where to.
            began: When the call began, redirects before this included.
            seconds: That are left of its time.
            deadline: When they are over, by the loop's clock.
        """
        body, method = request.body, request.method
        clock = self._clock(seconds)
        self._session.open()
        origin = self._session.origin(url)
        if origin is not None and (body is None or len(body) <= CHUNK):
            message = origin.message(method, url, request.headers, body)
            if message is not None:
                try:
                    answer = await origin.exchange(
                        method, message, clock=clock, deadline=deadline, cap=self._max_answer_bytes
                    )
                except _FAILURES as error:
                    failure = to_transport_error(error, method=method, url=url, clock=clock)
                else:
                    ended = self._session.time()
                    return _response(
                        method, url, answer.status, answer.headers, answer.body, began=began, ended=ended
                    )
                raise failure  # outside the handler: the cause may hold the URL with its query
        return await self._exchange(
            method,
            url,
            began=began,
            clock=clock,
            cap=self._max_answer_bytes,
            headers=request.headers,
            data=BytesBody(body) if body is not None and len(body) > CHUNK else body,
        )

    async def _exchange(
        self,
        method: str,
        url: str,
        *,
        began: float,
        clock: aiohttp.ClientTimeout,
        cap: int,
        begin: Begin | None = None,
        **options: Any,
    ) -> Response:
        body = options.get("data")
        session = self._session.open()
        target = _parse(method, url)
        proxy = None
        if self._session.proxies is not None:
            proxy = options["proxy"] = self._session.proxies.for_url(target)
        try:
            answer = await session.request(
                method, target, timeout=clock, allow_redirects=False, raise_for_status=False, **options
            )
            try:
                if begin is None or answer.status != _WHOLE:
                    content = await read_up_to(answer.content, cap)
                else:
                    content = await _hand_over(answer, begin(answer.headers))
            except BaseException:
                answer.close()
                raise
            answer.release()
        except _FAILURES as error:
            stopped_here = never_begins(session, method, options.get("headers") or {})
            failure = to_transport_error(
                error, method=method, url=url, clock=clock, stopped_here=stopped_here, proxy=proxy
            )
            _abort(body)
        except BaseException:
            _abort(body)
            raise
        else:
            ended = self._session.time()
            return _response(
                method, url, answer.status, answer.headers, content, began=began, ended=ended, proxy=proxy
            )
        raise failure  # outside the handler: the cause may hold the URL with its query

    def _left(self, began: float, seconds: float) -> float:
        return max(seconds - (self._session.time() - began), 0.001)

    def _clock(self, seconds: float) -> aiohttp.ClientTimeout:
        clock = self._clocks.get(seconds)
        if clock is None:
            clock = aiohttp.ClientTimeout(
                total=seconds,
                connect=min(self._connect, seconds * _CONNECT_SHARE),
                ceil_threshold=NEVER_ROUND,
            )
            if len(self._clocks) < 64:  # noqa: PLR2004 - callers use a handful of time-outs
                self._clocks[seconds] = clock
        return clock


def _parse(method: str, url: str) -> URL:
    with suppress(ValueError):
        target = URL(url, encoded=True)
        if target.scheme in {"http", "https"} and target.host:
            return target
    shown = without_query(url)
    raise TransportError(
        gapped(f"{literal(method)} {{}}: this is no http(s) URL", shown),
        request_sent=False,
        retryable=False,
        obstacle=Obstacle.REQUEST,
        method=method,
        url=shown,
    )


def _response(
    method: str,
    url: str,
    status: int,
    headers: Mapping[str, str],
    content: bytes,
    *,
    began: float,
    ended: float,
    proxy: str | None = None,
) -> Response:
    if log.isEnabledFor(logging.DEBUG):
        log.debug("%s %s: %d in %.0f ms", method, without_query(url), status, (ended - began) * 1000)
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        raise proxy_wants_password(method, url, proxy)
    return Response(status, headers, content, ended - began, ended)


async def _hand_over(answer: aiohttp.ClientResponse, take: Take) -> bytes:
    content = answer.content
    while not content.at_eof():
        await take(await content.readany())
    return b""


def _abort(body: object) -> None:
    if isinstance(body, Body):
        body.abort()
