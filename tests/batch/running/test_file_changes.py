"""Files are compared with what they were when the batch was planned, right before they are sent."""

from __future__ import annotations

import asyncio

from opus_async.batch.running import file_changes
from opus_async.batch.running.file_changes import FileChangeCheck
from opus_async.manifests.remote_digests import signature_of
from opus_async.remote.facts import RemoteFacts
from opus_async.remote_urls import RemoteFile

FACTS = RemoteFacts(size=3, version='"1"')


class Journal:
    """Knows every document as it is."""

    cache = None

    async def known_files(self, paths):
        return {path: signature_of(RemoteFile(path), FACTS) for path in paths}


async def test_documents_of_a_row_are_looked_up_side_by_side(monkeypatch):
    together = asyncio.Barrier(20)

    async def remote_facts(_, *, anew):
        assert anew
        await together.wait()
        return FACTS

    monkeypatch.setattr(file_changes, "remote_facts", remote_facts)
    files = [RemoteFile(f"s3://docs/{number}.pdf") for number in range(20)]
    async with asyncio.timeout(10):
        found = await FileChangeCheck(Journal()).check(files)
    assert found == dict.fromkeys(files, FACTS)
