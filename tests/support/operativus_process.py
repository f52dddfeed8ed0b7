"""A process that begins a batch of Operativus, or goes on with it: what its kill test kills.

python operativus_process.py MANIFEST DIR WORKFLOW_ID [SETTINGS AS JSON]
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from opus_async import Limits, RetryPolicy, Timeouts
from opus_async.batch import resume_batch, run_batch
from opus_async.operativus import OperativusClient
from opus_async.testing import quick_polls

ATTEMPTS = 24
"""Three in ten requests of the hostile simulator fail: with the usual eight attempts, a row is given up now
and then."""


def client() -> OperativusClient:
    return OperativusClient(
        limits=Limits(api_concurrency=32, api_rate=1000),
        timeouts=Timeouts(connect=5, request=20),
        retry=RetryPolicy(attempts=ATTEMPTS, base=0.02, cap=0.3, max_elapsed=10, execute_grace=1.5),
    )


async def main(manifest: str, directory: Path, workflow_id: str, settings: dict[str, object]) -> int:
    async with client() as operativus:
        if (directory / "ledger.db").exists():
            result = await resume_batch(operativus, directory, settings=settings)
        else:
            result = await run_batch(operativus, manifest, workflow_id=workflow_id, out=directory, **settings)
    sys.stdout.write(json.dumps({"exit_code": result.exit_code, "because": result.ended_because}))
    return result.exit_code


if __name__ == "__main__":
    given = json.loads(sys.argv[4]) if len(sys.argv) > 4 else {}
    with quick_polls(0.05):
        sys.exit(asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], given)))
