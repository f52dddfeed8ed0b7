"""Files sent to a presigned URL that is known already: by opus_async, by bare aiohttp; and hashing alone."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
from yarl import URL

from benchmarks.clients.whole_job import by_workers
from benchmarks.harness.meter import Meter
from opus_async.config import Timeouts
from opus_async.transport.files import put_file
from opus_async.transport.http import Http
from opus_async.transport.sources import PathSource, digest

AT_ONCE = 8

Put = Callable[[Path], Awaitable[object]]


async def ours(meter: Meter, count: int, *, url: str, path: str, digested: bool = False) -> None:
    """Send a file so many times, eight at once, as a job does."""
    http = Http(Timeouts())

    async def put(file: Path) -> None:
        source = PathSource(file)
        if digested:
            await digest(source)
        await put_file(http, url, source, content_type=None, stall=30)

    await _measure(meter, count, put, path)
    await http.close()


async def opened(meter: Meter, count: int, *, url: str, path: str) -> None:
    """Send a file so many times, eight at once, by ``data=open()``."""
    target = URL(url, encoded=True)
    async with aiohttp.ClientSession() as session:

        async def put(file: Path) -> None:
            with file.open("rb") as body:
                async with session.put(target, data=body, skip_auto_headers=("Content-Type",)) as answer:
                    answer.raise_for_status()
                    await answer.read()

        await _measure(meter, count, put, path)


async def hashed(meter: Meter, count: int, *, path: str) -> None:
    """Hash a file so many times, and send nothing."""

    async def put(file: Path) -> None:
        with file.open("rb") as body:
            hashlib.file_digest(body, "sha256")

    await _measure(meter, count, put, path)


async def _measure(meter: Meter, count: int, put: Put, path: str) -> None:
    """Warm up with a file of one chunk and a larger one, so that it is seen what memory many take."""
    with tempfile.TemporaryDirectory() as folder:
        for size in (10, 100_000):
            file = Path(folder) / "first.txt"
            file.write_bytes(os.urandom(size))
            await put(file)
    await asyncio.sleep(0)
    with meter:
        await by_workers(lambda _: put(Path(path)), count, AT_ONCE)
