"""opus_async against a platform that limits requests: text jobs by ``run_many``, offered at a rate or all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from benchmarks.answers import KEY, TEXT
from benchmarks.harness.meter import Meter
from opus_async import Limits, OpusClient


async def jobs(meter: Meter, count: int, *, url: str, in_flight: int, offered: float | None = None) -> None:
    """Run so many text jobs.

    Args:
        meter: Measures them.
        count: Of jobs.
        url: Of the platform.
        in_flight: Jobs at once.
        offered: Jobs that come in a second; None for as many as are wanted.
    """
    async with OpusClient(KEY, base_url=url, limits=Limits(max_in_flight=in_flight)) as opus:
        with meter.against(url):
            async for outcome in opus.run_many(TEXT, _rows(count, offered)):
                assert outcome.ok, outcome.error


async def _rows(count: int, offered: float | None) -> AsyncIterator[dict[str, str]]:
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in range(count):
        if offered is not None:
            await asyncio.sleep(began + number / offered - loop.time())
        yield {"Text": "a text of some words"}
