"""The distribution of durations: mean, median and 95th percentile."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

_MEDIAN, _HIGH = 0.5, 0.95


@dataclass(frozen=True, slots=True)
class Distribution:
    """The distribution of a duration over rows, in seconds.

    Attributes:
        rows: How many rows.
        mean: The mean.
        median: The median: half of the rows took no longer.
        high: The 95th percentile: 95 of 100 rows took no longer.
    """

    rows: int
    mean: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """Compute the distribution of values, at least one."""
        ordered = sorted(values)
        return cls(
            rows=len(ordered),
            mean=math.fsum(ordered) / len(ordered),
            median=ordered[math.ceil(_MEDIAN * len(ordered)) - 1],
            high=ordered[math.ceil(_HIGH * len(ordered)) - 1],
        )
