"""Files among a job's outputs: how they come here."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from opus_async.errors import OpusError

if TYPE_CHECKING:
    from opus_async.models import JobDetail, Workflow
    from opus_async.opus.client import OpusClient


async def fetch(
    opus: OpusClient, remote: Mapping[str, list[str]], folder: Path, *, workspace_id: str | None
) -> dict[str, list[str]]:
    """Fetch the files of outputs into a folder.

    Returns:
        Output name -> where its files lie, in the order of the URLs.

    Raises:
        OpusError: One of them could not be had. Those that were whole by then stay in the folder.
    """
    urls = [url for several in remote.values() for url in several]
    got = iter(await opus.files.download_many(urls, folder, workspace_id=workspace_id))
    return {name: [str(next(got).path) for _ in several] for name, several in remote.items()}


async def workspace_of(asked: Awaitable[Workflow | JobDetail]) -> str | None:
    """Where files live, for the servers that want to be told; None where that cannot be learned."""
    try:
        return (await asked).workspace_id
    except OpusError:  # a server that wants it will say so itself
        return None
