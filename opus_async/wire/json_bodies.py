"""JSON in the body of a response: parsed without loss, and an error that says what came where it is none."""

from __future__ import annotations

import math
from typing import Any

from pydantic_core import from_json

from opus_async.errors import ProtocolError
from opus_async.gaps import Gapped, gapped
from opus_async.wire.excerpts import excerpt, excerpt_of_bytes
from opus_async.wire.messages import ApiResponse, header

_SHAPE = bytes(
    ord("0") if byte in b"0123456789." else ord("e") if byte in b"eE" else ord(" ") for byte in range(256)
)
"""Each byte -> what it is in a number: a digit or its point, the sign of an exponent, anything else."""
_LONG_EXPONENT = b"0e000"
_LONG_NUMBER = b"0" * 200
"""Shapes of numbers that may be beyond a double: a long exponent, or so many digits that a short one is
enough. A pass over the bytes without a regular expression costs a tenth of one with it."""
_BOM = b"\xef\xbb\xbf"


def json_of(answer: ApiResponse) -> Any:
    """Parse the body of a response, with every digit of an integer kept.

    Raises:
        ProtocolError: It is no JSON: empty, cut off, an HTML page, no UTF-8, nested too deeply, or with
            numbers that no double holds.
    """
    try:
        value = parse(answer.body)
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
    """Parse the body of a response; None where it is no JSON."""
    try:
        return parse(answer.body)
    except ValueError:
        return None


def parse(body: bytes) -> Any:
    """Parse JSON; a byte order mark before it is skipped.

    Raises:
        ValueError: They are no JSON, or hold a number beyond a double.
    """
    value = from_json(body.removeprefix(_BOM), allow_inf_nan=False)
    if _may_hold_huge_number(body) and _holds_infinity(value):
        raise ValueError("a number is too large")
    return value


def request_of(answer: ApiResponse) -> str:
    """Name the request behind a response, for the beginning of a message."""
    return f"{answer.method} {answer.url.partition('?')[0] or 'of the API'}"


def _may_hold_huge_number(body: bytes) -> bool:
    shape = body.translate(_SHAPE, b"+")
    return _LONG_EXPONENT in shape or _LONG_NUMBER in shape


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
    if "html" in (header(answer.headers, "content-type") or "").lower() or answer.body.lstrip()[:1] == b"<":
        page = excerpt_of_bytes(answer.body, 80, answer.mask)
        return gapped("an HTML page where JSON was expected ({})", page)
    said = excerpt_of_bytes(answer.body, 80, answer.mask)
    return gapped("a body that is not JSON: {} ({})", excerpt(str(error), 80), said)
