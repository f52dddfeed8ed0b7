"""The file systems that are in use, and the threads in which their libraries work.

One for the process, however many clients and batches use it: it begins with the first use and ends with the
last, so that no connection and no thread of ours is left. The threads are none of the event loop's own: a
store that hangs keeps them, and files, names of hosts and the end of the program would wait behind it.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

from opus_async.remote import libraries
from opus_async.remote.health import Stores
from opus_async.remote.libraries import CLOSABLE, Located
from opus_async.remote.workers import Workers
from opus_async.remote_urls import is_chain, scheme_of

ValueT = TypeVar("ValueT")

_CLOSING = 5.0
"""Seconds for connections to be closed; what takes longer is cut."""


class _Access:
    """File systems and the event loop in whose thread those of :data:`CLOSABLE` work.

    Attributes:
        loop: That event loop.
        workers: The threads in which the others work.
        stores: What is known of the stores.
    """

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.workers = Workers()
        self.stores = Stores()
        self._lock = threading.Lock()
        self._filesystems: dict[str, Any] = {}
        self._thread = threading.Thread(target=self._work, name="opus-async-remote", daemon=True)
        self._thread.start()

    def locate(self, url: str) -> Located:
        """The file system of a URL, and the path in it; can block while a library is imported."""
        if scheme_of(url) not in CLOSABLE or is_chain(url):
            return libraries.shared(url)
        options = libraries.options_of(url)
        with self._lock:
            name = repr((scheme_of(url), sorted(options.items())))
            filesystem = self._filesystems.get(name)
            if filesystem is None:
                filesystem = libraries.opened(url, {**options, "loop": self.loop})
                self._filesystems[name] = filesystem
        return Located(filesystem, libraries.path_in(filesystem, url))

    def close(self) -> None:
        """Close all connections and end the thread."""
        future = asyncio.run_coroutine_threadsafe(self._close(), self.loop)
        with suppress(TimeoutError):
            future.result(_CLOSING)
        self._filesystems.clear()
        self.workers.close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()

    async def _close(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for filesystem in self._filesystems.values():
            with suppress(Exception):  # a connection that is broken is closed
                await _close_connections(filesystem)

    def _work(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()


async def _close_connections(filesystem: Any) -> None:
    """Close what s3fs, gcsfs or fsspec's own HTTP file system have opened."""
    creator = getattr(filesystem, "_s3creator", None)
    if creator is not None:
        await creator.__aexit__(None, None, None)
    session = getattr(filesystem, "_session", None)
    if session is not None:
        await session.close()


class _Users:
    """Counts who uses the access; see :mod:`opus_async.remote.hold`."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._count = 0
        self._access: _Access | None = None
        self._process = 0

    def enter(self) -> None:
        with self.lock:
            if self._process != os.getpid():  # a fork has no threads
                self._count, self._access, self._process = 0, None, os.getpid()
            if self._access is None:
                self._access = _Access()
            self._count += 1

    def leave(self) -> Callable[[], None] | None:
        """One user less; returns what closes all, where nobody is left who uses it."""
        with self.lock:
            if self._process != os.getpid():
                return None
            self._count -= 1
            if self._count or self._access is None:
                return None
            closing, self._access = self._access, None
        return closing.close

    @property
    def access(self) -> _Access:
        if self._access is None:
            raise RuntimeError("nobody holds the access to remote files")
        return self._access


USERS = _Users()
"""Of this process."""


def locate(url: str) -> Located:
    """The file system of a URL, and the path in it. Can block; somebody must hold the access.

    Raises:
        MissingLibrary, UnknownScheme: See :mod:`opus_async.remote.libraries`.
    """
    return USERS.access.locate(url)


async def located(url: str) -> Located:
    """The same from an event loop: a library that is imported, or reads its settings, blocks a thread."""
    return await USERS.access.workers.run(lambda: locate(url))


def health() -> Stores:
    """What is known of the stores; somebody must hold the access."""
    return USERS.access.stores


def blocking(work: Coroutine[Any, Any, ValueT]) -> ValueT:
    """Run a coroutine of this package from code that may block; somebody must hold the access."""
    return asyncio.run_coroutine_threadsafe(work, USERS.access.loop).result()


async def call(place: Located, method: str, *arguments: Any, **options: Any) -> Any:
    """Call a method of a file system with the path: on its own event loop, or else in a thread.

    Cancelled, a call on an event loop is cancelled there; one in a thread ends by itself, and nobody waits.
    """
    filesystem, path = place
    if is_async(filesystem):
        return await on_its_loop(filesystem, getattr(filesystem, f"_{method}")(path, *arguments, **options))
    function = getattr(filesystem, method)
    return await USERS.access.workers.run(lambda: function(path, *arguments, **options))


def is_async(filesystem: Any) -> bool:
    """Whether the methods of a file system are coroutines, under names that begin with ``_``."""
    return bool(getattr(filesystem, "async_impl", False)) and not filesystem.asynchronous


async def on_its_loop(filesystem: Any, work: Coroutine[Any, Any, ValueT]) -> ValueT:
    """Run a coroutine of a file system on the event loop that its connections belong to."""
    future: Future[ValueT] = asyncio.run_coroutine_threadsafe(work, filesystem.loop)
    return await asyncio.wrap_future(future)
