"""One attempt of one HTTP request: a request value in, status, headers and bytes out.

No retries, no waiting for a turn, no meaning: whoever calls has its slot already, so the clock starts here.
aiohttp's exceptions end in this room, because several of them carry the URL with its query.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import weakref
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import aiohttp
from yarl import URL

from opus_async.config import Timeouts
from opus_async.errors import Obstacle, TransportError
from opus_async.gaps import gapped, literal
from opus_async.transport.body import CHUNK, Body, BytesBody
from opus_async.transport.connections import Connections
from opus_async.transport.forks import Maker, in_child
from opus_async.transport.network_errors import AnswerTooLarge, never_begins, to_transport_error
from opus_async.transport.proxies import Proxies
from opus_async.transport.urls import without_query

__all__ = ["Http", "Request", "Response", "without_query"]

log = logging.getLogger("opus_async.transport")

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""Ten times the largest results seen; a compressed answer that unpacks to more is no accident."""

MAX_STORAGE_ANSWER_BYTES = 256 * 1024
"""Storage answers a PUT with nothing, or with a short XML error."""

Take = Callable[[bytes], Awaitable[object]]
"""Awaited with each piece of a body, so that no more is read than has been taken."""
Begin = Callable[[Mapping[str, str]], Take]
"""Called with the headers of an answer before its body is read."""

_WHOLE = 200
"""The only status whose body is the file: a 206 that nobody asked for is a part of it."""
_MAX_HOPS = 3
_REDIRECTS_KEEPING_METHOD = frozenset({307, 308})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CONNECT_SHARE = 0.9
"""Of a request's time, at most this for connecting, so that a connection that never came is told apart from
an answer that never came: only the first is safe to repeat."""
_NEVER_ROUND = 1e9
"""aiohttp rounds time-outs over 5 s up to whole seconds of the loop's clock, unless told not to."""
_NEEDS_CLEANUP_CLOSED = sys.version_info < (3, 12, 8) or (3, 13, 0) <= sys.version_info < (3, 13, 1)
"""asyncio before these leaks TLS transports of servers that never finish the shutdown; aiohttp warns when the
clean-up is asked for where it is not needed."""


_PLAIN = re.compile(r"[!-~]+")
"""A Location that can go into a request line as it is; any other is quoted first."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        operation: Its name in events, logs and limits.
        method: Upper case.
        url: Absolute and percent-encoded; goes out byte-identical.
        headers: Name -> value.
        body: The bytes; None for no body.
        timeout: Seconds for this attempt, answer included; None for ``Timeouts.request``.
        follow: Whether a redirect inside its own origin is followed: never for what must not be sent twice,
            because whoever answered with one may have obeyed.
    """

    operation: str
    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    timeout: float | None = None
    follow: bool = True


@dataclass(frozen=True, slots=True)
class Response:
    """A complete answer.

    Attributes:
        status: The HTTP status.
        headers: Case-insensitive.
        body: Decompressed.
        seconds: From the call to the last byte.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    seconds: float


_alive: weakref.WeakSet[Http] = weakref.WeakSet()


def _leave_to_parent() -> None:
    for each in _alive:
        each.leave_to_parent()


in_child(_leave_to_parent)


class Http:
    """The connections of one client.

    The pool has no limit of its own: waiting for a pool slot would count against the time-out, so the gate in
    ``limits`` decides who sends. Can be made before an event loop runs.

    Args:
        timeouts: ``connect`` and ``request`` are used here.
        session: The caller's own session, used as it is (its pool limit, proxies and cookies included) and
            never closed here. Its pool is aiohttp's: it does not look whether a connection at rest has
            something to read, so that an answer that names no job can be another's.
        max_answer_bytes: A larger answer is refused, counted after decompression.
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
        self._session = session
        self._ours = session is None
        self._proxies: Proxies | None = None
        self._closed = False
        self._maker = Maker()
        _alive.add(self)
        self._clocks: dict[float, aiohttp.ClientTimeout] = {}

    async def send(self, request: Request) -> Response:
        """Send a request once, following redirects inside its own origin.

        Raises:
            TransportError: No complete answer came; ``request_sent`` tells whether the server may have seen
                the request.
            ConfigurationError: The environment names an unusable proxy.
        """
        began = asyncio.get_running_loop().time()
        seconds = self._request if request.timeout is None else request.timeout
        url = request.url
        for hop in range(_MAX_HOPS + 1):
            body = request.body
            response = await self._exchange(
                request.method,
                url,
                began=began,
                clock=self._clock(seconds if hop == 0 else _left(began, seconds)),
                cap=self._max_answer_bytes,
                headers=request.headers,
                data=BytesBody(body) if body is not None and len(body) > CHUNK else body,
            )
            if response.status not in _REDIRECTS or "Location" not in response.headers:
                return response
            if not request.follow:
                raise _redirect_refused(request.method, url, "was redirected, and must not be sent twice")
            url = _next_url(request.method, url, response)
        raise _redirect_refused(request.method, url, f"was redirected more than {_MAX_HOPS} times")

    async def put(
        self,
        url: str,
        body: Body,
        *,
        headers: Mapping[str, str],
        skip_auto_headers: Iterable[str] = (),
    ) -> Response:
        """PUT a body once: no total time-out (the caller watches for stalls), no redirect followed.

        Raises:
            TransportError: As in :meth:`send`. The connection is torn off when the body did not go out whole.
        """
        return await self._exchange(
            "PUT",
            url,
            began=asyncio.get_running_loop().time(),
            clock=aiohttp.ClientTimeout(total=None, connect=self._connect, ceil_threshold=_NEVER_ROUND),
            cap=MAX_STORAGE_ANSWER_BYTES,
            headers=headers,
            data=body,
            skip_auto_headers=skip_auto_headers,
        )

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
            The answer: of a 200 without the body, of any other with it.

        Raises:
            TransportError: As in :meth:`send`.
        """
        return await self._exchange(
            "GET",
            url,
            began=asyncio.get_running_loop().time(),
            clock=aiohttp.ClientTimeout(
                total=None, connect=self._connect, sock_read=stall, ceil_threshold=_NEVER_ROUND
            ),
            cap=MAX_STORAGE_ANSWER_BYTES,
            begin=begin,
            headers=headers,
        )

    def distrust(self, url: str) -> None:
        """Begin with new connections to the host of this URL: an answer that came over one was another's.

        Those of a caller's session are its own connector's business: which one an answer came over is not
        told, and none can be taken out of the pool.
        """
        connector = None if self._session is None else self._session.connector
        if isinstance(connector, Connections):
            connector.distrust(URL(url, encoded=True))

    async def close(self) -> None:
        """Close our own connections; a caller's session stays open. May be called twice.

        In a fork nothing is closed: the connections are the parent's.
        """
        self._closed = True
        if not self._maker.is_here:
            return
        session, self._session = self._session, None
        if session is not None and self._ours:
            await session.close()

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
        session = self._open_session()
        target = _parse(method, url)
        if self._proxies is not None:
            options["proxy"] = self._proxies.for_url(target)
        try:
            answer = await session.request(
                method, target, timeout=clock, allow_redirects=False, raise_for_status=False, **options
            )
            try:
                if begin is None or answer.status != _WHOLE:
                    content = await _read(answer, cap)
                else:
                    content = await _hand_over(answer, begin(answer.headers))
            except BaseException:
                answer.close()
                raise
            answer.release()
        except (aiohttp.ClientError, AnswerTooLarge, OSError, ValueError, RuntimeError) as error:
            stopped_here = never_begins(session, method, options.get("headers") or {})
            failure = to_transport_error(
                error, method=method, url=url, clock=clock, stopped_here=stopped_here
            )
            _abort(body)
        except BaseException:
            _abort(body)
            raise
        else:
            seconds = asyncio.get_running_loop().time() - began
            if log.isEnabledFor(logging.DEBUG):
                log.debug("%s %s: %d in %.0f ms", method, without_query(url), answer.status, seconds * 1000)
            return Response(answer.status, answer.headers, content, seconds)
        raise failure  # outside the handler: the cause may hold the URL with its query

    def leave_to_parent(self) -> None:
        """In a forked child: forget what is open without closing it, whenever this is collected."""
        if self._session is not None and self._ours:
            # No other way: what aiohttp closes it takes out of the parent's selector, which both share.
            getattr(self._session.connector, "_conns", {}).clear()

    def _open_session(self) -> aiohttp.ClientSession:
        self._maker.check()
        if self._session is None:
            if self._closed:
                raise TransportError(
                    "The client is closed: make a new one",
                    request_sent=False,
                    retryable=False,
                    obstacle=Obstacle.CLOSED,
                )
            self._proxies = Proxies()
            self._session = aiohttp.ClientSession(
                connector=Connections(
                    limit=0,
                    enable_cleanup_closed=_NEEDS_CLEANUP_CLOSED,
                    timeout_ceil_threshold=_NEVER_ROUND,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": _user_agent()},
                trust_env=False,
            )
        return self._session

    def _clock(self, seconds: float) -> aiohttp.ClientTimeout:
        clock = self._clocks.get(seconds)
        if clock is None:
            clock = aiohttp.ClientTimeout(
                total=seconds,
                connect=min(self._connect, seconds * _CONNECT_SHARE),
                ceil_threshold=_NEVER_ROUND,
            )
            if len(self._clocks) < 64:  # noqa: PLR2004 - callers use a handful of time-outs
                self._clocks[seconds] = clock
        return clock


def _user_agent() -> str:
    root = import_module(__name__.partition(".")[0])  # by name: the ground floor's version, no step upwards
    return f"opus-async/{root.__version__}"


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


async def _read(answer: aiohttp.ClientResponse, cap: int) -> bytes:
    content = answer.content
    first = await content.readany()
    if content.at_eof() and len(first) <= cap:
        return first
    parts, size = [first], len(first)
    while size <= cap:
        if content.at_eof():
            return b"".join(parts)
        parts.append(await content.readany())
        size += len(parts[-1])
    raise AnswerTooLarge(cap)


async def _hand_over(answer: aiohttp.ClientResponse, take: Take) -> bytes:
    content = answer.content
    while not content.at_eof():
        await take(await content.readany())
    return b""


def _abort(body: object) -> None:
    if isinstance(body, Body):
        body.abort()


def _left(began: float, seconds: float) -> float:
    spent = asyncio.get_running_loop().time() - began
    return max(seconds - spent, 0.001)


def _next_url(method: str, url: str, response: Response) -> str:
    """Where a redirect leads, inside the same origin."""
    here = URL(url, encoded=True)
    there = _join(here, response.headers["Location"])
    if there is None:
        raise _redirect_refused(method, url, "was redirected to something that is no URL")
    if there.origin() != here.origin() or there.user is not None:
        raise _redirect_refused(method, url, f"was redirected to {there.origin()}, where nothing is sent")
    if response.status not in _REDIRECTS_KEEPING_METHOD and method not in {"GET", "HEAD"}:
        raise _redirect_refused(
            method, url, f"was redirected with HTTP {response.status}, which would turn it into a GET"
        )
    return str(there)


def _join(here: URL, location: str) -> URL | None:
    with suppress(ValueError):
        there = here.join(URL(location, encoded=bool(_PLAIN.fullmatch(location))))
        if there.scheme and there.host:
            return there
    return None


def _redirect_refused(method: str, url: str, what: str) -> TransportError:
    shown = without_query(url)
    return TransportError(
        gapped(f"{literal(method)} {{}} {literal(what)} (check the base URL)", shown),
        request_sent=True,
        retryable=False,
        obstacle=Obstacle.REDIRECT,
        method=method,
        url=shown,
    )
