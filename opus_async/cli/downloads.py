"""Downloads the files among a job's outputs, for the commands of Opus: other platforms have texts only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from opus_async.cli.errors import DOWNLOAD
from opus_async.cli.job_progress import JobProgress
from opus_async.cli.outcomes import JobEnd
from opus_async.error_codes import NextAction
from opus_async.errors import OpusError
from opus_async.text import counted

if TYPE_CHECKING:
    from opus_async.cli.options import OneJobOptions
    from opus_async.models import JobDetail, Workflow
    from opus_async.opus.client import OpusClient
    from opus_async.outcome import JobOutcome


async def fetch_files(
    opus: OpusClient,
    options: OneJobOptions,
    story: JobProgress,
    outcome: JobOutcome,
    whose: Callable[[], Awaitable[Workflow | JobDetail]],
) -> JobEnd:
    """Fetch an outcome's files, where that is wanted.

    Args:
        opus: Fetches.
        options: Has ``download``.
        story: Is told.
        outcome: Of the job.
        whose: Asks for something that knows the workspace of the files.
    """
    remote = opus.files.urls_of(outcome)
    if options.download is None or not outcome.ok:
        return JobEnd(outcome, remote)
    if not remote:
        return JobEnd(outcome, remote, files={})
    count = sum(map(len, remote.values()))
    story.enter(DOWNLOAD, f"{counted(count, 'file')} into {options.download}")
    workspace_id = await workspace_of(whose())
    try:
        files = await fetch(opus, remote, options.download, workspace_id=workspace_id)
    except OpusError as error:  # it must not hide what the job gave, and was billed for
        located = error.advised(NextAction.FETCH_FILES).located(job_id=outcome.job_id, stage=DOWNLOAD)
        return JobEnd(outcome, remote, error=located)
    return JobEnd(outcome, remote, files)


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
