"""Downloads the files among a job's outputs."""

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
    """Download the files of outputs into a folder.

    Args:
        opus: The client.
        remote: Output name -> URLs of its files.
        folder: Where the files go.
        workspace_id: The workspace of the files, for servers that want to be told; None where it is unknown.

    Returns:
        Output name -> paths of its files, in the order of the URLs.

    Raises:
        OpusError: A file could not be downloaded. Files that were complete by then stay in the folder.
    """
    urls = [url for several in remote.values() for url in several]
    got = iter(await opus.files.download_many(urls, folder, workspace_id=workspace_id))
    return {name: [str(next(got).path) for _ in several] for name, several in remote.items()}


async def workspace_of(asked: Awaitable[Workflow | JobDetail]) -> str | None:
    """The workspace of a workflow or job; None where it cannot be asked for."""
    try:
        return (await asked).workspace_id
    except OpusError:  # a server that wants it will say so itself
        return None
