"""How many rows may start a second on this machine."""

from __future__ import annotations

import asyncio

from opus_async.transport.rates import TokenBucket


class StartRate:
    """See :class:`opus_async.batch.ports.RateLimiter`.

    Args:
        rate: Rows a second.
    """

    def __init__(self, rate: float) -> None:
        self._bucket = TokenBucket(rate)
        self._turn = asyncio.Lock()

    async def admit(self, rows: int) -> None:
        """Wait until so many rows may start."""
        async with self._turn:
            for _ in range(rows):
                await self._one()

    async def _one(self) -> None:
        loop = asyncio.get_running_loop()
        while (wait := self._bucket.wait(loop.time())) > 0:
            await asyncio.sleep(wait)
        self._bucket.take(loop.time())
