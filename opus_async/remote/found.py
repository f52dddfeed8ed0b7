"""A document that was looked up: its size and version, or why it cannot be sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeAlias

from opus_async.input_problems import Unfit
from opus_async.models import JobRequest
from opus_async.remote.facts import RemoteFacts, facts_of
from opus_async.remote.patience import Patience, current_patience
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
        patience: How long its store is waited for when it is read.
    """

    facts: RemoteFacts | None = None
    problem: Unfit | None = field(default=None, compare=False)
    patience: Patience | None = field(default=None, compare=False)

    __str__ = RemoteFile.__str__
    __repr__ = RemoteFile.__repr__


Found: TypeAlias = Mapping[RemoteFile, RemoteFacts]
"""What was found of documents."""


def with_found(request: JobRequest, found: Found) -> JobRequest:
    """The request of a job with what was found of its documents: they are not looked up again."""

    def looked_up(value: Any) -> Any:
        if isinstance(value, list):
            return [looked_up(item) for item in value]
        facts = found.get(value) if isinstance(value, RemoteFile) else None
        return value if facts is None else FoundFile(value.url, value.filename, facts)

    return replace(request, inputs={name: looked_up(value) for name, value in request.inputs.items()})


async def look_up(file: RemoteFile) -> FoundFile:
    """Ask for size and version of a document, unless they are known; the answer tells what is wrong with it.

    Raises:
        OpusError: What other documents would meet as well; see :func:`opus_async.remote.facts.facts_of`.
    """
    found = partial(FoundFile, file.url, file.filename, patience=current_patience())
    if isinstance(file, FoundFile) and file.facts is not None:
        return found(file.facts)
    try:
        return found(await facts_of(file))
    except Unfit as unfit:
        return found(problem=unfit)


async def look_up_all(files: Sequence[RemoteFile]) -> list[FoundFile]:
    """The same for several, in their order; the first error ends the others."""
    return await in_order(look_up, files, at_once=_AT_ONCE)
