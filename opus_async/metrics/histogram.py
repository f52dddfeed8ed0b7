"""A histogram of durations with log-linear buckets: little memory, any range, a bounded relative error."""

from __future__ import annotations

import itertools
import math
import operator
import struct
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_MANTISSA_BITS, _KEPT_BITS = 52, 7
_SHIFT = _MANTISSA_BITS - _KEPT_BITS
"""The bits of a positive float, without so many at their end, are the number of its bucket: its exponent, and
128 even parts of each power of two. The middle of the widest is off by 1 / 256, that is 0.4 %, at most."""
_PERCENT = 100.0
_BATCH = 256
"""New values that are sorted in at once, in a loop that is not Python's: in a third of the time."""
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
    """

    __slots__ = ("_count", "_counts", "_max", "_min", "_new", "_sum")

    def __init__(self, values: Iterable[float] = ()) -> None:
        self._counts: Counter[int] = Counter()
        self._count = 0
        self._sum = 0.0
        self._min = math.inf
        self._max = 0.0
        self._new: list[float] = []
        """Values that are in no bucket yet."""
        for value in values:
            self.record(value)

    def record(self, value: float) -> None:
        """Count a value.

        Args:
            value: In any unit, the same for all. Below 0 it counts as 0: two readings of a clock. One that is
                no number, or infinite, is a ValueError when the histogram is read.
        """
        new = self._new
        new.append(value)
        if len(new) == _BATCH:
            self._sort_in()

    def merge(self, other: Histogram) -> None:
        """Add the values of another histogram, as if each had been recorded here."""
        self._sort_in()
        other._sort_in()
        self._counts.update(other._counts)
        self._count += other._count
        self._sum += other._sum
        self._min = min(self._min, other._min)
        self._max = max(self._max, other._max)

    def copy(self) -> Histogram:
        """Another histogram of the same values."""
        twin = Histogram()
        twin.merge(self)
        return twin

    @property
    def count(self) -> int:
        """How many values there are."""
        return self._count + len(self._new)

    @property
    def sum(self) -> float:
        """All of them together."""
        self._sort_in()
        return self._sum

    @property
    def min(self) -> float:
        """The lowest; infinite without any."""
        self._sort_in()
        return self._min

    @property
    def max(self) -> float:
        """The highest; 0 without any."""
        self._sort_in()
        return self._max

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
        self._sort_in()
        for bucket, count in sorted(self._counts.items()):
            low, high = _lowest_of(bucket), _lowest_of(bucket + 1)
            yield Bucket(low, high if bucket else 0.0, count)

    def _sort_in(self) -> None:
        """Count the new values in their buckets."""
        new, self._new = self._new, []
        if not new:
            return
        if not math.isfinite(total := sum(new)):
            raise ValueError("what was recorded is no duration")
        if min(new) < 0:
            new = [max(value, 0.0) for value in new]
            total = sum(new)
        bits = memoryview(array("d", new)).cast("B").cast("q")
        self._counts.update(map(operator.rshift, bits, itertools.repeat(_SHIFT)))
        self._count += len(new)
        self._sum += total
        self._min = min(self._min, *new)
        self._max = max(self._max, *new)

    def _shown(self, bucket: Bucket, rank: int) -> float:
        if rank >= self.count:
            return self.max
        if rank == 1:
            return self.min
        return min(max(bucket.middle, self.min), self.max)


def _lowest_of(bucket: int) -> float:
    """The lowest value in a bucket."""
    found: float = struct.unpack("d", struct.pack("q", bucket << _SHIFT))[0]
    return found
