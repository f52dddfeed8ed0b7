"""What stands for the content of a document elsewhere: its URL, size and version, for it is not read.

As with a local file, what shows a change is one thing, and what it holds another. The version shows it: where
that is the same, so is the document. Where it is another one, and the document was sent before, it is read
and compared with what was sent: a store gives the same bytes another version when they are written in other
parts.
"""

from __future__ import annotations

from typing import TypeAlias

from opus_async.errors import InvalidInputs, UploadError
from opus_async.input_problems import Unfit
from opus_async.platform import Cache
from opus_async.remote.contents import content_name, identity_of
from opus_async.remote.facts import RemoteFacts, facts_of
from opus_async.remote.source import RemoteSource
from opus_async.remote_urls import RemoteFile

RemoteSignature: TypeAlias = tuple[int, int, int, str]
"""Size in bytes, two numbers that stand for the version, and what stands for the content: a digest in hex."""

_NUMBER = 15
"""Digits of a digest, in hex, that a number of 63 bits has room for."""


def signature_of(file: RemoteFile, facts: RemoteFacts) -> RemoteSignature:
    """What is kept of a document."""
    digest = facts.signature(file)
    return facts.size, int(digest[:_NUMBER], 16), int(digest[_NUMBER : 2 * _NUMBER], 16), digest


async def remote_facts(file: RemoteFile, *, anew: bool = False) -> RemoteFacts:
    """What a store tells of a document.

    Args:
        file: The document.
        anew: Whether what is remembered of it does not count.

    Raises:
        InvalidInputs: It is missing, or cannot be read.
        StoreUnavailable: Its store gives no answer.
    """
    try:
        return await facts_of(file, anew=anew)
    except Unfit as unfit:
        raise InvalidInputs([unfit.problem()]) from None


def is_same_version(now: RemoteSignature, before: RemoteSignature) -> bool:
    """Whether a document has the version that was kept of it, by whatever release."""
    return now[:3] == before[:3] or now[3] == before[3]


async def same_content(
    file: RemoteFile, now: RemoteFacts, before: RemoteSignature, memory: Cache | None
) -> bool:
    """Whether a document of another version holds what was sent of the one that is known.

    Args:
        file: The document.
        now: What is found of it; it is read if that alone does not tell.
        before: What is kept of it.
        memory: Tells what was sent; False where that is not known.
    """
    if memory is None or now.size != before[0]:
        return False
    sent = await memory.get(content_name(identity_of(before[3])))
    if sent is None:
        return False
    try:
        return await RemoteSource(file, now).digest() == sent
    except UploadError:  # gone, or another one again: whoever sends it will tell
        return False
