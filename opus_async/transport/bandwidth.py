"""A budget of bytes per second, shared by all uploads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from opus_async.transport.forks import loop_time
from opus_async.transport.rates import TokenBucket


class Bandwidth:
    """Bytes a second, shared by all uploads.

    Args:
        rate: Bytes a second.
        time: The clock, in seconds; the running loop's by default.
        sleep: Waits so many seconds.
    """

    def __init__(
        self,
        rate: float,
        *,
        time: Callable[[], float] = loop_time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._bucket = TokenBucket(rate)
        self._time = time
        self._sleep = sleep

    async def spend(self, size: int) -> None:
        """Wait until ``size`` bytes may go out. First come, first served; given back when cancelled."""
        wait = self._bucket.reserve(self._time(), size)
        if wait > 0:
            try:
                await self._sleep(wait)
            except BaseException:
                self._bucket.give_back(size)
                raise
