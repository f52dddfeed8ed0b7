"""Uploads documents by their URLs, and tells by how much its memory grew for each, in MiB.

python remote_upload.py URL...
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys

from opus_async import Limits, OpusClient


def peak() -> float:
    """The most memory that this process has had, in MiB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 2**20 if sys.platform == "darwin" else most / 2**10


async def main(urls: list[str]) -> None:
    grown = []
    async with OpusClient(limits=Limits(max_file_bytes=2**30)) as opus:
        for url in urls:
            before = peak()
            await opus.files.upload(url, digest=False)
            grown.append(round(peak() - before, 1))
    sys.stdout.write(json.dumps(grown))


asyncio.run(main(sys.argv[1:]))
