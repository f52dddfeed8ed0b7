"""What is known of a document without reading it: its size, and the version that shows whether it changed.

What a store tells is believed as far as it can be checked: a size must be one, and only what can stand in a
header is sent back to it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from opus_async.errors import StoreUnavailable
from opus_async.remote import access
from opus_async.remote.hold import Hold
from opus_async.remote.libraries import Located
from opus_async.remote.redirects import refuse_misled
from opus_async.remote.refusals import has_no_reason, obstacle, refused
from opus_async.remote.stores import ask
from opus_async.remote_urls import RemoteFile

_VERSIONS = (
    "generation",  # of Google's store: its ETag changes with labels, too
    "ETag",
    "etag",
    "md5Hash",
    "Content-MD5",
    "content_md5",
    "VersionId",
    "version_id",
)
"""Where libraries tell a version or a digest; first what a listing and a single look-up tell alike."""
_TIMES = ("LastModified", "Last-Modified", "last_modified", "updated", "modified", "mtime", "created")
"""Where they tell when it was changed: second best, since it can have whole seconds."""
_NOTHING = (None, "", "null")
_WEAK = "W/"
"""What a server's ETag begins with that does not promise the same bytes."""
_ETAG = re.compile(r'"[!#-~]{0,512}"')
"""An ETag that may be sent back in a header."""
_TOKEN = re.compile(r"[!-~]{1,1024}")


class Pin(NamedTuple):
    """What names the version of a document, to read that one and no other; each None where it is not told.

    Attributes:
        etag: Of a web server or of S3, with its quotes; never a weak one.
        version_id: Of S3, where its bucket keeps versions.
        generation: Of Google's store.
    """

    etag: str | None = None
    version_id: str | None = None
    generation: str | None = None


NO_PIN = Pin()
"""Where nothing is told of a version."""


@dataclass(frozen=True, slots=True)
class RemoteFacts:
    """What is known of a document.

    Attributes:
        size: Bytes.
        version: Changes whenever the document does; None where its server tells nothing of that.
        is_certain: Whether every change shows in the version. Not so where it is a time of whole seconds, or
            an ETag that says itself that it is weak.
        pin: Names the version to the store.
    """

    size: int
    version: str | None
    is_certain: bool = field(default=False, compare=False)
    pin: Pin = field(default=NO_PIN, compare=False)

    def signature(self, file: RemoteFile) -> str:
        """A digest, in hex, of URL, size and version: what a row's key and "has it changed" are made from."""
        return hashlib.sha256(json.dumps([file.url, self.size, self.version]).encode()).hexdigest()


class _Memory(NamedTuple):
    """What is remembered, and the connections that are held as long."""

    facts: dict[str, RemoteFacts | StoreUnavailable]
    hold: Hold


_remembered: ContextVar[_Memory | None] = ContextVar("remembered", default=None)


@contextmanager
def remembered() -> Iterator[None]:
    """Ask for each document once within this block, in this task and those that it starts.

    A manifest is listed, checked and planned one after the other; about 500 bytes a document are kept for as
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
        StoreUnavailable: Its store gave no good answer.
    """
    memory = _remembered.get()
    known = None if memory is None or anew else memory.facts.get(file.url)
    if isinstance(known, StoreUnavailable):
        raise copy(known)
    if known is not None:
        return known
    hold = Hold()
    hold.take()
    if memory is not None:
        memory.hold.take()
    try:
        facts = await ask(file, _look_up)
    except Exception as error:  # noqa: BLE001 - each library has its own
        failure = obstacle(file, error) or refused(file, error)
        if memory is not None and isinstance(failure, StoreUnavailable) and failure.may_be_of_document:
            memory.facts[file.url] = copy(failure)  # it took its time to find out
        raise failure from None
    finally:
        await hold.release()
    if memory is not None:
        memory.facts[file.url] = facts
    return facts


async def _look_up(place: Located) -> RemoteFacts:
    place.filesystem.invalidate_cache()  # what a listing told may be old
    try:
        info = await access.call(place, "info")
    except Exception as error:
        if "s3" in place.filesystem.protocol and has_no_reason(error):
            await access.call(place, "cat_file", start=0, end=1)  # whose answer tells it
        raise
    if "https" in place.filesystem.protocol:
        refuse_misled(place.path, str(info.get("url", place.path)))
    return read_info(info)


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
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ValueError("its server does not tell its size, which must be known before it is sent")
    version, is_certain = _version(info)
    return RemoteFacts(size, version, is_certain, _pin(info))


def _version(info: Mapping[str, Any]) -> tuple[str | None, bool]:
    """The version, and whether every change shows in it."""
    for name in (*_VERSIONS, *_TIMES):
        value = info.get(name)
        if value not in _NOTHING:
            certain = _has_fraction(value) if name in _TIMES else not str(value).startswith(_WEAK)
            return f"{name.lower().replace('-', '_')} {str(value).strip(chr(34))}", certain
    return None, False


def _has_fraction(time: Any) -> bool:
    """Whether a time tells more than whole seconds."""
    if isinstance(time, datetime):
        return time.microsecond != 0
    return isinstance(time, float) and not time.is_integer()


def _pin(info: Mapping[str, Any]) -> Pin:
    etag = info.get("ETag")
    return Pin(
        etag=etag if isinstance(etag, str) and _ETAG.fullmatch(etag) else None,
        version_id=_token(info.get("VersionId")),
        generation=_token(info.get("generation")),
    )


def _token(value: Any) -> str | None:
    text = str(value) if isinstance(value, str | int) else ""
    return text if _TOKEN.fullmatch(text) and text not in _NOTHING else None
