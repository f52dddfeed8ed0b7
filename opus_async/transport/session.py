"""The aiohttp session of one client: its own, opened when first used, or the caller's."""

from __future__ import annotations

import logging
import os
import re
import sys
import warnings
import weakref
from importlib import import_module
from types import FunctionType

import aiohttp
import aiohttp.client
from yarl import URL

from opus_async.errors import Obstacle, TransportError
from opus_async.transport.connections import Connections
from opus_async.transport.exchange import Origin
from opus_async.transport.forks import Maker, in_child, loop_time, running_loop
from opus_async.transport.proxies import Proxies

__all__ = ["NEVER_ROUND", "HttpSession"]

NEVER_ROUND = 1e9
"""aiohttp rounds time-outs over 5 s up to whole seconds of the loop's clock, unless told not to."""
_NEEDS_CLEANUP_CLOSED = sys.version_info < (3, 12, 8) or (3, 13, 0) <= sys.version_info < (3, 13, 1)
"""asyncio before these leaks TLS transports of servers that never finish the shutdown; aiohttp warns when the
clean-up is asked for where it is not needed."""

_ORIGINS = 64
"""Hosts that are asked directly at most; all others by way of aiohttp's session."""

log = logging.getLogger("opus_async.transport")

_AFTER_SCHEME = len("https://")
_PLAIN_ORIGIN = re.compile(r"https?://[^/?#@\\\s]+", re.ASCII)
"""With no path at all a slash of the query would be taken for its end."""


def _aiohttps_own() -> object:
    """How aiohttp makes a request, unless somebody has put something in its place already."""
    made: object = aiohttp.ClientSession._request  # noqa: SLF001 - where requests are intercepted
    is_plain = type(made) is FunctionType and made.__code__.co_filename == aiohttp.client.__file__
    return made if is_plain else None


_OWN_REQUEST = _aiohttps_own()

_alive: weakref.WeakSet[HttpSession] = weakref.WeakSet()


def _leave_to_parent() -> None:
    for each in _alive:
        each.leave_to_parent()


in_child(_leave_to_parent)


class HttpSession:
    """The aiohttp session of one client. Can be made before an event loop runs.

    The pool has no limit of its own: waiting for a pool slot would count against the time-out, so the limiter
    in ``limits`` decides who sends.

    Args:
        given: The caller's own session, used as it is (its pool limit, proxies and cookies included) and
            never closed here; None to open one.

    Attributes:
        time: The event loop's clock, in seconds.
        proxies: Those of the environment, once our own session is open; None with a caller's session.
    """

    def __init__(self, given: aiohttp.ClientSession | None) -> None:
        self.proxies: Proxies | None = None
        self.time = loop_time
        self._session = given
        self._ours = given is None
        self._closed = False
        self._maker = Maker()
        self._forgotten: weakref.finalize[..., HttpSession] | None = None
        self._origins: dict[str, Origin] = {}
        _alive.add(self)

    def open(self) -> aiohttp.ClientSession:
        """The session, opened if it is not yet.

        Raises:
            TransportError: It was closed.
            ConfigurationError: In a fork of the process that made it, or the environment names an unusable
                proxy.
        """
        loop = self._maker.check()
        if self._session is None:
            if self._closed:
                raise TransportError(
                    "The client is closed: make a new one",
                    request_sent=False,
                    retryable=False,
                    obstacle=Obstacle.CLOSED,
                )
            self.proxies = Proxies()
            self._session = aiohttp.ClientSession(
                connector=Connections(
                    limit=0,
                    enable_cleanup_closed=_NEEDS_CLEANUP_CLOSED,
                    timeout_ceil_threshold=NEVER_ROUND,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": _user_agent()},
                trust_env=False,
            )
            self._forgotten = weakref.finalize(self, _tell_forgotten, self._session, os.getpid())
            if loop is not None:
                self.time = loop.time  # to ask which loop runs costs a system call
        return self._session

    def origin(self, url: str) -> Origin | None:
        """The origin of this URL, to be asked directly, once the session is open; None to ask by the session.

        That is for a caller's session, for what goes through a proxy, and where somebody else has a hand in
        aiohttp's sessions: a test that answers in place of the server, or a tracer.

        Raises:
            ConfigurationError: The environment names an unusable proxy.
        """
        if aiohttp.ClientSession._request is not _OWN_REQUEST:  # noqa: SLF001 - no other name tells of a patch
            return None
        end = url.find("/", _AFTER_SCHEME)
        found = self._origins.get(url[:end])
        if found is None and end > 0 and len(self._origins) < _ORIGINS:
            found = self._new_origin(url[:end])
            if found is not None:
                self._origins[url[:end]] = found
        return found

    def _new_origin(self, origin: str) -> Origin | None:
        session = self._session
        connector = None if session is None else session.connector
        if session is None or self.proxies is None or not isinstance(connector, Connections):
            return None
        if not origin.isascii() or not _PLAIN_ORIGIN.fullmatch(origin):
            return None
        try:
            url = URL(origin, encoded=True)
            reachable = url.host and url.port  # only now are they looked at
        except ValueError:
            return None
        if not reachable:
            return None
        if session.trace_configs or self.proxies.for_url(url) is not None:
            return None
        return Origin(session, connector, origin)

    def distrust(self, url: str) -> None:
        """Use no open connection to the host of this URL again: a response over one was another request's.

        Connections of a caller's session stay: which of them a response came over is not known, and none can
        be taken out of the pool.
        """
        connector = None if self._session is None else self._session.connector
        if isinstance(connector, Connections):
            connector.distrust(URL(url, encoded=True))

    async def close(self) -> None:
        """Close our own session; a caller's stays open. May be called twice.

        In a fork nothing is closed: the connections are the parent's.
        """
        self._closed = True
        if not self._maker.is_here:
            return
        session, self._session = self._session, None
        self._origins.clear()
        if session is None or not self._ours:
            return
        if self._forgotten is not None:
            self._forgotten.detach()
        if self._maker.is_in_loop:
            await session.close()
        else:
            _drop(session)

    def leave_to_parent(self) -> None:
        """Forget open connections, in a forked child, so that collecting them does not close the parent's."""
        if self._session is not None and self._ours:
            # No other way: what aiohttp closes it takes out of the parent's selector, which both share.
            getattr(self._session.connector, "_conns", {}).clear()


def _tell_forgotten(session: aiohttp.ClientSession, process: int) -> None:
    """Close the connections of a client that nobody closed, and say so; in our words, once for each."""
    if os.getpid() != process:
        return
    _drop(session)
    said = (
        "A client was never closed; its connections are closed now. Write 'async with OpusClient() as opus:'"
        ", or await opus.close() when it is not needed any more"
    )
    log.warning(said)
    warnings.warn(said, ResourceWarning, stacklevel=2)


def _drop(session: aiohttp.ClientSession) -> None:
    """Close the connections of a session from outside of its loop, which may have ended."""
    connector, loop = session.connector, session._loop  # noqa: SLF001 - no other way to learn its loop
    session.detach()
    if connector is None:
        return
    if loop.is_running() and loop is not running_loop():
        loop.call_soon_threadsafe(connector._close)  # noqa: SLF001 - close() makes a task, which needs the loop
    else:
        connector._close()  # noqa: SLF001


def _user_agent() -> str:
    root = import_module(__name__.partition(".")[0])  # by name: no import upwards
    return f"opus-async/{root.__version__}"
