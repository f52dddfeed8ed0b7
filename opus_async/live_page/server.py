"""Serves a live page at ``http://127.0.0.1:PORT/TOKEN/``, for as long as a run lasts.

Nothing that goes through it is logged: the path of each request holds the token.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus

from aiohttp import web

from opus_async.errors import OpusError
from opus_async.live_page.guard import is_token, names_loopback, new_token
from opus_async.live_page.publisher import Event, Publisher
from opus_async.live_page.source import Source
from opus_async.transport.servers import stop_listening

ADDRESS = "127.0.0.1"
MAX_CONNECTIONS = 32
"""Connections at once: others of this machine cannot take the open files that the run needs."""
FAREWELL = 1.0
"""Seconds that viewers have to take the end of the run."""
_HURRY = 0.01
"""And to be cut off. None at all would be no bound to aiohttp."""
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "opus-async",
    "X-Content-Type-Options": "nosniff",
}
"""Of every answer. What the page may load, it says itself."""
_SILENT = logging.getLogger("opus_async.live_page.server")
_SILENT.disabled = True


@asynccontextmanager
async def serving(source: Source, *, port: int = 0) -> AsyncIterator[str]:
    """Serve a live page for as long as the block lasts; gives its URL.

    When the block ends, viewers are shown the end of the run. One that is cancelled does not wait for that.

    Args:
        source: What the page shows.
        port: The port; 0 for a free one.

    Raises:
        OSError: The port is taken, or may not be used.
    """
    token = new_token()
    async with Publisher(source) as publisher:
        answers = web.Server(
            _Pages(publisher, token).answer,
            handler_cancellation=True,  # a viewer who has gone is not rendered for
            access_log=None,
            logger=_SILENT,
            lingering_time=0,
        )

        def connected() -> asyncio.Protocol:
            return answers() if len(answers.connections) < MAX_CONNECTIONS else _Refused()

        listening = await asyncio.get_running_loop().create_server(connected, ADDRESS, port)
        farewell = FAREWELL
        try:
            yield f"http://{ADDRESS}:{listening.sockets[0].getsockname()[1]}/{token}/"
        except asyncio.CancelledError:
            farewell = _HURRY
            raise
        finally:
            await stop_listening(listening)
            await asyncio.sleep(0)  # what it has accepted reaches the answers, which end it
            if farewell != _HURRY:
                await publisher.end()
            answers.pre_shutdown()
            await answers.shutdown(farewell)


class _Refused(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


class _Pages:
    """Answers requests for the page, and for the events that it follows."""

    def __init__(self, publisher: Publisher, token: str) -> None:
        self._publisher = publisher
        self._token = token

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        hosts = request.headers.getall("Host", [])
        if len(hosts) != 1 or not names_loopback(hosts[0]):
            return _short(HTTPStatus.FORBIDDEN)
        token, slash, name = request.path.removeprefix("/").partition("/")
        if not is_token(token, self._token):
            return _short(HTTPStatus.NOT_FOUND)
        if request.method != "GET":
            return _short(HTTPStatus.METHOD_NOT_ALLOWED, Allow="GET")
        if not slash:  # as a URL is cut by who copies it
            return _short(HTTPStatus.PERMANENT_REDIRECT, Location=f"/{token}/")
        if name == "events":
            return await self._events(request)
        return await self._page() if not name else _short(HTTPStatus.NOT_FOUND)

    async def _page(self) -> web.Response:
        try:
            page = await self._publisher.page()
        except OpusError as error:
            return _short(HTTPStatus.SERVICE_UNAVAILABLE, f"{error}\n")
        return web.Response(body=page.html, content_type="text/html", charset="utf-8", headers=_HEADERS)

    async def _events(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers=_HEADERS | {"Content-Type": "text/event-stream"})
        await response.prepare(request)

        async def send(event: Event) -> None:
            await response.write(event.as_bytes())

        with suppress(ConnectionError):  # the viewer has gone
            await self._publisher.follow(send)
        return response


def _short(status: HTTPStatus, told: str = "", **headers: str) -> web.Response:
    text = told or f"{status.value} {status.phrase}\n"
    return web.Response(status=status, text=text, headers=_HEADERS | headers)
