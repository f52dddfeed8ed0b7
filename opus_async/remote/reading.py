"""Reads a part of a document, of one version and no other where its store can be told which."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from opus_async.remote import access
from opus_async.remote.facts import Pin
from opus_async.remote.libraries import Located
from opus_async.remote.redirects import refuse_misled

_CONTENT_RANGE = re.compile(r"(?i)\s*bytes\s+(\d{1,19})-\d{1,19}/(?:(\d{1,19})|\*)\s*")
"""Which bytes a web server gives: the first one, and how many the whole document has, where that is told."""
_PARTIAL, _MISSING = 206, 404


async def read_part(place: Located, pin: Pin, start: int, end: int, *, size: int) -> bytes:
    """Read bytes from ``start`` up to ``end``; all of the document where its server gives no parts.

    A web server and S3 refuse with 412 what has another ETag by now; S3 and Google's store give an older
    version out where they keep it, and else tell that it is gone. Of a server that gives more than was asked
    for, one byte too many is read: it can send without end.

    Args:
        place: The document.
        pin: Names its version.
        start: Of the first byte.
        end: Behind the last one.
        size: Of the whole document.

    Returns:
        The bytes, of another number than was asked for where the document is another one now.
    """
    filesystem = place.filesystem
    protocols = filesystem.protocol if isinstance(filesystem.protocol, tuple) else (filesystem.protocol,)
    options: dict[str, Any] = {}
    if "https" in protocols and access.is_async(filesystem) and hasattr(filesystem, "set_session"):
        return await access.on_its_loop(filesystem, _read_web(place, pin, start, end, size))
    if "https" in protocols:
        options = {"headers": _headers(filesystem, pin)}
    elif "s3" in protocols and pin.version_id is not None:
        options = {"version_id": pin.version_id}
    elif "s3" in protocols and pin.etag is not None and hasattr(filesystem, "_call_s3"):
        return await access.on_its_loop(filesystem, _read_s3(place, pin.etag, start, end))
    elif "gs" in protocols and pin.generation is not None:
        options = {"generation": pin.generation}
    content: bytes = await access.call(place, "cat_file", start=start, end=end, **options)
    return content


async def _read_web(place: Located, pin: Pin, start: int, end: int, size: int) -> bytes:
    """What ``cat_file`` of fsspec does, which believes a server that gives other bytes, or without end."""
    filesystem, url = place
    headers = {**_headers(filesystem, pin), "Range": f"bytes={start}-{end - 1}"}
    session = await filesystem.set_session()
    async with session.get(
        filesystem.encode_url(url), **{**filesystem.kwargs, "headers": headers}
    ) as response:
        if response.status == _MISSING:
            raise FileNotFoundError(url)
        response.raise_for_status()
        refuse_misled(url, str(response.url))
        if response.status != _PARTIAL:
            return await _at_most(response.content.read, size)
        told = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if told is not None and (int(told[1]), int(told[2] or size)) != (start, size):
            return b""
        return await _at_most(response.content.read, end - start)


async def _at_most(read: Callable[[int], Awaitable[bytes]], number: int) -> bytes:
    """The body of a response, and no more than one byte above a number of them."""
    blocks, left = [], number + 1
    while left and (block := await read(left)):
        blocks.append(block)
        left -= len(block)
    return b"".join(blocks)


def _headers(filesystem: Any, pin: Pin) -> dict[str, str]:
    """Those of the user's configuration, and ours: a part of what is compressed would be a part of that."""
    headers = {**filesystem.kwargs.get("headers", {}), "Accept-Encoding": "identity"}
    return headers if pin.etag is None else {**headers, "If-Match": pin.etag}


async def _read_s3(place: Located, etag: str, start: int, end: int) -> bytes:
    """What ``cat_file`` of s3fs does, with a condition that it takes no argument for."""
    bucket, key, version_id = place.filesystem.split_path(place.path)
    of_version = {"VersionId": version_id} if version_id else {}
    response = await place.filesystem._call_s3(  # noqa: SLF001 - s3fs has no other way to its client
        "get_object", Bucket=bucket, Key=key, Range=f"bytes={start}-{end - 1}", IfMatch=etag, **of_version
    )
    try:
        return await _at_most(response["Body"].read, end - start)
    finally:
        response["Body"].close()
