"""Calls that working clients make and the vendor does not document; the same on every generation of the API.

Seen in several independent clients, never promised: each may change or go without notice.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any
from urllib.parse import urlsplit

from opus_async.cheap_dataclass import cheap_dataclass
from opus_async.errors import InvalidInputs
from opus_async.input_problems import bad_argument
from opus_async.opus.protocol import responses
from opus_async.opus.protocol.files import is_presigned
from opus_async.wire.excerpts import excerpt
from opus_async.wire.messages import ApiRequest, ApiResponse
from opus_async.wire.requests import given, sendable
from opus_async.wire.responses import first_of, protocol_error, text

URL_LIFE = 3600
"""Seconds for which a presigned URL is asked for. It is used at once; a slow line may take long over it."""


@cheap_dataclass()
class PresignedDownload:
    """A presigned URL to GET one file from.

    Attributes:
        get_url: Signed, short-lived, a secret: byte-identical on the wire, in no log, repr or error.
        file_url: What it was asked for, where told.
        content_type: Where told.
        size: Bytes, where told.
    """

    get_url: str = field(repr=False)
    file_url: str | None = None
    content_type: str | None = None
    size: int | None = None


def download(file_url: str, *, workspace_id: str | None) -> ApiRequest:
    """Ask where the file behind a ``fileUrl`` can be fetched: that URL itself answers 404, with a key too.

    Clients disagree on the second field, so each form is a fallback for the other.

    Args:
        file_url: From the results of a job, or from an upload.
        workspace_id: Where the file lives; None asks with a time of expiry instead.

    Raises:
        InvalidInputs: It is no ``fileUrl``.
    """
    where = {"customExpiry": URL_LIFE} if workspace_id is None else {"workspaceId": workspace_id}
    body = {"fileUrl": checked_file_url(file_url), **given(**where)}
    return ApiRequest(operation="download", method="POST", path="/job/file/download", body=body)


def read_download(answer: ApiResponse) -> PresignedDownload:
    """Read the presigned URL of a download.

    Raises:
        APIError: The answer means no.
        ProtocolError: There is no URL in it, or one that is none, or from which nothing may be fetched.
    """
    body = responses.body_of_accepted(answer)
    for place in responses.unwrapped(body):
        get_url = responses.presigned_url(place, answer)
        if get_url:
            return PresignedDownload(
                get_url,
                file_url=responses.http_url(first_of(place, "fileUrl", "file_url")),
                content_type=text(first_of(place, "contentType", "content_type")),
                size=_size(first_of(place, "contentLength", "content_length")),
            )
    raise protocol_error(answer, "without a usable presignedUrl")


def checked_file_url(value: Any) -> str:
    """Check a ``fileUrl``, and return it trimmed.

    Raises:
        InvalidInputs: It is no http(s) URL, or a presigned one.
    """
    if not isinstance(value, str):
        raise InvalidInputs(
            [
                bad_argument(
                    f"a file is named by its URL as text, not by a value of type {type(value).__name__}"
                )
            ]
        )
    url = value.strip()
    if is_presigned(url):
        raise InvalidInputs(
            [bad_argument("got a presigned URL; give the fileUrl that the results of the job hold")]
        )
    try:
        parts = urlsplit(sendable(url))
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InvalidInputs([bad_argument(f"'{excerpt(url, 80)}' is no http(s) URL; give a fileUrl")])
    return url


def _size(value: Any) -> int | None:
    """Read a number of bytes, which can be text; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value[:20])
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
