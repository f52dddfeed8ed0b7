"""Threads for libraries that block: daemons, so that one that hangs keeps neither others nor the process."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias, TypeVar

ValueT = TypeVar("ValueT")

_MOST = 32
"""Threads at the most. Those that hang count: whoever comes when all do waits until its time is over."""

_CLOSING = 1.0
"""Seconds in which those end that are free."""

_Job: TypeAlias = Callable[[], None]


class Workers:
    """Runs functions in threads of its own, the same ones over and over: libraries keep things by thread."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._free = 0

    async def run(self, function: Callable[[], ValueT]) -> ValueT:
        """Run a function in a thread. Cancelled, nobody waits for it, and it ends by itself.

        Raises:
            RuntimeError: No thread can be started, and there is none.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[ValueT] = loop.create_future()

        def job() -> None:
            if future.cancelled():
                return
            try:
                value = function()
            except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
                _hand_over(loop, future, future.set_exception, error)
            else:
                _hand_over(loop, future, future.set_result, value)

        self._add_thread()
        self._jobs.put(job)
        return await future

    def close(self) -> None:
        """End the threads; one that hangs ends when it is free again. Blocks for a moment."""
        with self._lock:
            threads, self._threads = self._threads, []
        for _ in threads:
            self._jobs.put(None)
        deadline = time.monotonic() + _CLOSING
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _add_thread(self) -> None:
        with self._lock:
            if self._free > self._jobs.qsize() or len(self._threads) >= _MOST:
                return
            thread = threading.Thread(target=self._work, name="opus-async-remote-worker", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                if not self._threads:
                    raise
            else:
                self._threads.append(thread)
                self._free += 1

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            with self._lock:
                self._free -= 1
            job()
            del job
            with self._lock:
                self._free += 1


def _hand_over(
    loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any], hand: Callable[[Any], None], what: Any
) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(lambda: None if future.done() else hand(what))
