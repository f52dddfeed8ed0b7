"""Computes how fast jobs end, and how long the rest will take."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import stdev

from opus_async.metrics.recent import RATE_WINDOW
from opus_async.metrics.samples import Sample

_MOST = 300.0
"""Seconds of the past from which the time left is computed, at most."""
_KEPT_APART = 0.2
"""Seconds between two totals that are kept."""
_STEADY = 1.15
"""Factor by which the longest and the shortest time left may differ to be shown as one figure."""
_TELLING = 0.03
"""Share of the jobs that must have ended before the time left is computed."""
_LEAST_QUIET = 3.0
"""Seconds without an end that are nothing to speak of."""
_UNUSUAL = 1.5
"""Factor over the longest time between two ends of late, beyond which one is unusual."""
_GAP_FADES = 0.98
"""What is left of that longest time with each end."""
_SLICES = 5
"""Parts of the time whose rates are compared, for the standard error."""
_LEAST_ENDED = 5
"""Jobs that must have ended for a throughput."""
_LEAST_COUNTED = 10
"""Jobs that must have ended in :data:`~.recent.RATE_WINDOW` for a current rate, which is else that of a
longer time: of jobs that take minutes few end in some seconds, and often none."""


@dataclass(frozen=True, slots=True)
class TimeLeft:
    """How long the rest of the jobs will take, as a range.

    Attributes:
        least: Seconds, at least.
        most: Seconds, at most; None when that is not known, as hardly any job has ended of late.
    """

    least: float
    most: float | None

    def or_longer(self, other: TimeLeft) -> TimeLeft:
        """The later of both ends of two ranges."""
        known = [most for most in (self.most, other.most) if most is not None]
        return TimeLeft(max(self.least, other.least), max(known) if len(known) > 1 else None)

    @property
    def steady(self) -> bool:
        """Whether the range is narrow enough to be shown as one figure."""
        return self.most is not None and self.most <= self.least * _STEADY


@dataclass(frozen=True, slots=True)
class Throughput:
    """How fast jobs ended over some time.

    Attributes:
        rate: Jobs per second.
        low: The lower bound of the rate, as far as its variation shows; 0 when it shows nothing.
        high: The upper bound of the rate.
        seconds: The time over which the rate was measured.
    """

    rate: float
    low: float
    high: float
    seconds: float

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> Throughput | None:
        """Compute the throughput while samples of one session were taken; None when too few jobs ended.

        The bounds are two standard errors away: the larger of that between parts of the time, and of that of
        a count, one over the square root of the jobs that ended.
        """
        if len(samples) < 2:  # noqa: PLR2004 - a beginning and an end
            return None
        seconds = samples[-1].elapsed - samples[0].elapsed
        ended = samples[-1].ended - samples[0].ended
        if seconds <= 0 or ended < _LEAST_ENDED:
            return None
        rate = ended / seconds
        unsure = 2 * max(1 / math.sqrt(ended), _rate_stderr(samples, seconds) / rate)
        return cls(rate, max(rate * (1 - unsure), 0.0), rate * (1 + unsure), seconds)

    def time_left(self, rest: int) -> TimeLeft:
        """How long a number of jobs takes at this rate."""
        return TimeLeft(round(rest / self.high, 1), round(rest / self.low, 1) if self.low else None)


def _rate_stderr(samples: Sequence[Sample], seconds: float) -> float:
    """The standard error of the rate, from the rates of :data:`_SLICES` parts of the time."""
    bounds = [samples[0]]
    for sample in samples[1:]:
        if sample.elapsed - bounds[-1].elapsed >= seconds / _SLICES:
            bounds.append(sample)
    rates = [
        (after.ended - before.ended) / (after.elapsed - before.elapsed) for before, after in pairwise(bounds)
    ]
    return stdev(rates) / math.sqrt(len(rates)) if len(rates) > 1 else 0.0


@dataclass(frozen=True, slots=True)
class Rates:
    """Current rates.

    Attributes:
        jobs: Jobs that end, per second; over a longer time where few do.
        bytes: Bytes of files, per second.
        requests: API requests that are answered, per second.
        throttled_share: Share of 429 among all answers, 0 to 1.
        left: How long the rest of the jobs takes; None when that is not known.
        quiet: Seconds since the last job ended, where that is longer than was usual and some are left: no
            pace of before holds then, nor does ``left``. 0 otherwise.
    """

    jobs: float
    bytes: float
    requests: float
    throttled_share: float
    left: TimeLeft | None
    quiet: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Totals at one moment.

    Attributes:
        at: The moment, in seconds of the clock of the progress.
        ended: Jobs that have ended.
        sent: Bytes of files that were sent.
        answered: Requests that were answered.
        api: Of these, requests to the API.
        throttled: Of all answers, those with 429.
    """

    at: float
    ended: int
    sent: int
    answered: int
    api: int
    throttled: int


class RecentTotals:
    """Keeps the totals of the last minutes, and computes rates and the time left from them.

    Args:
        first: The totals at the beginning.
    """

    def __init__(self, first: Totals) -> None:
        self._first = first
        self._kept = deque([first])
        self._last_end: float | None = None
        self._ended = first.ended
        self._longest_gap = 0.0

    def rates(self, now: Totals, *, to_do: int, rest: int) -> Rates:
        """Compute the current rates; ``now`` is kept for later calls.

        Args:
            now: The totals now.
            to_do: Jobs that were left at the beginning; without a share of them there is no time left.
            rest: Jobs that are left now; 0 where that is not known.
        """
        quiet = self._quiet(now, rest)
        then = self._at(now.at - RATE_WINDOW)
        seconds = max(now.at - then.at, 1e-9)
        answered = now.answered - then.answered
        if now.at - self._kept[-1].at >= _KEPT_APART:
            self._kept.append(now)
            while now.at - self._kept[1].at >= _MOST:
                self._kept.popleft()
        return Rates(
            jobs=self._pace(now, then),
            bytes=(now.sent - then.sent) / seconds,
            requests=(now.api - then.api) / seconds,
            throttled_share=(now.throttled - then.throttled) / answered if answered else 0.0,
            left=self._time_left(now, to_do, rest),
            quiet=quiet,
        )

    def _pace(self, now: Totals, then: Totals) -> float:
        """Jobs a second, over the shortest time of which that can be told."""
        if now.ended - then.ended < _LEAST_COUNTED:
            enough = (kept for kept in reversed(self._kept) if now.ended - kept.ended >= _LEAST_COUNTED)
            then = min(then, next(enough, self._kept[0]), key=lambda totals: totals.at)
        return max(now.ended - then.ended, 0) / max(now.at - then.at, 1e-9)

    def _quiet(self, now: Totals, rest: int) -> float:
        """Seconds since the last job ended, where that is unusual; 0 otherwise."""
        if now.ended > self._ended:
            if self._last_end is not None:
                self._longest_gap = max(_GAP_FADES * self._longest_gap, now.at - self._last_end)
            self._last_end, self._ended = now.at, now.ended
        if self._last_end is None or rest <= 0:
            return 0.0
        seconds = now.at - self._last_end
        return seconds if seconds > max(_LEAST_QUIET, _UNUSUAL * self._longest_gap) else 0.0

    def _time_left(self, now: Totals, to_do: int, rest: int) -> TimeLeft | None:
        """Compute the time left from the rate over the last minutes, and from that over their last third."""
        ended = now.ended - self._first.ended
        if rest <= 0 or ended < 1 or ended < to_do * _TELLING:
            return None
        long = self._at(now.at - _MOST)
        short = self._at(now.at - (now.at - long.at) / 3)
        known = [time for then in (long, short) if (time := _needed(rest, then, now)) is not None]
        if not known:
            return None
        return TimeLeft(min(known), max(known) if len(known) > 1 else None)

    def _at(self, at: float) -> Totals:
        """The last totals that were kept at or before a moment; the first, if there are none."""
        return next((kept for kept in reversed(self._kept) if kept.at <= at), self._kept[0])


def _needed(rest: int, then: Totals, now: Totals) -> float | None:
    """Seconds that jobs take at the rate between two moments; None when none ended in between."""
    ended = now.ended - then.ended
    return rest * (now.at - then.at) / ended if ended > 0 else None
