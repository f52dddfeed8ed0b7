"""HTTP answers of an endpoint: a status and bytes, or a refusal that becomes the vendor's error envelope."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from opus_async.simulator import traits

if TYPE_CHECKING:
    from collections.abc import Mapping

JSON_TYPE = "application/json; charset=utf-8"
HTML_TYPE = "text/html"
XML_TYPE = "application/xml"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer before it is sent.

    Attributes:
        status: The HTTP status.
        body: The body, complete.
        content_type: The value of the Content-Type header.
        headers: Further headers.
    """

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """A request that the API refuses.

    Attributes:
        status: The HTTP status.
        message: One text, or the list of texts that validation gives.
        extra: Further members of the envelope.
    """

    def __init__(self, status: int, message: str | list[str], **extra: Any) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message
        self.extra = extra


def to_json(value: object, status: int = 200) -> Answer:
    """Return `value` as a JSON answer."""
    return Answer(status, json.dumps(value).encode())


def envelope(refusal: Refusal, path: str, now: float, active: frozenset[str] = frozenset()) -> Answer:
    """Return a refusal as an answer.

    The vendor's envelope has statusCode, message, timestamp and path; a trait can give another form.
    """
    message: object = refusal.message
    if traits.ERRORS_BARE in active:
        text = message if isinstance(message, str) else "; ".join(refusal.message)
        return to_json({"error": text, **refusal.extra}, refusal.status)
    if traits.ERRORS_AS_OBJECTS in active:
        message = {"code": HTTPStatus(refusal.status).name, "reason": message}
    body = {
        "statusCode": refusal.status,
        "message": message,
        "timestamp": timestamp(now),
        "path": path,
        **refusal.extra,
    }
    return to_json(body, refusal.status)


def timestamp(now: float) -> str:
    """Return epoch seconds as the vendor writes a moment: ISO 8601, milliseconds, Z."""
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
