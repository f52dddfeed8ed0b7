"""Times as the platform writes them -> seconds since the epoch."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

MILLISECONDS_FROM = 1e11
"""A moment beyond this is in milliseconds: as seconds it would be the year 5138."""


def to_epoch(value: Any) -> float | None:
    """Convert milliseconds, seconds or ISO 8601 (UTC without a zone) to epoch seconds; None for the rest."""
    counted = number(value)
    if counted is not None:
        return counted if counted < MILLISECONDS_FROM else counted / 1000
    moment = _moment(value)
    return None if moment is None else number(moment.timestamp())


def to_datetime(value: Any) -> datetime | None:
    """Convert ISO 8601, with any number of fraction digits, to a datetime in UTC; None for the rest.

    What has no zone is taken for UTC. Digits behind the microseconds are dropped. Numbers, though not as
    text, are milliseconds or seconds since the epoch.
    """
    if isinstance(value, str):
        return _moment(value)
    counted = to_epoch(value)
    try:
        return None if counted is None else datetime.fromtimestamp(counted, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _moment(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def number(value: Any) -> float | None:
    """Read a finite number that is not negative, also as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) and found >= 0 else None
