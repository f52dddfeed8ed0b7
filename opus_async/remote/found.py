"""A document that was looked up: its size and version, or why it cannot be sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import field

from opus_async.errors import first_error
from opus_async.input_problems import Unfit
from opus_async.lazy_dataclass import dataclass
from opus_async.remote.facts import RemoteFacts, facts_of
from opus_async.remote_urls import RemoteFile
from opus_async.tasks import start_in


@dataclass(frozen=True, slots=True, repr=False)
class FoundFile(RemoteFile):
    """A document with what its server tells of it.

    Attributes:
        facts: Its size and version; None where there is a problem.
        problem: Why it cannot be sent; None where it can.
    """

    facts: RemoteFacts | None = None
    problem: Unfit | None = field(default=None, compare=False)

    __str__ = RemoteFile.__str__
    __repr__ = RemoteFile.__repr__


async def look_up(file: RemoteFile) -> FoundFile:
    """Ask for size and version of a document; what is wrong with it, the answer tells.

    Raises:
        OpusError: What other documents would meet as well; see :func:`opus_async.remote.facts.facts_of`.
    """
    try:
        return FoundFile(file.url, file.filename, await facts_of(file))
    except Unfit as unfit:
        return FoundFile(file.url, file.filename, problem=unfit)


async def look_up_all(files: Iterable[RemoteFile]) -> list[FoundFile]:
    """The same for several at once, in their order; the first error ends the others."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [start_in(group, look_up, file) for file in files]
    except BaseExceptionGroup as errors:
        raise first_error(errors) from None
    return [task.result() for task in tasks]
