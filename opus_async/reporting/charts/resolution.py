"""Reduces many values to what a chart can show, without losing a peak or making up a rate."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from opus_async.reporting.charts.axes import CLOCK_STEPS, Scale, Span
from opus_async.reporting.charts.marks import Point

COLUMNS = 100
"""Columns of a chart over time, about; each span has at least one."""
BUCKETS = 75
"""Parts of the time for a line; of each the lowest and the highest value are shown."""


@dataclass(slots=True)
class Bin:
    """Events in a part of a span.

    Attributes:
        span: The number of the span.
        began: Seconds since the epoch.
        ended: Seconds since the epoch.
        counts: Kind of event -> how many.
    """

    span: int
    began: float
    ended: float
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.ended - self.began


class EventBins:
    """Counts events over time, in bins of about the same width that divide each span evenly.

    A bin that the end of a span cuts short would show too low a rate.

    Args:
        spans: The spans of time.

    Attributes:
        width: About how many seconds a bin has.
    """

    def __init__(self, spans: Sequence[Span]) -> None:
        self.width = _width(sum(span.seconds for span in spans))
        self._bins: Mapping[int, list[Bin]] = {span.number: _cut(span, self.width) for span in spans}

    def add(self, span: int, at: float, kind: str, number: int = 1) -> None:
        """Count an event, or so many at once; what is outside of its span is left out."""
        self.add_all(span, (at,), kind, number)

    def add_all(self, span: int, moments: Iterable[float], kind: str, each: int = 1) -> None:
        """Count an event, or so many, at each moment; what is outside of its span is left out."""
        if bins := self._bins.get(span):
            began, ended, seconds = bins[0].began, bins[-1].ended, bins[0].seconds
            places = Counter([int((at - began) / seconds) for at in moments if began <= at <= ended])
            for place, times in places.items():
                bins[min(place, len(bins) - 1)].counts[kind] += times * each

    def __iter__(self) -> Iterator[Bin]:
        for bins in self._bins.values():
            yield from bins


class Samples:
    """Reduces a value over time to the lowest and the highest of each of :data:`BUCKETS` parts of the time.

    Args:
        spans: The spans of time.
    """

    def __init__(self, spans: Sequence[Span]) -> None:
        self._bucket = sum(span.seconds for span in spans) / BUCKETS
        self._began = {span.number: span.began for span in spans}
        self._found: dict[tuple[int, int], tuple[Point, Point]] = {}

    def add(self, span: int, at: float, value: float) -> None:
        """Add a value; those of a span have to come in the order of time."""
        if span not in self._began:
            return
        point = Point(at, value, span=span)
        place = span, int((at - self._began[span]) / self._bucket)
        lowest, highest = self._found.get(place, (point, point))
        self._found[place] = (point if value < lowest.y else lowest, point if value > highest.y else highest)

    @property
    def points(self) -> list[Point]:
        """The values that are kept, span by span in the order of time."""
        points: list[Point] = []
        for _, extremes in sorted(self._found.items()):
            points += sorted(dict.fromkeys(extremes), key=lambda point: point.x)
        return points

    @property
    def highest(self) -> float:
        """The highest value; 0 without any."""
        return max((highest.y for _, highest in self._found.values()), default=0)


def histogram(values: Iterable[float], scale: Scale) -> list[Point]:
    """Compute the columns of a histogram: how many values lie between two marks of a scale.

    Args:
        values: The values in any order; those beyond the scale are counted at its ends.
        scale: The horizontal scale, linear or logarithmic.
    """
    edges = scale.values
    counts = [0] * (len(edges) - 1)
    for value in values:
        place = sum(edge <= value for edge in edges) - 1
        counts[min(max(place, 0), len(counts) - 1)] += 1
    return [Point(edges[place], count, until=edges[place + 1]) for place, count in enumerate(counts)]


def _width(active: float) -> float:
    """Seconds of a bin: the shortest round time that makes at most :data:`COLUMNS` columns."""
    return next((step for step in CLOCK_STEPS if active / step <= COLUMNS), CLOCK_STEPS[-1])


def _cut(span: Span, width: float) -> list[Bin]:
    """Divide a span evenly into bins of about this width."""
    number = max(1, math.floor(span.seconds / width + 0.5))
    edges = [span.began + span.seconds * place / number for place in range(number + 1)]
    return [Bin(span.number, edges[place], edges[place + 1]) for place in range(number)]
