"""How long the platform asks to wait before a request is sent again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from opus_async.wire.messages import header

MAX_RETRY_AFTER = 300.0
"""Seconds. A longer wait is a mistake or an outage: asking again after five minutes costs nothing."""


def retry_after(headers: Mapping[str, str], body: Any) -> float | None:
    """Read how many seconds the platform asks to wait, at most ``MAX_RETRY_AFTER``; None if it does not.

    The first usable of: ``metadata.retryAfterSeconds`` in the body (0 is legal), ``Retry-After-Ms``, and
    ``Retry-After`` in seconds or as an HTTP date, measured by the ``Date`` of the same response. What
    is negative or no finite number is not usable.

    Args:
        headers: Of the response.
        body: Its JSON; None where it is none.
    """
    if isinstance(body, dict):
        metadata = body.get("metadata")
        for place in (metadata, body):
            if isinstance(place, dict):
                seconds = _usable_seconds(place.get("retryAfterSeconds"))
                if seconds is not None:
                    return seconds
    milliseconds = _usable_seconds(header(headers, "retry-after-ms"), per_second=1000)
    if milliseconds is not None:
        return milliseconds
    written = header(headers, "retry-after")
    seconds = _usable_seconds(written)
    if seconds is not None or written is None:
        return seconds
    until, since = _epoch(written), _epoch(header(headers, "date"))
    if until is None or since is None:
        return None
    return min(max(until - since, 0.0), MAX_RETRY_AFTER)


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
