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
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        return number((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
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
