"""opus_async with many jobs in flight at once: text jobs by ``run_many``."""

from __future__ import annotations

from benchmarks.answers import KEY, TEXT
from benchmarks.clients.ours import LAG
from benchmarks.harness.meter import Meter
from benchmarks.harness.strain import Strain
from opus_async import Limits, OpusClient
from opus_async.testing import quick_polls


async def jobs(meter: Meter, count: int, *, url: str, in_flight: int, quick: bool = True) -> dict[str, float]:
    """Run so many text jobs, so many at once.

    Args:
        meter: Measures them.
        count: Of jobs.
        url: Of the platform, which says how long they run.
        in_flight: Jobs at once.
        quick: Whether jobs are polled as often as such short ones need it; by default that is at most twice
            a second.
    """
    strain = Strain()
    async with OpusClient(KEY, base_url=url, limits=Limits(max_in_flight=in_flight)) as opus:
        await opus.workflows.get(TEXT)
        with quick_polls(LAG if quick else 0.5), meter.against(url):
            async with strain:
                rows = ({"Text": "a text of some words"} for _ in range(count))
                async for outcome in opus.run_many(TEXT, rows):
                    assert outcome.ok, outcome.error
    return strain.figures
