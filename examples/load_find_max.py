"""Find the highest rate at which jobs end in time.

Run it without a key, against a platform that runs four jobs at once:

opus-async simulate --run-time 0.5 --capacity 4 -- python examples/load_find_max.py [FOLDER]
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from opus_async import OpusClient, load

WORKFLOW = "T3xtOnlyWorkfl0w"


def connect() -> OpusClient:
    """Make a client: each step of the search has its own, with a fresh poll pace."""
    return OpusClient(limits=load.LIMITS)


async def main(folder: Path) -> None:
    """Search with short steps, and few jobs; a real one takes windows of minutes."""
    result = await load.find_max(
        connect,
        None,  # or a manifest
        workflow_id=WORKFLOW,
        constants={"Text": "hello"},
        slo=["e2e.p95 < 2s"],
        start_rate=4,
        window=3,
        max_jobs=150,
        out=folder / "max",
        watching=load.LoadObserver(notice=print),
    )
    summary = result.summary
    for step in summary.steps:
        print(f"{step.rate:.1f} jobs/s: {'held' if step.ok else step.why}")
    print(f"{summary.verdict}: {summary.rate} jobs/s hold; limited by {summary.limiting_stage}")


asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())))
