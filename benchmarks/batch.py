"""Measure the CPU time of a durable batch against the same rows through ``run_many``.

python benchmarks/batch.py [--rows 3000] [--rounds 3]

Both run text rows on the embedded simulator, a process of its own with short runs; they take turns in one
run, and the ratio is computed for each round. The batch reads and checks its manifest, makes keys, plans,
writes every step to the disk, and writes its reports. The CPU time of the ledger's thread is given
separately; what the event loop spends on passing steps to it is in the rest.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import statistics
import tempfile
import threading
import time
from pathlib import Path

from opus_async import Limits, OpusClient
from opus_async.batch import resume_batch, run_batch
from opus_async.simulator import SimulatorConfig, SimulatorProcess
from opus_async.testing import quick_polls

WORKFLOW = "T3xtOnlyWorkfl0w"
IN_FLIGHT = 200
WRITER = "ledger"
"""A part of the name of the ledger's thread."""


class WriterTime:
    """The CPU seconds of the ledger's thread, read while it runs: they are gone when it has ended."""

    def __init__(self) -> None:
        self.seconds = 0.0

    async def follow(self) -> None:
        """Read the time until cancelled."""
        while True:
            for thread in threading.enumerate():
                if WRITER in thread.name and thread.ident is not None and thread.is_alive():
                    self.seconds = time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
            await asyncio.sleep(0.05)


async def many(simulator: SimulatorProcess, rows: int) -> None:
    """Run the rows without a ledger."""
    async with client(simulator) as opus:
        stream = opus.run_many(
            WORKFLOW, ({"Text": f"text {row}"} for row in range(rows)), max_in_flight=IN_FLIGHT
        )
        assert [outcome.ok async for outcome in stream].count(True) == rows


async def batch(simulator: SimulatorProcess, rows: int) -> tuple[float, float, float]:
    """Run the rows as a batch; returns CPU seconds, those of the ledger's thread, and seconds of a resume."""
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        manifest = Path(folder) / "rows.csv"
        manifest.write_text("Text\n" + "".join(f"text {row}\n" for row in range(rows)))
        writer = WriterTime()
        following = asyncio.create_task(writer.follow())
        async with client(simulator) as opus:
            result = await run_batch(
                opus,
                manifest,
                workflow_id=WORKFLOW,
                out=Path(folder) / "out",
                max_in_flight=IN_FLIGHT,
            )
            following.cancel()
            assert result.ok
            spent = time.process_time() - began
            again = time.monotonic()
            assert (await resume_batch(opus, Path(folder) / "out")).ok
        return spent, writer.seconds, time.monotonic() - again


def client(simulator: SimulatorProcess) -> OpusClient:
    return OpusClient(
        simulator.service_key, base_url=simulator.base_url, limits=Limits(max_in_flight=IN_FLIGHT)
    )


async def main(rows: int, rounds: int) -> None:
    ratios, shares = [], []
    with SimulatorProcess(SimulatorConfig(run_time="0.1-0.3", queue_time=0)) as simulator:
        for number in range(rounds):
            began = time.process_time()
            await many(simulator, rows)
            without = time.process_time() - began
            durable, writer, again = await batch(simulator, rows)
            ratios.append(durable / without)
            shares.append(writer / durable)
            print(
                f"round {number + 1}: run_many {without / rows * 1e6:.0f} us CPU a row, batch "
                f"{durable / rows * 1e6:.0f} us, of which the ledger's thread {writer / rows * 1e6:.0f} us"
            )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"batch / run_many: {statistics.median(ratios):.2f}")
    print(f"the ledger's thread: {statistics.median(shares):.1%} of the batch")
    print(f"peak memory {peak:.0f} MB; resume of the finished batch {again:.2f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with quick_polls(0.5):
        asyncio.run(main(options.rows, options.rounds))
