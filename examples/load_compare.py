"""Run the same load twice, and compare: better, worse, or unchanged within the noise.

Run it without a key:

opus-async simulate --run-time 0.2-0.4 -- python examples/load_compare.py [FOLDER]
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from opus_async import OpusClient, load

WORKFLOW = "T3xtOnlyWorkfl0w"


async def run(opus: OpusClient, out: Path) -> None:
    """Run the load once: the same seed gives the same arrivals."""
    await load.run_load(
        opus,
        None,
        workflow_id=WORKFLOW,
        constants={"Text": "hello"},
        out=out,
        rate=30,
        jobs=90,
        seed=7,
    )


async def main(folder: Path) -> None:
    """Compare two runs, and fail where the second is clearly slower."""
    async with OpusClient(limits=load.LIMITS) as opus:
        await run(opus, folder / "before")
        await run(opus, folder / "after")
    found = await load.compare(folder / "before", folder / "after", fail_if=["e2e.p95 > 200%"])
    for metric in found.comparison.metrics:
        print(f"{metric.name:<22} {metric.base:.3f} -> {metric.new:.3f}: {metric.verdict}")
    print(f"{found.comparison.verdict}; {len(found.breaches)} conditions failed")


asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())))
