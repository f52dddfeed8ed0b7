"""Reads a part of a document, of one version and no other where its store can be told which."""

from __future__ import annotations

from typing import Any

from opus_async.remote import access
from opus_async.remote.facts import Pin
from opus_async.remote.libraries import Located


async def read_part(place: Located, pin: Pin, start: int, end: int) -> bytes:
    """Read bytes from ``start`` up to ``end``; all of the document where its server gives no parts.

    A web server and S3 refuse with 412 what has another ETag by now; S3 and Google's store give an older
    version out where they keep it, and else tell that it is gone.

    Args:
        place: The document.
        pin: Names its version.
        start: Of the first byte.
        end: Behind the last one.
    """
    filesystem = place.filesystem
    protocols = filesystem.protocol if isinstance(filesystem.protocol, tuple) else (filesystem.protocol,)
    options: dict[str, Any] = {}
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
        content: bytes = await response["Body"].read()
    finally:
        response["Body"].close()
    return content
