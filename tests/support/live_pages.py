"""A source of live pages that tests turn by hand, and a viewer of their events."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp

from opus_async.live_page.server import serving
from opus_async.live_page.source import Source
from opus_async.reporting.notice_page import notice_page

PATIENCE = 30.0


class Counter:
    """Shows a number."""

    def __init__(self) -> None:
        self.number = 0
        self.captured = 0
        self.trouble: Exception | None = None
        self.threads: set[str] = set()

    def version(self) -> int:
        return self.number

    def capture(self) -> Callable[[], bytes]:
        self.captured += 1
        return self._render("Running")

    def final(self) -> Callable[[], bytes]:
        return self._render("Ended")

    def _render(self, word: str) -> Callable[[], bytes]:
        number = self.number

        def render() -> bytes:
            self.threads.add(threading.current_thread().name)
            if self.trouble:
                raise self.trouble
            return notice_page("Batch", "march", word=word, sentence=f"The number is {number}.")

        return render


class Viewer:
    """Reads the events of a page."""

    def __init__(self, lines: aiohttp.StreamReader) -> None:
        self._lines = lines

    async def next(self) -> tuple[str, Any]:
        """The next event: its name and its data."""
        async with asyncio.timeout(PATIENCE):
            name = (await self._lines.readuntil(b"\n")).decode().removeprefix("event: ").strip()
            data = (await self._lines.readuntil(b"\n\n")).decode().removeprefix("data: ")
        return name, json.loads(data)

    async def until(self, text: str) -> Any:
        """The data of the first update whose head holds a text."""
        while True:
            name, data = await self.next()
            if name == "update" and text in data["parts"].get("header", ""):
                return data

    async def rest(self) -> bytes:
        """What comes until the stream ends."""
        async with asyncio.timeout(PATIENCE):
            return await self._lines.read()


@asynccontextmanager
async def viewing(url: str) -> AsyncIterator[Viewer]:
    """Follow the events of a page."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}events") as answer:
        assert answer.status == 200
        assert answer.content_type == "text/event-stream"
        yield Viewer(answer.content)


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port
    return port


class ServedPage:
    """A live page that a thread serves, for the time of a ``with`` block; :meth:`end` ends its run.

    Args:
        source: What it shows.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._ready = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),))
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """End the run as runs end."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(PATIENCE)

    def kill(self) -> None:
        """Be gone without a word."""
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(PATIENCE)

    async def _serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self._task = asyncio.ensure_future(self._run())
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        async with serving(self._source) as self.url:
            self._ready.set()
            await self._over.wait()
