"""What many jobs in flight do to the process: garbage collection, and how long the event loop is held up."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from types import TracebackType
from typing import Any, Self

TICK = 0.01
"""Seconds between two looks at the loop: they take some 1 % of a core."""


class Strain:
    """A context manager that watches the process.

    Attributes:
        figures: ``gc``, the CPU seconds of garbage collection; ``gc_longest``, of them at once; ``stall``,
            the longest time for which the loop did not come to anything.
    """

    def __init__(self) -> None:
        self.figures = {"gc": 0.0, "gc_longest": 0.0, "stall": 0.0}
        self._collecting = 0.0

    async def __aenter__(self) -> Self:
        gc.callbacks.append(self._collected)
        self._task = asyncio.create_task(self._tick())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        gc.callbacks.remove(self._collected)
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    def _collected(self, phase: str, _: dict[str, Any]) -> None:
        if phase == "start":
            self._collecting = time.thread_time()
            return
        seconds = time.thread_time() - self._collecting
        self.figures["gc"] += seconds
        self.figures["gc_longest"] = max(self.figures["gc_longest"], seconds)

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + TICK
            await asyncio.sleep(TICK)
            self.figures["stall"] = max(self.figures["stall"], loop.time() - due)
