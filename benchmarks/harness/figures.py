"""A figure of a benchmark, as tables and JSON show it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One quantity.

    Attributes:
        benchmark: The benchmark that gives it.
        name: What was measured, under which conditions; the same from run to run.
        unit: ``ratio`` where two sides took turns, else what the values are in.
        values: One for each round.
        detail: The absolute figures behind a ratio, and how busy the server was.
    """

    benchmark: str
    name: str
    unit: str
    values: Sequence[float]
    detail: str = ""

    @property
    def median(self) -> float:
        """The middle of the rounds."""
        return statistics.median(self.values)

    def plain(self) -> dict[str, Any]:
        """As JSON takes it, with the median."""
        return asdict(self) | {"median": self.median}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What was asked for.

    Attributes:
        rounds: How often the sides take turns.
        long_rounds: The same for what takes a minute each time.
        smallest: Whether figures are to be there whatever they are: for tests.
        instructions: Whether instructions are counted, too.
        only: What the name of a condition has to contain.
    """

    rounds: int
    long_rounds: int
    smallest: bool = False
    instructions: bool = False
    only: str = ""

    def wants(self, condition: str) -> bool:
        """Whether this condition was asked for."""
        return self.only in condition

    def size(self, full: int, smallest: int) -> int:
        """How much of something to do."""
        return smallest if self.smallest else full


def quantile(values: Sequence[float], share: float) -> float:
    """The value that this share of all stays under; NaN of none."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else float("nan")
