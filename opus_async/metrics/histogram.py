"""A histogram of durations with log-linear buckets: little memory, any range, a bounded relative error."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_PARTS = 128
"""Buckets of each power of two. The middle of the widest is off by 1 / 256, that is 0.4 %, at most."""
_SCALE = 2 * _PARTS
"""``frexp`` gives mantissas from 0.5 to 1: so many parts of 1 are :data:`_PARTS` of that half."""
_NONE = -(1 << 20)
"""The bucket of 0, below that of every number above it."""
_PERCENT = 100.0
_RANK_PLACES = 6
"""Places of a rank that count: 99.9 % of 1,000 is the 999th value, and not the one behind it."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """The values that a histogram cannot tell apart.

    Attributes:
        low: The lowest value that it may hold.
        high: The first value above it.
        count: How many it holds.
    """

    low: float
    high: float
    count: int

    @property
    def middle(self) -> float:
        """What stands for each of its values."""
        return (self.low + self.high) / 2


class Histogram:
    """Durations, counted in buckets; what it tells of them is off by 0.4 % at most.

    Number, sum, lowest and highest value are exact. Memory follows the buckets that were hit: about 900 for
    values from 1 ms to 1 minute, whatever their number.

    Args:
        values: The first ones.

    Attributes:
        count: How many there are.
        sum: All of them together.
        min: The lowest; infinite without any.
        max: The highest; 0 without any.
    """

    __slots__ = ("_counts", "count", "max", "min", "sum")

    def __init__(self, values: Iterable[float] = ()) -> None:
        self._counts: dict[int, int] = {}
        self.count = 0
        self.sum = 0.0
        self.min = math.inf
        self.max = 0.0
        for value in values:
            self.record(value)

    def record(self, value: float) -> None:
        """Count a value.

        Args:
            value: In any unit, the same for all. Below 0 it counts as 0: two readings of a clock.

        Raises:
            ValueError: It is no number.
            OverflowError: It is infinite.
        """
        if value > 0:
            mantissa, exponent = math.frexp(value)
            bucket = exponent * _PARTS + int(mantissa * _SCALE)
            if value > self.max:  # noqa: PLR1730 - max() is a call, and three times as slow
                self.max = value
        else:
            value = 0.0 if value <= 0 else int(value)  # refuses what is no number
            bucket = _NONE
        if value < self.min:  # noqa: PLR1730 - as above
            self.min = value
        counts = self._counts
        counts[bucket] = counts.get(bucket, 0) + 1
        self.count += 1
        self.sum += value

    def merge(self, other: Histogram) -> None:
        """Add the values of another histogram, as if each had been recorded here."""
        counts = self._counts
        for bucket, number in other._counts.items():
            counts[bucket] = counts.get(bucket, 0) + number
        self.count += other.count
        self.sum += other.sum
        self.min = min(self.min, other.min)
        self.max = max(self.max, other.max)

    @property
    def mean(self) -> float | None:
        """The mean; None without values."""
        return self.sum / self.count if self.count else None

    @property
    def deviation(self) -> float | None:
        """The standard deviation; None without values."""
        if not self.count:
            return None
        mean = self.sum / self.count
        squares = math.fsum(each.count * (each.middle - mean) ** 2 for each in self.buckets())
        return math.sqrt(squares / self.count)

    def percentile(self, percent: float) -> float | None:
        """The lowest value that is not exceeded by so many of 100 values; None without values.

        Args:
            percent: From 0, which gives the lowest value, to 100, which gives the highest.
        """
        return self.percentiles([percent])[0]

    def percentiles(self, percents: Iterable[float]) -> list[float | None]:
        """Several percentiles, each as :meth:`percentile` gives it, in one pass.

        Args:
            percents: In rising order.
        """
        found: list[float | None] = []
        buckets = self.buckets()
        bucket, passed = next(buckets, None), 0
        for percent in percents:
            rank = self.rank(percent)
            while bucket is not None and passed + bucket.count < rank:
                passed += bucket.count
                bucket = next(buckets, None)
            found.append(None if bucket is None else self._shown(bucket, rank))
        return found

    def rank(self, percent: float) -> int:
        """Which value, counted from 1 at the lowest, so many of 100 values do not exceed."""
        exact = self.count * percent / _PERCENT
        return max(math.ceil(round(exact, _RANK_PLACES)), 1)

    def buckets(self) -> Iterator[Bucket]:
        """Yield the buckets that hold values, the lowest first."""
        for bucket, count in sorted(self._counts.items()):
            if bucket == _NONE:
                yield Bucket(0.0, 0.0, count)
            else:
                exponent, part = divmod(bucket - _PARTS, _PARTS)
                width = math.ldexp(1.0, exponent) / _SCALE
                yield Bucket((_PARTS + part) * width, (_PARTS + part + 1) * width, count)

    def _shown(self, bucket: Bucket, rank: int) -> float:
        if rank >= self.count:
            return self.max
        if rank == 1:
            return self.min
        return min(max(bucket.middle, self.min), self.max)
