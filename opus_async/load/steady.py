"""Whether a load was steady: a growing backlog, by a robust test of trend, and the law of Little.

A backlog is looked for in the latency of jobs, by when they were meant to start: where the platform ends
fewer jobs a second than come, each second makes those that come later wait longer. That needs no guess of how
long a run takes until as many jobs are in flight as always, as a trend of their number would.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from opus_async.load.values import Window

_BLOCKS = 20
"""Parts of the window, of each of which the median counts."""
_FEW_BLOCKS = 8
"""Parts that have to have jobs for a trend to be looked for."""
LEAST_GROWTH = 0.05
"""Seconds by which latency grows in each second of a backlog that counts: so much more comes than ends."""
_SIGNIFICANT = 3.0
"""Standard deviations by which medians have to rise: by chance they do in one run of 740."""
_WANDERING = 2.0
"""Standard deviations of what a queue at its limit, which wanders without growing, grows by chance."""
_TRIMMED = 0.1
"""Share of the ends at either side that a rate of ends leaves out: the start and the last jobs of a run."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """How latency changed over the window.

    Attributes:
        slope: Seconds of latency more for each second that jobs came later. 0.2 where 1.2 times as many come
            as the platform ends.
        significance: Standard deviations by which the medians rise from part to part of the window.
        jobs: How many jobs that is seen from.
    """

    slope: float
    significance: float
    jobs: int

    @property
    def growing(self) -> bool:
        """Whether the backlog grew, for certain and by what counts.

        Arrivals and ends that are as many on average still differ by chance: the number of jobs in flight
        then wanders by the root of as many as came and went.
        """
        wandering = _WANDERING * math.sqrt(2 / self.jobs) if self.jobs else math.inf
        return self.significance > _SIGNIFICANT and self.slope > max(LEAST_GROWTH, wandering)


def backlog(latencies: Iterable[tuple[float, float]], window: Window) -> Backlog | None:
    """Find the trend of latency.

    Args:
        latencies: When a job was meant to start, and how many seconds it took from then; in any order.
        window: Jobs that were meant to start outside of it do not count.

    Returns:
        None where too few jobs came, or in too small a part of the window.
    """
    blocks: dict[int, list[tuple[float, float]]] = {}
    width = window.seconds / _BLOCKS
    jobs = 0
    for at, seconds in latencies:
        if width > 0 and window.holds(at):
            jobs += 1
            place = min(int((at - window.start) / width), _BLOCKS - 1)
            blocks.setdefault(place, []).append((at, seconds))
    if len(blocks) < _FEW_BLOCKS:
        return None
    medians = [
        (statistics.fmean(at for at, _ in block), statistics.median(seconds for _, seconds in block))
        for _, block in sorted(blocks.items())
    ]
    return Backlog(_slope(medians), _rise(medians), jobs)


def _slope(points: Sequence[tuple[float, float]]) -> float:
    """The median of the slopes between all points (Theil and Sen): a third of them may lie anywhere."""
    return statistics.median(
        (y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in itertools.combinations(points, 2) if x2 > x1
    )


def _rise(points: Sequence[tuple[float, float]]) -> float:
    """By how many standard deviations more pairs rise than fall (Mann and Kendall)."""
    pairs = itertools.combinations((y for _, y in points), 2)
    score = sum((later > earlier) - (later < earlier) for earlier, later in pairs)
    number = len(points)
    deviation = math.sqrt(number * (number - 1) * (2 * number + 5) / 18)
    return math.copysign(max(abs(score) - 1, 0), score) / deviation


def rate_of_ends(ends: Iterable[float]) -> float | None:
    """How many jobs end a second while they end regularly; None for too few.

    That is the rate at which they come, as long as the platform keeps up, and what it manages where it does
    not: however long a job takes, and whenever the window of the arrivals lay.

    Args:
        ends: When the jobs of a window ended, in seconds, in any order.
    """
    ordered = sorted(ends)
    cut = math.floor(len(ordered) * _TRIMMED)
    kept = ordered[cut : len(ordered) - cut]
    if len(kept) < 2 or kept[-1] <= kept[0]:  # noqa: PLR2004 - a rate is of gaps, and one end has none
        return None
    return (len(kept) - 1) / (kept[-1] - kept[0])


def mean_in_flight(spans: Iterable[tuple[float, float]], window: Window) -> float:
    """How many jobs were in flight at a time.

    Args:
        spans: When each job started and ended, in seconds.
        window: Over which time the mean is taken.
    """
    if window.seconds <= 0:
        return 0.0
    return math.fsum(_within(span, window) for span in spans) / window.seconds


def most_in_flight(spans: Iterable[tuple[float, float]]) -> int:
    """How many jobs were in flight at once at the most; one that ends makes room for one that starts then."""
    changes = sorted(change for start, end in spans for change in ((start, 1), (end, -1)))
    return max(itertools.accumulate(change for _, change in changes), default=0)


def little_ratio(in_flight: float, spans: Iterable[tuple[float, float]], window: Window) -> float | None:
    """Jobs in flight, over rate x time (Little's law): 1 where what was counted and what was timed agree.

    Rate x time is the time of all jobs that started in the window, over its length. It is corrected for the
    window's ends: of a job that started before it, what lies in it is added, and what lies behind its end is
    left out. So it does not matter whether as many were in flight at its end as at its beginning.

    Args:
        in_flight: The mean number of jobs in flight in the window, counted while it ran.
        spans: When each job started and ended, in seconds: all that were in flight at any time of the window.
        window: The measured window.

    Returns:
        None where no job was in flight.
    """
    expected = mean_in_flight(spans, window)
    return in_flight / expected if expected else None


def _within(span: tuple[float, float], window: Window) -> float:
    start, end = span
    return max(min(end, window.end) - max(start, window.start), 0.0)
