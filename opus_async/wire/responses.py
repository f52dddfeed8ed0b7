"""Parts of responses: a field under any of its names, texts, ids, and the error for JSON without them."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from opus_async.errors import ProtocolError
from opus_async.gaps import gapped, literal
from opus_async.wire.excerpts import excerpt_of_bytes
from opus_async.wire.json_bodies import request_of
from opus_async.wire.messages import ApiResponse

SUCCESS = range(HTTPStatus.OK, HTTPStatus.MULTIPLE_CHOICES)
_LARGEST = 2**63


def first_of(mapping: Mapping[str, Any], *names: str) -> Any:
    """Get the first of these values that is neither absent nor null; None without one."""
    for name in names:
        value = mapping.get(name)
        if value is not None:
            return value
    return None


def text(value: Any) -> str | None:
    """Return a text that is not blank, trimmed; None for everything else."""
    if isinstance(value, str):
        return value.strip() or None
    return None


def identifier(value: Any) -> str | None:
    """Return an id as text, with every digit kept, from a text or a whole number; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    found = text(value)
    return found if found is not None and found.isprintable() else None


def whole(value: Any) -> int | None:
    """Return a whole number that is not negative, also of ``2.0``; None for anything else, or a giant one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value < _LARGEST and value == int(value) else None


def protocol_error(answer: ApiResponse, why: str) -> ProtocolError:
    """Make the error for JSON that lacks what was asked for; ``why`` completes "answered with JSON ..."."""
    return ProtocolError(
        gapped(
            f"{{}} answered HTTP {answer.status} with JSON {literal(why)}. "
            "The API may have changed: look for a newer opus-async, and report the body of this error.",
            request_of(answer),
        ),
        body=excerpt_of_bytes(answer.body, mask=answer.mask),
    )
