"""How jobs stand, in words, for bars and plain lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opus_async.text import between, coarse, count, plural

if TYPE_CHECKING:
    from opus_async.metrics.progress import Progress
    from opus_async.metrics.throughput import TimeLeft

_MEGA = 1_000_000


def speeds(progress: Progress, jobs: float, sent: float) -> list[str]:
    """Jobs per second, bytes per second and retries, in words."""
    retries = sum(progress.retries.values())
    throttled = f" ({progress.throttled:,} by 429)" if progress.throttled else ""
    return [f"{jobs:.1f} jobs/s", f"{sent / _MEGA:.1f} MB/s up", f"{retries:,} retries{throttled}"]


def standing(progress: Progress) -> list[str]:
    """Jobs in flight, and those that wait for a person, in words."""
    waiting = progress.waiting
    waits = f"{count(waiting)} {plural(waiting, 'waits', 'wait')}"
    return [f"{progress.in_flight:,} in flight", *([f"{waits} for a person"] if waiting else [])]


def ending(progress: Progress) -> str:
    """Why no more jobs are begun."""
    return progress.why_ending() or "ending"


def remaining(left: TimeLeft) -> str:
    """The time left: ``about 1 min 30 s left``, or a range while the rate changes: ``12-25 min left``."""
    if left.most is None:
        return f"at least {coarse(left.least)} left"
    if left.steady:
        return f"about {coarse((left.least + left.most) / 2)} left"
    return f"{between(left.least, left.most)} left"
