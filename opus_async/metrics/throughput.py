"""How fast jobs end, and how long the rest of them will still take."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import stdev

from opus_async.metrics.outages import RATE_WINDOW
from opus_async.metrics.samples import Sample

_MOST = 300.0
"""Seconds that the time left is judged by, at most: what was an hour ago says little of the next."""
_KEPT_APART = 0.2
"""Seconds between two moments that are kept: rates do not need each drawing."""
_STEADY = 1.15
"""How much the rates of the whole of that time and of its last third may differ to be one figure."""
_TELLING = 0.03
"""Share of the jobs that must have ended before their rate tells anything of the rest."""
_SLICES = 5
_LEAST_ENDED = 5
"""Ends below which they tell nothing of the others."""


@dataclass(frozen=True, slots=True)
class TimeLeft:
    """How long it will still take, as far as can be told.

    Attributes:
        least: Seconds.
        most: Seconds; None when nobody can say, because hardly anything has ended of late.
    """

    least: float
    most: float | None

    @property
    def steady(self) -> bool:
        """Whether it is one figure, give or take."""
        return self.most is not None and self.most <= self.least * _STEADY


@dataclass(frozen=True, slots=True)
class Throughput:
    """How fast jobs ended over some time.

    Attributes:
        rate: Jobs a second.
        low: What it is at least, as far as its ups and downs tell; 0 when they tell nothing.
        high: What it is at most.
        seconds: Over which it was taken.
    """

    rate: float
    low: float
    high: float
    seconds: float

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> Throughput | None:
        """How fast jobs ended while these samples of one session were taken; None when they tell nothing.

        The range comes from how much the rate differs between parts of that time, and from how few ends
        there were: a dozen ends tell less than a thousand.
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
        """How long so many jobs take at this rate."""
        return TimeLeft(round(rest / self.high, 1), round(rest / self.low, 1) if self.low else None)


def _rate_stderr(samples: Sequence[Sample], seconds: float) -> float:
    """The standard error of the rate, from the rates of a few parts of the time."""
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
    """How fast it goes now.

    Attributes:
        jobs: Jobs that end, per second.
        bytes: Bytes of files, per second.
        requests: Requests of the API that are answered, per second.
        throttled_share: Share of 429 among all answers, 0 to 1.
        left: Until the rest of the jobs has ended; None when that cannot be said.
    """

    jobs: float
    bytes: float
    requests: float
    throttled_share: float
    left: TimeLeft | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What was counted until some moment.

    Attributes:
        at: The moment, in seconds.
        ended: Jobs that have ended.
        sent: Bytes of files.
        answered: Requests that were answered.
        api: Of these, requests of the API.
        throttled: Of all these, answers with 429.
    """

    at: float
    ended: int
    sent: int
    answered: int
    api: int
    throttled: int


class RecentTotals:
    """Totals of the last minutes, from which rates and the time left follow.

    Args:
        first: Those at the beginning.
    """

    def __init__(self, first: Totals) -> None:
        self._first = first
        self._kept = deque([first])

    def rates(self, now: Totals, *, to_do: int, rest: int) -> Rates:
        """How fast it goes now; ``now`` is kept for later.

        Args:
            now: What is counted by now.
            to_do: Jobs there were to do at the beginning: a small share of them tells nothing of the others.
            rest: Jobs that are left; 0 where that is not known.
        """
        then = self._at(now.at - RATE_WINDOW)
        seconds = max(now.at - then.at, 1e-9)
        answered = now.answered - then.answered
        if now.at - self._kept[-1].at >= _KEPT_APART:
            self._kept.append(now)
            while now.at - self._kept[1].at >= _MOST:
                self._kept.popleft()
        return Rates(
            jobs=max(now.ended - then.ended, 0) / seconds,
            bytes=(now.sent - then.sent) / seconds,
            requests=(now.api - then.api) / seconds,
            throttled_share=(now.throttled - then.throttled) / answered if answered else 0.0,
            left=self._time_left(now, to_do, rest),
        )

    def _time_left(self, now: Totals, to_do: int, rest: int) -> TimeLeft | None:
        """From the rate over minutes, and over the last third of that time."""
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
        """The last that were kept no later than this; the first, if none were."""
        return next((kept for kept in reversed(self._kept) if kept.at <= at), self._kept[0])


def _needed(rest: int, then: Totals, now: Totals) -> float | None:
    """Seconds for so many jobs at the rate between two moments; None when none ended."""
    ended = now.ended - then.ended
    return rest * (now.at - then.at) / ended if ended > 0 else None
