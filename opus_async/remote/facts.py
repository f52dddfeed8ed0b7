"""What is known of a document without reading it: its size, and the version that shows whether it changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from opus_async.remote import access
from opus_async.remote.hold import Hold
from opus_async.remote.refusals import obstacle, refused
from opus_async.remote_urls import RemoteFile

_VERSIONS = ("ETag", "etag", "generation", "md5Hash", "Content-MD5", "content_md5", "VersionId", "version_id")
"""Where libraries tell a version or a digest; first what a listing and a single look-up tell alike."""
_TIMES = ("LastModified", "Last-Modified", "last_modified", "updated", "modified", "mtime", "created")
"""Where they tell when it was changed: second best, since it can have whole seconds."""


class RemoteFacts(NamedTuple):
    """What is known of a document.

    Attributes:
        size: Bytes.
        version: Changes whenever the document does; None where its server tells nothing of that.
    """

    size: int
    version: str | None

    def signature(self, file: RemoteFile) -> str:
        """A digest, in hex, of URL, size and version: what a row's key and "has it changed" are made from."""
        return hashlib.sha256(json.dumps([file.url, self.size, self.version]).encode()).hexdigest()


class _Memory(NamedTuple):
    """What is remembered, and the connections that are held as long."""

    facts: dict[str, RemoteFacts]
    hold: Hold


_remembered: ContextVar[_Memory | None] = ContextVar("remembered", default=None)


@contextmanager
def remembered() -> Iterator[None]:
    """Ask for each document once within this block, in this task and those that it starts.

    A manifest is listed, checked and planned one after the other; about 300 bytes a document are kept for as
    long. What changes meanwhile is noticed when it is sent.
    """
    if _remembered.get() is not None:  # by somebody further out
        yield
        return
    memory = _Memory({}, Hold())
    token = _remembered.set(memory)
    try:
        yield
    finally:
        _remembered.reset(token)
        memory.hold.drop()


async def facts_of(file: RemoteFile, *, anew: bool = False) -> RemoteFacts:
    """Ask for size and version of a document.

    Args:
        file: The document.
        anew: Whether what is remembered does not count.

    Raises:
        Unfit: There is none, or it cannot be read; says why, and what to do.
        ConfigurationError: A library or credentials are missing.
        TransportError: Its store cannot be reached.
    """
    memory = _remembered.get()
    if memory is not None and not anew and file.url in memory.facts:
        return memory.facts[file.url]
    hold = Hold()
    hold.take()
    if memory is not None:
        memory.hold.take()
    try:
        place = await access.located(file.url)
        place.filesystem.invalidate_cache()  # what a listing told may be old
        facts = read_info(await access.call(place, "info"))
    except Exception as error:  # noqa: BLE001 - each library has its own
        raise (obstacle(file, error) or refused(file, error)) from None
    finally:
        await hold.release()
    if memory is not None:
        memory.facts[file.url] = facts
    return facts


def remember(url: str, info: Mapping[str, Any]) -> None:
    """Within :func:`remembered`, keep what a listing tells of a document: it need not be asked for again."""
    memory = _remembered.get()
    if memory is not None:
        memory.facts[url] = read_info(info)


def read_info(info: Mapping[str, Any]) -> RemoteFacts:
    """Size and version, as any library tells them.

    Raises:
        IsADirectoryError: It is a folder.
        ValueError: The server does not tell the size.
    """
    if info.get("type") == "directory":
        raise IsADirectoryError
    size = info.get("size")
    if not isinstance(size, int):
        raise ValueError("its server does not tell its size, which must be known before it is sent")  # noqa: TRY004 - of the server, not of a type
    return RemoteFacts(size, _version(info))


def _version(info: Mapping[str, Any]) -> str | None:
    for name in (*_VERSIONS, *_TIMES):
        value = info.get(name)
        if value not in (None, "", "null"):
            return f"{name.lower().replace('-', '_')} {str(value).strip(chr(34))}"
    return None
