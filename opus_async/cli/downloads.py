"""Files among a job's outputs: which they are, and how they come here."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from opus_async.errors import OpusError

if TYPE_CHECKING:
    from opus_async.models import JobDetail, OutputValue, Workflow
    from opus_async.opus.client import OpusClient

_FILES = frozenset({"file", "array_files"})
_MAYBE_FILES = frozenset({"array", None})
"""What may hold files as well as links: here the URL decides."""
_HOST = "files.opus.com"


def file_urls(results: Any) -> dict[str, list[str]]:
    """Which outputs are files of the platform, and their URLs.

    Args:
        results: As the platform sent them.

    Returns:
        Output name, as in ``JobResults.outputs`` -> its ``fileUrl`` or several.
    """
    from opus_async.opus.protocol.dialect import Answer
    from opus_async.opus.protocol.outcomes import read_results

    read = read_results(Answer(status=200, body=json.dumps(results).encode()))
    if read is None:
        return {}
    pairs = zip(read.outputs, read.values, strict=False)
    return {name: urls for name, output in pairs if (urls := _urls(output))}


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


def _urls(output: OutputValue) -> list[str]:
    held = output.parsed
    texts = held if isinstance(held, list) else [held]
    if not texts or not all(isinstance(text, str) and _host(text) for text in texts):
        return []
    kind = output.type and output.type.lower()
    sure = kind in _FILES or (kind in _MAYBE_FILES and all(_host(text) == _HOST for text in texts))
    return texts if sure else []


def _host(text: str) -> str | None:
    """The host of an http(s) URL; None for any other text."""
    try:
        parts = urlsplit(text.strip())
    except ValueError:
        return None
    return parts.hostname if parts.scheme in {"http", "https"} else None
