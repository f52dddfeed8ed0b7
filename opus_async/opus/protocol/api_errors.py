"""Responses that refuse -> exceptions of the right class, with the platform's words and what to do next.

The service's envelope is ``{statusCode, message, timestamp, path}`` (vendor page "Errors"), its ``message`` a
text, a list of texts or an object; a gateway or a crash answers with an HTML page. Whether a request is
repeated is decided in the transport.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from opus_async.errors import (
    APIError,
    AuthenticationError,
    NotFound,
    PermissionDenied,
    QuotaExhausted,
    RateLimited,
    ServerError,
    ValidationFailed,
)
from opus_async.opus.protocol import hints
from opus_async.opus.protocol.api_messages import ApiResponse, header
from opus_async.opus.protocol.error_advice import QUOTA_ADVICE, advice_for, speaks_of_quota
from opus_async.opus.protocol.excerpts import excerpt, excerpt_of_bytes
from opus_async.opus.protocol.json_bodies import parse
from opus_async.opus.protocol.retry_after import retry_after
from opus_async.redaction import Mask

_CLASSES: Mapping[int, type[APIError]] = {
    400: ValidationFailed,
    401: AuthenticationError,
    402: QuotaExhausted,
    403: PermissionDenied,
    404: NotFound,
    413: ValidationFailed,
    422: ValidationFailed,
    429: RateLimited,
}
_MAY_SPEAK_OF_QUOTA = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS})
_REQUEST_IDS = ("x-request-id", "x-amzn-requestid", "cf-ray", "x-amzn-trace-id")
_WORDS = ("message", "error", "detail", "errors", "title")
"""Fields that hold the words of an error, the best first."""
_ENVELOPE = ("statusCode", "timestamp", "path", "success", "metadata")
"""Fields around the words, which are not worth quoting."""


def error_from(answer: ApiResponse, *, status: int | None = None) -> APIError:
    """Make the exception for a response that refuses; it is not raised here.

    Args:
        answer: The response.
        status: The ``statusCode`` inside a 2xx whose body refuses; default: the response's own status.
    """
    try:
        body = parse(answer.body)
        detail, code = _words(body, answer.mask)
    except ValueError:
        body, detail, code = None, excerpt_of_bytes(answer.body, mask=answer.mask), None
    status = answer.status if status is None else status
    wait = retry_after(answer.headers, body)
    kind = _CLASSES.get(status) or (ServerError if status >= HTTPStatus.INTERNAL_SERVER_ERROR else APIError)
    if status in _MAY_SPEAK_OF_QUOTA and wait is None and speaks_of_quota(detail, code):
        kind = QuotaExhausted
    head, advice, action = QUOTA_ADVICE if kind is QuotaExhausted else advice_for(status, detail)
    error = kind(
        _sentences(f"{head}: {detail}" if detail else head, advice),
        status=status,
        code=code,
        detail=detail,
        request_id=_request_id(answer.headers, answer.mask),
        attempt=answer.attempt,
        method=answer.method,
        url=answer.url.partition("?")[0],
    )
    error.retry_after = wait
    if action is not None:
        error.advised(action)
    if error.next_step is not None:
        error.hint = hints.hint(error.next_step)
    return error


def _words(body: Any, mask: Mask) -> tuple[str, str | None]:
    """What an error body says, and its machine-readable code."""
    if not isinstance(body, dict):
        return _detail(body, mask), None
    said = [body[key] for key in _WORDS if body.get(key)]
    if len(said) > 1 and isinstance(said[1], str):
        del said[1:]  # an envelope repeats the name of its status in "error"
    code = None
    for place in (body, body.get("error"), body.get("message")):
        if isinstance(place, dict) and code is None:
            code = _code(place.get("code"), mask) or _code(place.get("errorCode"), mask)
    if not said:
        said = [{key: value for key, value in body.items() if key not in _ENVELOPE and value}]
    return _detail(said[:2], mask), code


def _detail(value: Any, mask: Mask) -> str:
    """Any JSON value as readable text."""
    if not value or isinstance(value, bool):
        return ""
    if isinstance(value, str):
        return excerpt(value, mask=mask)
    if isinstance(value, dict) and isinstance(value.get("message"), str) and value["message"]:
        return excerpt(value["message"], mask=mask)
    if isinstance(value, list):
        return excerpt("; ".join(filter(None, (_detail(entry, mask) for entry in value[:20]))), mask=mask)
    return excerpt(json.dumps(value, ensure_ascii=False), mask=mask)


def _code(value: Any, mask: Mask) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return excerpt(str(value), 64, mask) or None


def _sentences(*parts: str) -> str:
    return " ".join(f"{part.rstrip(' .')}." for part in parts if part)


def _request_id(headers: Mapping[str, str], mask: Mask) -> str | None:
    found = (excerpt(header(headers, name) or "", 100, mask) for name in _REQUEST_IDS)
    return next(filter(None, found), None)
