"""A process that begins a batch, or goes on with it: what the kill tests kill.

python batch_process.py MANIFEST DIR WORKFLOW_ID [SETTINGS AS JSON]
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from opus_async import Limits, OpusClient, RetryPolicy, Timeouts
from opus_async.batch import resume_batch, run_batch
from opus_async.testing import quick_polls

GRACE = 1.5
"""Seconds: longer than the simulator's slowest answer to an order."""

ATTEMPTS = 24
"""Three in ten requests of the hostile simulator fail, and all shells share one sequence of faults: with the
usual eight attempts, one row in some ten thousand is given up."""


def client() -> OpusClient:
    return OpusClient(
        limits=Limits(api_concurrency=32, upload_concurrency=16),
        timeouts=Timeouts(connect=5, request=20, upload_stall=10),
        retry=RetryPolicy(attempts=ATTEMPTS, base=0.02, cap=0.3, execute_grace=GRACE),
    )


async def main(manifest: str, directory: Path, workflow_id: str, settings: dict[str, object]) -> int:
    async with client() as opus:
        if (directory / "ledger.db").exists():
            result = await resume_batch(opus, directory, settings=settings)
        else:
            result = await run_batch(opus, manifest, workflow_id=workflow_id, out=directory, **settings)
    sys.stdout.write(json.dumps({"exit_code": result.exit_code, "because": result.ended_because}))
    return result.exit_code


if __name__ == "__main__":
    given = json.loads(sys.argv[4]) if len(sys.argv) > 4 else {}
    with quick_polls(0.05):
        sys.exit(asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], given)))
