"""Run one document through one workflow.

Run it without a key:

opus-async simulate -- python examples/quickstart.py
"""

import asyncio
import tempfile
from pathlib import Path

from opus_async import OpusClient

WORKFLOW = "D0cumentWorkfl0w"  # the simulator's document workflow; yours is in the URL of the Opus builder


async def main() -> None:
    """Run one job and print what it gave."""
    document = Path(tempfile.mkdtemp()) / "invoice.txt"
    document.write_text("Invoice 17\nTotal: 99.50 EUR\n")

    async with OpusClient() as opus:  # OPUS_SERVICE_KEY and OPUS_BASE_URL from the environment
        outcome = await opus.run(WORKFLOW, {"Document": document, "Threshold": 0.8}, title="Invoice 17")

    outcome.raise_for_status()
    for name, value in outcome.outputs.items():
        print(f"{name}: {value}")


asyncio.run(main())
