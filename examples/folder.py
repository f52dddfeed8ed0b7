"""Run a job for every document of a folder, hundreds at once, and print results as they come.

Run it without a key:

opus-async simulate -- python examples/folder.py [FOLDER]
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from opus_async import JobRequest, OpusClient

WORKFLOW = "D0cumentWorkfl0w"


def rows(folder: Path) -> Iterator[JobRequest]:
    """Name one job for each document; rows are taken only when a slot is free."""
    for path in sorted(folder.iterdir()):
        yield JobRequest({"Document": path}, title=path.name, key=path.name, timeout=900)


def some_documents() -> Path:
    """Make a folder of documents to try."""
    folder = Path(tempfile.mkdtemp())
    for number in range(30):
        (folder / f"note-{number:03}.txt").write_text(f"Note {number}\n" * (number + 1))
    return folder


async def main(folder: Path) -> int:
    """Print one JSON line for each document, in the order of completion; what failed goes to stderr."""
    failed = 0
    async with OpusClient() as opus, opus.run_many(WORKFLOW, rows(folder), max_in_flight=500) as outcomes:
        async for outcome in outcomes:
            if outcome.ok:
                print(json.dumps({"document": outcome.key, "outputs": dict(outcome.outputs)}))
            else:
                failed += 1
                print(f"{outcome.key}: {outcome.error}", file=sys.stderr)
    return 1 if failed else 0


sys.exit(asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else some_documents())))
