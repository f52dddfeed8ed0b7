"""A document that was looked up: its size and version, or why it cannot be sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from opus_async.input_problems import Unfit
from opus_async.remote.facts import RemoteFacts, facts_of
from opus_async.remote_urls import RemoteFile
from opus_async.tasks import in_order

_AT_ONCE = 64
"""Documents that are looked up at the same time: a store answers in some 20 ms, and is not asked a thousand
things at once."""


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


async def look_up_all(files: Sequence[RemoteFile]) -> list[FoundFile]:
    """The same for several, in their order; the first error ends the others."""
    return await in_order(look_up, files, at_once=_AT_ONCE)
