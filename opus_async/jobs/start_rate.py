"""Limits how many rows start per second on this machine."""

from __future__ import annotations

import asyncio

from opus_async.transport.rates import TokenBucket


class StartRate:
    """Admits rows at a steady rate, first come, first served.

    Args:
        rate: Rows a second.
    """

    def __init__(self, rate: float) -> None:
        self._bucket = TokenBucket(rate)

    async def admit(self, rows: int) -> None:
        """Wait until so many rows may start."""
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(self._bucket.reserve(now, rows))
