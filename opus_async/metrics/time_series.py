"""Counts over time, in intervals of fixed length: what happened in each, and how many are under way."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval of time.

    Attributes:
        begin: Seconds from the beginning of the series.
        seconds: Its length.
        counts: Name -> how many in it; a name that is missing has none.
    """

    begin: float
    seconds: float
    counts: Mapping[str, int]

    def rate(self, name: str) -> float:
        """How many a second."""
        return self.counts.get(name, 0) / self.seconds


class TimeSeries:
    """Counts things by name in intervals of fixed length. Memory follows the intervals in which any happened.

    Args:
        interval: Seconds of an interval.
    """

    def __init__(self, interval: float = 1.0) -> None:
        self.interval = interval
        self._intervals: dict[int, dict[str, int]] = {}

    def add(self, name: str, at: float, number: int = 1) -> None:
        """Count something.

        Args:
            name: What it is.
            at: When, in seconds from the beginning; before it counts as at it.
            number: How many.
        """
        place = max(math.floor(at / self.interval), 0)
        counts = self._intervals.get(place)
        if counts is None:
            counts = self._intervals[place] = {}
        counts[name] = counts.get(name, 0) + number

    def total(self, name: str) -> int:
        """How many in all."""
        return sum(counts.get(name, 0) for counts in self._intervals.values())

    def intervals(self) -> Iterator[Interval]:
        """Yield the intervals from the beginning to the last in which anything happened, empty ones too."""
        for place in range(max(self._intervals, default=-1) + 1):
            yield Interval(place * self.interval, self.interval, self._intervals.get(place, {}))

    def levels(self, entered: str, left: Iterable[str]) -> list[tuple[float, int]]:
        """How many are under way: the end of each interval, and how many had entered by then and not left.

        Args:
            entered: The name of what begins.
            left: The names of all ways to end.
        """
        ways = tuple(left)
        level, found = 0, []
        for each in self.intervals():
            level += each.counts.get(entered, 0) - sum(each.counts.get(way, 0) for way in ways)
            found.append((each.begin + each.seconds, level))
        return found
