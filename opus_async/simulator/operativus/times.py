"""Moments as Operativus writes them: without a zone and as many digits as there are, or with Z."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from opus_async.simulator.operativus import traits
from opus_async.simulator.seeded_random import uniform

_AHEAD: Final = 7200.0
_MICROSECONDS: Final = 6
_NANOSECONDS: Final = 9


def zoned(moment: float) -> str:
    """Return epoch seconds as UTC with Z and microseconds, as node runs have them."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@lru_cache(maxsize=4096)  # a list of runs is read again and again
def local(moment: float, active: frozenset[str], *, fresh: bool = False) -> str:
    """Return epoch seconds as the server writes its own times.

    Args:
        moment: Epoch seconds.
        active: The traits of the server.
        fresh: Whether it comes from the clock and not from the database, which keeps microseconds.
    """
    if traits.ZULU_TIMES in active:
        return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if traits.CLOCK_AHEAD in active:
        moment += _AHEAD
    whole, _, fraction = (
        datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds")[:26].partition(".")
    )
    digits = _NANOSECONDS if fresh else _MICROSECONDS
    if traits.RAGGED_TIMES in active:
        digits = int(uniform("digits", moment) * (_NANOSECONDS + 1))
    if digits > _MICROSECONDS:
        fraction += f"{int(uniform('nanoseconds', moment) * 999) + 1:03d}"
    kept = fraction[:digits].rstrip("0")
    return f"{whole}.{kept}" if kept else whole
