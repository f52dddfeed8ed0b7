"""Many values at a resolution that a chart can show: no peak is lost, and no rate invented."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from opus_async.reporting.charts.axes import CLOCK_STEPS, Scale, Span
from opus_async.reporting.charts.marks import Point

COLUMNS = 100
"""About how many columns one chart over time has; each span has at least one."""
BUCKETS = 75
"""Into how many parts the time is cut for a line; each shows its lowest and its highest moment."""


@dataclass(slots=True)
class Bin:
    """What happened in a part of a span.

    Attributes:
        span: Its number.
        began: Seconds since the epoch.
        ended: Seconds since the epoch.
        counts: How often, by kind.
    """

    span: int
    began: float
    ended: float
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.ended - self.began


class EventBins:
    """What happened over time, counted in bins of about the same width that do not reach beyond their span.

    A bin that a span's end cut short would show a rate that never was.
    """

    def __init__(self, spans: Sequence[Span]) -> None:
        self.width = _width(sum(span.seconds for span in spans))
        self._bins: Mapping[int, list[Bin]] = {span.number: _cut(span, self.width) for span in spans}

    def add(self, span: int, at: float, kind: str) -> None:
        """Count something; what happened outside of its span is left out."""
        bins = self._bins.get(span)
        if not bins or not bins[0].began <= at <= bins[-1].ended:
            return
        place = int((at - bins[0].began) / bins[0].seconds)
        bins[min(place, len(bins) - 1)].counts[kind] += 1

    def __iter__(self) -> Iterator[Bin]:
        for bins in self._bins.values():
            yield from bins


class Samples:
    """A value over time: the lowest and the highest of each bucket of each span, as they came."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._bucket = sum(span.seconds for span in spans) / BUCKETS
        self._began = {span.number: span.began for span in spans}
        self._found: dict[tuple[int, int], tuple[Point, Point]] = {}

    def add(self, span: int, at: float, value: float) -> None:
        """Take up a sample; those of a span come in the order of time."""
        if span not in self._began:
            return
        point = Point(at, value, span=span)
        place = span, int((at - self._began[span]) / self._bucket)
        lowest, highest = self._found.get(place, (point, point))
        self._found[place] = (point if value < lowest.y else lowest, point if value > highest.y else highest)

    @property
    def points(self) -> list[Point]:
        """Span by span, in the order of time."""
        points: list[Point] = []
        for _, extremes in sorted(self._found.items()):
            points += sorted(dict.fromkeys(extremes), key=lambda point: point.x)
        return points

    @property
    def highest(self) -> float:
        """The highest value of all; 0 without a sample."""
        return max((highest.y for _, highest in self._found.values()), default=0)


def histogram(values: Iterable[float], scale: Scale) -> list[Point]:
    """Columns of a histogram: how many values lie between two marks of a scale.

    Args:
        values: In any order; those beyond the scale are counted at its ends.
        scale: Along the bottom; linear or logarithmic.
    """
    edges = scale.values
    counts = [0] * (len(edges) - 1)
    for value in values:
        place = sum(edge <= value for edge in edges) - 1
        counts[min(max(place, 0), len(counts) - 1)] += 1
    return [Point(edges[place], count, until=edges[place + 1]) for place, count in enumerate(counts)]


def _width(active: float) -> float:
    """Seconds of a bin: the shortest round time that makes no more columns than wanted."""
    return next((step for step in CLOCK_STEPS if active / step <= COLUMNS), CLOCK_STEPS[-1])


def _cut(span: Span, width: float) -> list[Bin]:
    number = max(1, math.floor(span.seconds / width + 0.5))
    edges = [span.began + span.seconds * place / number for place in range(number + 1)]
    return [Bin(span.number, edges[place], edges[place + 1]) for place in range(number)]
