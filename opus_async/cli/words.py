"""Figures as a person reads them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opus_async.metrics.progress import Progress
    from opus_async.metrics.throughput import TimeLeft

_MEGA = 1_000_000
_MINUTE, _HOUR = 60, 3600
_FEW = 90
"""Seconds, or minutes, up to which a range is told in them."""
_TEN = 10


def speeds(progress: Progress, jobs: float, sent: float) -> list[str]:
    """Rates and retries, in words."""
    retries = sum(progress.retries.values())
    throttled = f" ({progress.throttled:,} by 429)" if progress.throttled else ""
    return [f"{jobs:.1f} jobs/s", f"{sent / _MEGA:.1f} MB/s up", f"{retries:,} retries{throttled}"]


def standing(progress: Progress) -> list[str]:
    """What goes on with jobs that are not done, in words."""
    waiting = progress.waiting
    waits = "1 waits" if waiting == 1 else f"{waiting:,} wait"
    return [f"{progress.in_flight:,} in flight", *([f"{waits} for a person"] if waiting else [])]


def rows(number: int) -> str:
    """``1 row``, ``1,200 rows``."""
    return "1 row" if number == 1 else f"{number:,} rows"


def ending(progress: Progress) -> str:
    """That no more jobs are begun, and why."""
    return progress.why_ending() or "ending"


def remaining(left: TimeLeft) -> str:
    """``about 1 min 30 s left``; a range while it is not steady: ``12-25 min left``."""
    if left.most is None:
        return f"at least {coarse(left.least)} left"
    if left.steady:
        return f"about {coarse((left.least + left.most) / 2)} left"
    return f"{between(left.least, left.most)} left"


def between(least: float, most: float) -> str:
    """A range of seconds in the unit of its end: ``20-45 s``, ``12-25 min``, ``1.5-3 h``."""
    if most < _FEW:
        return _ends(math.floor(least), math.ceil(most), "s")
    if most < _FEW * _MINUTE:
        minutes = math.ceil(most / _MINUTE)
        if least < _MINUTE:
            return f"{math.floor(least)} s to {minutes} min"
        return _ends(math.floor(least / _MINUTE), minutes, "min")
    return _ends(math.floor(least / _HOUR * _TEN) / _TEN, math.ceil(most / _HOUR * _TEN) / _TEN, "h")


def coarse(seconds: float) -> str:
    """A span of time that nobody knows exactly: ``40 s``, ``1 min 30 s``, ``12 min``, ``3 h 02 min``."""
    if _TEN * _MINUTE <= seconds < _HOUR:
        return f"{round(seconds / _MINUTE)} min"
    return duration(max(seconds, 1) if seconds < _MINUTE else round(seconds / _TEN) * _TEN)


def precise(seconds: float) -> str:
    """Seconds with the milliseconds that the platform tells, as far as they matter: ``0.112 s``."""
    return f"{seconds:.3f} s" if round(seconds, 3) < _MINUTE else duration(seconds)


def duration(seconds: float) -> str:
    """Seconds as a person reads them: ``7 s``, ``2 min 05 s``, ``3 h 02 min``."""
    whole = round(seconds)
    minutes, rest = divmod(whole, _MINUTE)
    hours, minutes_rest = divmod(minutes, _MINUTE)
    if hours:
        return f"{hours} h {minutes_rest:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{whole} s"


def size(number: float) -> str:
    """Bytes in decimal units: ``812 B``, ``4.2 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:  # noqa: PLR2004 - a thousand of each is one of the next
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:,.1f} TB"


def _ends(least: float, most: float, unit: str) -> str:
    return f"{least:g}-{most:g} {unit}"
