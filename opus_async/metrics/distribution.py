"""How a measure is distributed: its mean and what most of it stays below."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

_MEDIAN, _HIGH = 0.5, 0.95


@dataclass(frozen=True, slots=True)
class Distribution:
    """How long something took, in seconds, over those that did it.

    Attributes:
        rows: How many they are.
        mean: Of them.
        median: Half of them took no longer.
        high: 95 of 100 took no longer.
    """

    rows: int
    mean: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """Of these values, at least one."""
        ordered = sorted(values)
        return cls(
            rows=len(ordered),
            mean=math.fsum(ordered) / len(ordered),
            median=ordered[math.ceil(_MEDIAN * len(ordered)) - 1],
            high=ordered[math.ceil(_HIGH * len(ordered)) - 1],
        )
