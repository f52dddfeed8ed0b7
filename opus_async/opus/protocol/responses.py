"""Helpers for reading responses: is it a success, and where in it is what was asked for.

The service was changed in place, so the same thing hides behind several names and layers; each is looked
for by its shape, never by a version.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from opus_async.errors import APIError
from opus_async.opus.protocol import identity_check
from opus_async.opus.protocol.api_errors import error_from
from opus_async.opus.protocol.api_messages import PresignedUpload
from opus_async.opus.protocol.envelopes import is_error_envelope
from opus_async.wire.json_bodies import json_of, json_or_none
from opus_async.wire.messages import ApiResponse
from opus_async.wire.responses import SUCCESS, first_of, identifier, protocol_error

_FAILURE = range(HTTPStatus.BAD_REQUEST, 600)
_ABOUT_THE_KEY = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_STATUS = re.compile(r"[0-9]{3}")
_BEGINNING = re.compile(r"https?://([^/?#]+)", re.IGNORECASE)
_AUTHORITY = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{0,5}))?")
_LAST_PORT = 65_535


def body_of_accepted(answer: ApiResponse) -> Any:
    """The JSON of a response that means success: any 2xx, unless its body says otherwise.

    Raises:
        APIError: The status says no, or a ``statusCode`` of 400 or more or ``success: false`` inside a 2xx
            does.
        ProtocolError: It is no JSON, or an error of whoever stands in between (:mod:`.envelopes`).
    """
    body = body_of_success(answer)
    if is_error_envelope(body):
        raise protocol_error(answer, "that tells of an error in answering, not of what was asked for")
    return body


def body_of_success(answer: ApiResponse) -> Any:
    """The JSON of a 2xx whose body has no code that says otherwise; it may be an error envelope.

    Raises:
        APIError: As :func:`body_of_accepted` does.
        ProtocolError: It is no JSON.
        MixedUpAnswer: It is about something else than was asked for, whatever it says of that.
    """
    if answer.status not in SUCCESS:
        identity_check.check(answer, json_or_none(answer))
        raise error_from(answer)
    body = json_of(answer)
    identity_check.check(answer, body)
    if isinstance(body, dict) and ("statusCode" in body or "success" in body):
        _refuse(answer, body)
    return body


def read_id(answer: ApiResponse, *names: str) -> str:
    """Read the id of what was created, under the first of these names.

    Raises:
        APIError: The answer means no.
        ProtocolError: There is no id in it, or one that is null, empty or no id. Not worth asking again:
            something was made all the same.
    """
    body = body_of_accepted(answer)
    for place in unwrapped(body, "data", "case", "job"):
        found = identifier(first_of(place, *names))
        if found is not None:
            return found
    error = protocol_error(answer, f"without a usable {names[0]}")
    error.retryable = False
    raise error


def read_presigned(answer: ApiResponse) -> PresignedUpload:
    """Read the presigned URL of an upload; it has the same shape in every generation.

    Raises:
        APIError: The answer means no.
        ProtocolError: One of the two URLs is missing or is none, or nothing may be sent to the first.
    """
    body = body_of_accepted(answer)
    for place in unwrapped(body):
        put_url = presigned_url(place, answer)
        file_url = http_url(first_of(place, "fileUrl", "file_url"))
        if put_url and file_url:
            return PresignedUpload(put_url, file_url)
    raise protocol_error(answer, "without a usable presignedUrl and fileUrl")


def presigned_url(place: Mapping[str, Any], answer: ApiResponse) -> str | None:
    """Read a presigned URL and check it; None where there is none.

    Whoever names it decides who gets the file. So it is not less safe than the API that was asked: over https
    if that was, and without what two readers could take for two different hosts.

    Raises:
        ProtocolError: Nothing may be sent there. Not worth asking again.
    """
    url = http_url(first_of(place, "presignedUrl", "presigned_url"))
    doubt = None if url is None else _doubt_about(url, answer)
    if doubt is None:
        return url
    error = protocol_error(answer, f"with a presigned URL {doubt}, so no byte of the file was moved")
    error.retryable = False
    raise error


def _doubt_about(url: str, answer: ApiResponse) -> str | None:
    """Why a presigned URL is not used, to complete "a presigned URL ..."; None if it may be used."""
    if _is_plain(url) and not _is_plain(answer.url):
        return "over plain http, although the API was asked over https"
    authority = _authority(url) or ""
    if "@" in authority:
        return "with a user or a password in it"
    found = _AUTHORITY.fullmatch(authority)
    told = found is not None and (not found[1] or 0 < int(found[1]) <= _LAST_PORT)
    return None if told else "whose host cannot be told"


def refused(answer: ApiResponse) -> APIError:
    """Make the error for a 2xx whose body refuses without a code of its own."""
    error = error_from(answer, status=HTTPStatus.BAD_REQUEST)
    error.status = answer.status
    return error


def unwrapped(body: Any, *wrappers: str) -> list[dict[str, Any]]:
    """The body, and what lies inside it under ``data``, or under the names given."""
    if not isinstance(body, dict):
        return []
    inner = (body.get(name) for name in wrappers or ("data",))
    return [body, *(place for place in inner if isinstance(place, dict))]


def http_url(value: Any) -> str | None:
    """Return an http(s) URL exactly as sent, since a signature covers every byte of it; None for no URL."""
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or " " in value:
        return None
    return None if _authority(value) is None else value


def _authority(url: str) -> str | None:
    """Host, port, user and password of an http(s) URL, as they are written; None without a host.

    By hand: two of them come with each upload, and :func:`urlsplit` looks at every byte of them.
    """
    beginning = _BEGINNING.match(url)
    if beginning is None:
        return None
    authority = beginning[1]
    if "[" in authority or "]" in authority:  # an IPv6 address, or nonsense
        try:
            return authority if urlsplit(url).hostname else None
        except ValueError:
            return None
    return authority if authority.rpartition("@")[2].partition(":")[0] else None


def _is_plain(url: str) -> bool:
    return url[:5].lower() == "http:"


def _refuse(answer: ApiResponse, body: Mapping[str, Any]) -> None:
    """Raise the error that a body describes in spite of its own 2xx; return if it describes none."""
    code = _inner_status(body.get("statusCode"))
    if code is not None and code in _FAILURE:
        # Of what lies behind the platform: it says nothing of the key, which the answer itself accepted.
        if code in _ABOUT_THE_KEY:
            error = error_from(answer, status=HTTPStatus.INTERNAL_SERVER_ERROR)
            error.status = code
            raise error
        raise error_from(answer, status=code)
    if body.get("success") in (False, "false"):
        raise refused(answer)


def _inner_status(value: Any) -> int | None:
    """Read a status inside a body, which can be text; None without one."""
    if isinstance(value, str) and _STATUS.fullmatch(value):
        return int(value)
    return value if isinstance(value, int) else None
