"""Figures as a person reads them."""

from __future__ import annotations

from opus_async.cli.progress import Progress

_MEGA = 1_000_000
_MINUTE = 60


def speeds(progress: Progress, jobs: float, sent: float) -> list[str]:
    """Rates and retries, in words."""
    retries = sum(progress.retries.values())
    throttled = f" ({progress.throttled} by 429)" if progress.throttled else ""
    return [f"{jobs:.1f} jobs/s", f"{sent / _MEGA:.1f} MB/s up", f"{retries} retries{throttled}"]


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
