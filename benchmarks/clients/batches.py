"""The same text rows as a durable batch, and by ``run_many``."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.answers import KEY, TEXT
from benchmarks.harness.meter import Meter
from opus_async import Limits, OpusClient
from opus_async.batch import resume_batch, run_batch
from opus_async.testing import quick_polls

IN_FLIGHT = 200
LAG = 0.5
"""Seconds: of jobs of a tenth of a second or three, no more than one poll."""


async def durable(meter: Meter, count: int, *, url: str) -> dict[str, float]:
    """Run the rows as a batch: read and check the manifest, plan, run, write results and reports.

    Returns:
        CPU seconds: ``first``, of a batch of one row before it, which imports all that a batch needs;
        ``resume``, of resuming the finished batch.
    """
    with quick_polls(LAG), tempfile.TemporaryDirectory() as folder:
        async with _client(url) as opus:
            await opus.run(TEXT, {"Text": "a first one"})
            began = time.process_time()
            await _batch(opus, Path(folder) / "first", 1)
            first = time.process_time() - began
            with meter.against(url):
                await _batch(opus, Path(folder) / "measured", count)
            began = time.process_time()
            assert (await resume_batch(opus, Path(folder) / "measured" / "out")).ok
            return {"first": first, "resume": time.process_time() - began}


async def _batch(opus: OpusClient, folder: Path, count: int) -> None:
    folder.mkdir()
    manifest = folder / "rows.csv"
    manifest.write_text("Text\n" + "".join(f"text {row}\n" for row in range(count)))
    result = await run_batch(opus, manifest, workflow_id=TEXT, out=folder / "out", max_in_flight=IN_FLIGHT)
    assert result.ok


async def streamed(meter: Meter, count: int, *, url: str) -> None:
    """Run the rows by ``run_many``."""
    with quick_polls(LAG):
        async with _client(url) as opus:
            await opus.run(TEXT, {"Text": "a first one"})
            with meter.against(url):
                rows = ({"Text": f"text {row}"} for row in range(count))
                done = [outcome.ok async for outcome in opus.run_many(TEXT, rows, max_in_flight=IN_FLIGHT)]
            assert done.count(True) == count


def _client(url: str) -> OpusClient:
    return OpusClient(KEY, base_url=url, limits=Limits(max_in_flight=IN_FLIGHT))
