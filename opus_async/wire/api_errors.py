"""Responses that refuse -> exceptions of the right class, with the platform's words and what to do next.

What a status and its words mean is the platform's own: it passes an ``advise``. Whether a request is
repeated is decided in the transport.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple, TypeAlias

from opus_async.error_codes import NextAction, NextStep
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
from opus_async.redaction import Mask
from opus_async.wire.excerpts import excerpt, excerpt_of_bytes
from opus_async.wire.json_bodies import parse
from opus_async.wire.messages import ApiResponse, header
from opus_async.wire.retry_after import retry_after

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
_REQUEST_IDS = ("x-request-id", "x-amzn-requestid", "cf-ray", "x-amzn-trace-id")
_WORDS = ("message", "error", "detail", "errors", "title")
"""Fields that hold the words of an error, the best first."""
_ENVELOPE = ("statusCode", "timestamp", "path", "success", "metadata")
"""Fields around the words, which are not worth quoting."""


class Advice(NamedTuple):
    """What a refusal means and what to do about it.

    Attributes:
        head: What it means, as the beginning of a message.
        advice: What to do about it, as the end of one.
        action: The same as a value, where it is not the usual one of the error's class.
        kind: The class of the error, where it is not that of its status.
    """

    head: str
    advice: str
    action: NextAction | None = None
    kind: type[APIError] | None = None


class Refusal(NamedTuple):
    """What a refusal says.

    Attributes:
        status: The HTTP status, or the one inside a 2xx.
        detail: The platform's words, printable and without secrets; empty for none.
        code: The platform's machine-readable code.
        wait: Seconds that it asks to wait.
    """

    status: int
    detail: str
    code: str | None
    wait: float | None


Words: TypeAlias = Callable[[Any, Mask], tuple[str, str | None]]
"""Takes the JSON of an error body; returns what it says, and its machine-readable code."""


def words_of(body: Any, mask: Mask, *, envelope: tuple[str, ...] = _ENVELOPE) -> tuple[str, str | None]:
    """What an error body of any shape says, and its machine-readable code.

    Args:
        body: Its JSON.
        mask: Takes out the secrets that the caller knows.
        envelope: Fields around the words, which are not worth quoting.
    """
    if not isinstance(body, dict):
        return detail_of(body, mask), None
    said = [body[key] for key in _WORDS if body.get(key)]
    if len(said) > 1 and isinstance(said[1], str):
        del said[1:]  # an envelope repeats the name of its status in "error"
    code = None
    for place in (body, body.get("error"), body.get("message")):
        if isinstance(place, dict) and code is None:
            code = _code(place.get("code"), mask) or _code(place.get("errorCode"), mask)
    if not said:
        said = [{key: value for key, value in body.items() if key not in envelope and value}]
    return detail_of(said[:2], mask), code


def api_error(
    answer: ApiResponse,
    advise: Callable[[Refusal], Advice],
    *,
    hint: Callable[[NextStep], str],
    words: Words = words_of,
    status: int | None = None,
) -> APIError:
    """Make the exception for a response that refuses; it is not raised here.

    Args:
        answer: The response.
        advise: What the platform means by it.
        hint: Turns a next step into words for programs.
        words: Reads its body.
        status: The status inside a 2xx whose body refuses; default: the response's own.
    """
    try:
        body = parse(answer.body)
        detail, code = words(body, answer.mask)
    except ValueError:
        body, detail, code = None, excerpt_of_bytes(answer.body, mask=answer.mask), None
    status = answer.status if status is None else status
    refusal = Refusal(status=status, detail=detail, code=code, wait=retry_after(answer.headers, body))
    advice = advise(refusal)
    error = (advice.kind or _class_of(status))(
        _sentences(f"{advice.head}: {detail}" if detail else advice.head, advice.advice),
        status=status,
        code=code,
        detail=detail,
        request_id=_request_id(answer.headers, answer.mask),
        attempt=answer.attempt,
        method=answer.method,
        url=answer.url.partition("?")[0],
    )
    error.retry_after = refusal.wait
    if advice.action is not None:
        error.advised(advice.action)
    if error.next_step is not None:
        error.hint = hint(error.next_step)
    return error


def _class_of(status: int) -> type[APIError]:
    return _CLASSES.get(status) or (ServerError if status >= HTTPStatus.INTERNAL_SERVER_ERROR else APIError)


def detail_of(value: Any, mask: Mask) -> str:
    """Any JSON value as readable text."""
    if not value or isinstance(value, bool):
        return ""
    if isinstance(value, str):
        return excerpt(value, mask=mask)
    if isinstance(value, dict) and isinstance(value.get("message"), str) and value["message"]:
        return excerpt(value["message"], mask=mask)
    if isinstance(value, list):
        return excerpt("; ".join(filter(None, (detail_of(entry, mask) for entry in value[:20]))), mask=mask)
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
