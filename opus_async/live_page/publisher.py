"""Renders a page anew while somebody looks at it, and tells each viewer what has changed.

Nobody looks: nothing is read or rendered. Somebody looks: at most once a second, only when something may
have changed, and so seldom that rendering takes a tenth of a core at the most, however large the report and
however many the viewers. It is done in a thread of its own: the event loop goes on.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections.abc import Awaitable, Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

from opus_async.errors import OpusError
from opus_async.live_page.source import Render, Source
from opus_async.reporting.parts import Page
from opus_async.tasks import start

log = logging.getLogger("opus_async.live_page")

PERIOD = 1.0
"""Seconds between two renderings at least."""
SHARE = 0.1
"""Of a core: what rendering takes at the most, while somebody looks."""
_TURN = 0.0005
"""Seconds for which the event loop waits for the interpreter, a tenth of Python's own."""


@dataclass(frozen=True, slots=True)
class Event:
    """What a viewer is told, as the stream of events has it.

    Attributes:
        name: ``update``, ``trouble`` or ``end``.
        data: Its values.
    """

    name: str
    data: dict[str, Any]

    def as_bytes(self) -> bytes:
        """As a server-sent event."""
        return f"event: {self.name}\ndata: {json.dumps(self.data, ensure_ascii=False)}\n\n".encode()


Send: TypeAlias = Callable[[Event], Awaitable[None]]


class Publisher:
    """Publishes the page of a source, for as long as an ``async with`` block lasts.

    Args:
        source: What it shows.
        clock: Gives the time in seconds.
    """

    def __init__(self, source: Source, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "opus_async live page")
        self._rendering = asyncio.Lock()
        self._page: Page | None = None
        self._version: Hashable = None
        self._trouble = ""
        self._due = clock()
        self._viewers = 0
        self._watched = asyncio.Event()
        self._change = asyncio.Event()
        self._ended = False

    async def __aenter__(self) -> Self:
        self._task = start("opus_async live page", self._keep_fresh)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()
        await asyncio.to_thread(self._thread.shutdown)

    async def page(self) -> Page:
        """The page as it stands, or as it stood a moment ago.

        Raises:
            OpusError: It cannot be made now.
        """
        if not self._ended and self._clock() >= self._due:
            await self._refresh()
        if self._page is None:
            raise OpusError(self._trouble)
        return self._page

    async def follow(self, send: Send) -> None:
        """Tell a viewer what has changed, until the end; at first everything.

        Args:
            send: Takes an event; what comes while it has not returned is summed up in the next one.
        """
        seen: Page | None = None
        troubled = ""
        with self._viewed():
            while True:
                change = self._change
                page, trouble = self._page, self._trouble
                if page is not None and (page is not seen or (troubled and not trouble)):
                    await send(_update(page, seen))
                    seen = page
                if trouble and trouble != troubled:
                    await send(Event("trouble", {"message": trouble}))
                troubled = trouble
                if self._ended and page is self._page:
                    await send(Event("end", {"whole": not trouble}))
                    return
                await change.wait()

    async def end(self) -> None:
        """Show viewers how the run stands at its end, as the last thing."""
        await self._stop()
        if self._viewers:
            await self._render(self._source.final, self._version)
        self._ended = True
        self._tell()

    async def _stop(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    @contextmanager
    def _viewed(self) -> Iterator[None]:
        self._viewers += 1
        self._watched.set()
        try:
            yield
        finally:
            self._viewers -= 1
            if not self._viewers:
                self._watched.clear()

    async def _keep_fresh(self) -> None:
        while True:
            await self._watched.wait()
            await asyncio.sleep(max(self._due - self._clock(), 0.0))
            if self._viewers:
                await self._refresh()

    async def _refresh(self) -> None:
        """Render the page anew, if that is due and something may have changed."""
        async with self._rendering:
            if self._clock() < self._due:  # somebody else has done it meanwhile
                return
            version = self._source.version()
            if self._page is None or self._trouble or version != self._version:
                await self._render(self._source.capture, version)
            else:
                self._due = self._clock() + PERIOD

    async def _render(self, capture: Callable[[], Render], version: Hashable) -> None:
        cost = 0.0

        def work(render: Render) -> Page:
            nonlocal cost
            began = time.thread_time()
            try:
                with _yielding():
                    return Page.of(render())
            finally:
                cost = time.thread_time() - began

        try:
            self._page = await asyncio.get_running_loop().run_in_executor(self._thread, work, capture())
            self._version, self._trouble = version, ""
        except (OpusError, OSError) as error:
            self._trouble = str(error)
        except Exception:  # a page that cannot be made is no reason to end the run that it shows
            log.exception("the live page cannot be made")
            self._trouble = "an error of this program; --debug logs it"
        finally:
            self._due = self._clock() + max(PERIOD, cost / SHARE)
        self._tell()

    def _tell(self) -> None:
        """Wake all who wait for a change."""
        change, self._change = self._change, asyncio.Event()
        change.set()


@contextmanager
def _yielding() -> Iterator[None]:
    """Let the event loop have its turn soon whenever it wants one: a load test measures how late it is."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_TURN)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _update(page: Page, seen: Page | None) -> Event:
    before = {} if seen is None else seen.parts
    changed = {name: html for name, html in page.parts.items() if before.get(name) != html}
    return Event("update", {"title": page.title, "order": list(page.parts), "parts": changed})
