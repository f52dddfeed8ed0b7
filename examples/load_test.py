"""Run a load test: documents that are made, at a steady rate, with objectives and a verdict.

Run it without a key:

opus-async simulate -- python examples/load_test.py [FOLDER]
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from opus_async import OpusClient, load

WORKFLOW = "D0cumentWorkfl0w"


async def main(folder: Path) -> None:
    """Run it, and print where the time went."""
    async with OpusClient(limits=load.LIMITS) as opus:
        result = await load.run_load(
            opus,
            None,  # or a manifest; a document is made for each job here
            workflow_id=WORKFLOW,
            out=folder / "load",
            rate=20,
            jobs=100,
            file_size="lognormal:20KB",
            slo=["e2e.p95 < 5s", "error_rate < 1%"],
            seed=7,
        )
    summary = result.summary
    print(f"{summary.verdict}: {summary.counts.completed} of {summary.counts.offered} jobs completed")
    for reason in summary.reasons:
        print(f"  {reason}")
    for stage in summary.stages:
        print(f"{stage:<12} {summary.latency[stage].mean:.3f} s on average")
    print(f"report: {folder / 'load' / 'report.html'}")


asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())))
