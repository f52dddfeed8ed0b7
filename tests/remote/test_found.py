"""Looking up many documents at once."""

from __future__ import annotations

import asyncio

import pytest

from opus_async.remote.found import look_up_all
from opus_async.remote_urls import RemoteFile

fsspec = pytest.importorskip("fsspec", reason="pip install fsspec")


@pytest.fixture
def documents():
    memory = fsspec.filesystem("memory")
    urls = [f"memory://found/{number}.txt" for number in range(2_000)]
    for number, url in enumerate(urls):
        memory.pipe(url, b"x" * number)
    yield urls
    memory.rm("/found", recursive=True)


async def test_tasks_do_not_follow_the_number_of_documents(documents):
    tasks = []

    async def count():
        while True:
            tasks.append(len(asyncio.all_tasks()))
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    found = await look_up_all([RemoteFile(url) for url in documents])
    counting.cancel()
    assert [file.facts.size for file in found] == list(range(2_000))
    assert max(tasks) < 100
