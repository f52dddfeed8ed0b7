"""Answers that are no: error bodies, the wait that the platform asks for, bodies that are no JSON.

The service's envelope is ``{statusCode, message, timestamp, path}`` (opus docs, "Errors"), its ``message`` a
text, a list of texts or an object; a gateway or a crash answers with an HTML page. All become one readable
error of the right class. Decides nothing about repeating: that is the transport's.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, NamedTuple

from pydantic_core import from_json

from opus_async.error_codes import NextAction
from opus_async.errors import (
    APIError,
    AuthenticationError,
    NotFound,
    PermissionDenied,
    ProtocolError,
    QuotaExhausted,
    RateLimited,
    ServerError,
    ValidationFailed,
)
from opus_async.gaps import Gapped, gapped
from opus_async.opus.protocol import hints
from opus_async.opus.protocol.api_messages import ApiResponse
from opus_async.opus.protocol.excerpts import excerpt, excerpt_of_bytes
from opus_async.redaction import Mask

MAX_RETRY_AFTER = 300.0
"""Seconds. A longer wait is a mistake or an outage: asking again after five minutes costs nothing."""

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


class _Advice(NamedTuple):
    """What an answer means, what to do next, and that as a value where it is not usual for the class."""

    head: str
    advice: str
    action: NextAction | None = None


_ADVICE: Mapping[int, _Advice] = {
    400: _Advice(
        "The platform refused the request", "Correct it first: the same request will be refused again"
    ),
    403: _Advice(
        "The user behind the service key may not do this",
        "Ask an administrator of the organization for the permission, or use another user's key",
    ),
    404: _Advice(
        "The platform does not know this id, or does not show it to this key",
        "Check the id, its generation, and that the key's user belongs to its workspace",
    ),
    409: _Advice("The platform is busy with the same thing", "Wait until that has ended, then try again"),
    413: _Advice("The platform finds the request too large", "Files may have 10 MB each: send less at once"),
    422: _Advice(
        "The platform refused the request", "Correct it first: the same request will be refused again"
    ),
    429: _Advice(
        "The platform answers only that there are too many requests",
        "Lower api_rate or max_in_flight, or try again later",
    ),
}

_QUOTA_ADVICE = _Advice(
    "The plan's or the budget's limit is used up",
    "Nothing will be accepted until it is raised: ask who administers the plan of your organization in Opus",
)
_MAY_SPEAK_OF_QUOTA = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS})
_LIMIT = r"(?:quota|credits?|(?:usage|plan|credit|budget|billing|spending|monthly|annual) limit)"
_QUOTA_WORDS = re.compile(
    rf"\b{_LIMIT} (?:(?:has|have) been |is |are |was )?(?:exceeded|exhausted|reached|used up|depleted)\b"
    rf"|\b(?:exceeded|exhausted|reached|used up|out of) (?:(?:your|its|the|their|all) )?"
    rf"(?:(?:current|monthly|annual) )?{_LIMIT}\b"
    r"|\binsufficient (?:credits?|quota|funds|balance)\b"
    r"|\bno (?:more )?credits? (?:left|remaining)\b"
)
"""What can mean nothing else. The vendor documents no such refusal: any word in doubt stays what its status
says."""
_RATE_WORDS = re.compile(
    r"\bper (?:second|minute|hour|day)\b|\brate\b|\btoo many requests\b|\bconcurrent|\bactive\b"
)
"""Words of a limit that passes by itself, whatever else is said: other services call that a quota, too."""

_RETIRED = "workflow details are no longer supported"
_REQUEST_IDS = ("x-request-id", "x-amzn-requestid", "cf-ray", "x-amzn-trace-id")
_SAYING = ("message", "error", "detail", "errors", "title")
_ENVELOPE = ("statusCode", "timestamp", "path", "success", "metadata")
_HUGE_NUMBER = re.compile(rb"[0-9.][eE]\+?[0-9]{3}|(?<![0-9])[0-9]{200}")
"""Numbers that may be beyond a double: a long exponent, or so many digits that a short one is enough."""
_BOM = b"\xef\xbb\xbf"


class RetiredPath(NotFound):
    """The platform tells of this workflow at another path, if at all."""

    @classmethod
    def of(cls, error: APIError) -> RetiredPath | None:
        """The same refusal as this class, if it says so."""
        if _RETIRED not in error.detail:
            return None
        return cls(
            _sentences(
                f"The platform no longer gives the details of this workflow: {error.detail}",
                "It was made with an old builder: rebuild it in Opus, or use the UUID that is on its page",
            ),
            status=error.status,
            code=error.code,
            detail=error.detail,
            request_id=error.request_id,
            attempt=error.attempt,
            method=error.method,
            url=error.url,
        )


def error_from(
    answer: ApiResponse, now: float | None = None, *, status: int | None = None, hint: str | None = None
) -> APIError:
    """The error that an answer amounts to, not raised yet.

    Args:
        answer: What came back.
        now: Seconds since the epoch, for a Retry-After that is a date; the answer's own ``Date`` goes
            before it, since the same clock wrote both.
        status: The code inside a 200 that is none; default the answer's own status.
        hint: What is known to look wrong with the service key; ends in the message of a 401.
    """
    try:
        body = _parse(answer.body)
        detail, code = _words(body, answer.mask)
    except ValueError:
        body, detail, code = None, excerpt_of_bytes(answer.body, mask=answer.mask), None
    status = answer.status if status is None else status
    wait = retry_after(answer.headers, body, now)
    kind = _CLASSES.get(status) or (ServerError if status >= HTTPStatus.INTERNAL_SERVER_ERROR else APIError)
    if status in _MAY_SPEAK_OF_QUOTA and wait is None and _speaks_of_quota(detail, code):
        kind = QuotaExhausted
    head, advice, action = _QUOTA_ADVICE if kind is QuotaExhausted else _advice(status, detail, hint)
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


def retry_after(headers: Mapping[str, str], body: Any, now: float | None) -> float | None:
    """The seconds that the platform asks to wait, at most ``MAX_RETRY_AFTER``; None where it does not say.

    The first usable of: ``metadata.retryAfterSeconds`` in the body (0 is legal), ``Retry-After-Ms``, and
    ``Retry-After`` in seconds or as an HTTP date. What is negative or no finite number is not usable.

    Args:
        headers: Of the answer.
        body: Its JSON, or its bytes.
        now: Seconds since the epoch, used for a date when the answer has no ``Date`` of its own.
    """
    if isinstance(body, bytes):
        body = _json_or_none(body)
    if isinstance(body, dict):
        metadata = body.get("metadata")
        for place in (metadata, body):
            if isinstance(place, dict):
                seconds = _usable_seconds(place.get("retryAfterSeconds"))
                if seconds is not None:
                    return seconds
    milliseconds = _usable_seconds(_header(headers, "retry-after-ms"), per_second=1000)
    if milliseconds is not None:
        return milliseconds
    written = _header(headers, "retry-after")
    seconds = _usable_seconds(written)
    if seconds is not None or written is None:
        return seconds
    until, since = _epoch(written), _epoch(_header(headers, "date"))
    since = now if since is None else since
    if until is None or since is None:
        return None
    return min(max(until - since, 0.0), MAX_RETRY_AFTER)


def json_of(answer: ApiResponse) -> Any:
    """The JSON of an answer, every digit of an integer kept.

    Raises:
        ProtocolError: It is no JSON: empty, cut off, an HTML page, no UTF-8, nested too deeply, or with
            numbers that no double holds.
    """
    try:
        value = _parse(answer.body)
    except ValueError as error:
        raise ProtocolError(
            gapped(
                f"{{}} answered HTTP {answer.status} with {{}}. Check that the base URL is the API's and "
                "that no proxy or log-in page stands in between.",
                request_of(answer),
                _what_it_is(answer, error),
            ),
            body=excerpt_of_bytes(answer.body, mask=answer.mask),
        ) from None
    return value


def json_or_none(answer: ApiResponse) -> Any:
    """The JSON of an answer; None where it is none."""
    return _json_or_none(answer.body)


def key_is_absent(detail: str) -> bool:
    """Whether the words of a 401 say that no key came with the request, rather than a wrong one."""
    said = detail.lower()
    return "required" in said or "missing" in said


def request_of(answer: ApiResponse) -> str:
    """The request behind an answer, for the beginning of a message."""
    return f"{answer.method} {answer.url.partition('?')[0] or 'of the API'}"


def _parse(body: bytes) -> Any:
    value = from_json(body.removeprefix(_BOM), allow_inf_nan=False)
    if _HUGE_NUMBER.search(body) and _holds_infinity(value):
        raise ValueError("a number is too large")
    return value


def _json_or_none(body: bytes) -> Any:
    try:
        return _parse(body)
    except ValueError:
        return None


def _holds_infinity(value: Any) -> bool:
    if isinstance(value, float):
        return math.isinf(value)
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return False
    return any(map(_holds_infinity, value))


def _what_it_is(answer: ApiResponse, error: ValueError) -> Gapped:
    if not answer.body.strip():
        return gapped("an empty body where JSON was expected")
    if "html" in (_header(answer.headers, "content-type") or "").lower() or answer.body.lstrip()[:1] == b"<":
        page = excerpt_of_bytes(answer.body, 80, answer.mask)
        return gapped("an HTML page where JSON was expected ({})", page)
    said = excerpt_of_bytes(answer.body, 80, answer.mask)
    return gapped("a body that is not JSON: {} ({})", excerpt(str(error), 80), said)


def _words(body: Any, mask: Mask) -> tuple[str, str | None]:
    """What an error body says, and its machine-readable code."""
    if not isinstance(body, dict):
        return _detail(body, mask), None
    said = [body[key] for key in _SAYING if body.get(key)]
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


def _speaks_of_quota(detail: str, code: str | None) -> bool:
    """Whether a refusal says that something is used up which no waiting brings back."""
    said = re.sub(r"[\s_-]+", " ", f"{code or ''}. {detail}".lower())
    return bool(_QUOTA_WORDS.search(said)) and not _RATE_WORDS.search(said)


def _advice(status: int, detail: str, hint: str | None) -> _Advice:
    """What happened and what to do next."""
    if status == HTTPStatus.UNAUTHORIZED:
        return _advice_on_key(detail.lower(), hint)
    if status == HTTPStatus.NOT_FOUND and detail.startswith("Cannot "):
        return _Advice(
            "There is no such path at this base URL",
            "Check the base URL (the host alone), and the generation of the API",
            NextAction.CHOOSE_GENERATION,
        )
    if status in _ADVICE:
        return _ADVICE[status]
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _Advice(
            "The platform failed", "Try again later; if it goes on, report the request id to the vendor"
        )
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return _Advice(
            "The platform answered with a redirect", "Check the base URL: it is followed to no other host"
        )
    return _Advice(
        f"The platform answered HTTP {status}", "See the detail, and report the request id to the vendor"
    )


def _advice_on_key(detail: str, hint: str | None) -> _Advice:
    if "auth cookie" in detail:
        return _Advice(
            "This path is for browsers only",
            "The service key is not the problem: check the base URL and the path",
            NextAction.CHOOSE_GENERATION,
        )
    if key_is_absent(detail):
        found = _Advice(
            "The service key did not arrive",
            "Set OPUS_SERVICE_KEY; a proxy may have removed the x-service-key header",
            NextAction.SET_KEY,
        )
    else:
        found = _Advice(
            "The service key is wrong or has expired",
            "Make a new one in Opus under My Organization > settings > API Keys",
        )
    return found._replace(advice=f"{found.advice}. Note: {hint}") if hint else found


def _sentences(*parts: str) -> str:
    return " ".join(f"{part.rstrip(' .')}." for part in parts if part)


def _request_id(headers: Mapping[str, str], mask: Mask) -> str | None:
    found = (excerpt(_header(headers, name) or "", 100, mask) for name in _REQUEST_IDS)
    return next(filter(None, found), None)


def _header(headers: Mapping[str, str], name: str) -> str | None:
    """A header by its lower-case name, also from a mapping that tells cases apart."""
    value = headers.get(name)
    if value is None:
        matches: Iterable[str] = (headers[key] for key in headers if key.lower() == name)
        value = next(iter(matches), None)
    return value


def _usable_seconds(value: Any, per_second: int = 1) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except OverflowError:  # an integer beyond every float, of either sign
        return MAX_RETRY_AFTER if not isinstance(value, str) and value > 0 else None
    except ValueError:
        return None
    if not math.isfinite(number) or number < 0:
        return None
    return min(number / per_second, MAX_RETRY_AFTER)


def _epoch(text: str | None) -> float | None:
    """Seconds since the epoch of an HTTP date; None when it is none."""
    if text is None:
        return None
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
