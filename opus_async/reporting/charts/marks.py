"""What is drawn into a chart: lines, areas, stacked columns, and what a pointer reads off."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from opus_async.reporting.charts.plot import Plot
from opus_async.reporting.html import element, together

_COLUMNS_APART = 1.0
"""Pixels between columns that are wide enough to spare one."""
_NARROW = 3.0


@dataclass(frozen=True, slots=True)
class Point:
    """A value at one place of the axis along the bottom.

    Attributes:
        x: Where; of a column, where it begins.
        y: The value.
        until: Where a column ends.
        span: The span of a time axis that it lies in.
    """

    x: float
    y: float
    until: float | None = None
    span: int = 0


@dataclass(frozen=True, slots=True)
class Series:
    """Values of one kind.

    Attributes:
        name: In a legend.
        kind: A class of the style sheet: its colour.
        points: From left to right.
    """

    name: str
    kind: str
    points: Sequence[Point]

    @property
    def highest(self) -> float:
        """The highest value; 0 without any."""
        return max((point.y for point in self.points), default=0)

    def runs(self) -> Iterator[list[Point]]:
        """Its points, span by span: nothing is drawn across a gap."""
        for _, points in itertools.groupby(self.points, key=lambda point: point.span):
            yield list(points)


@dataclass(frozen=True, slots=True)
class Line:
    """A line through the points of a series."""

    series: Series

    def draw(self, plot: Plot) -> Markup:
        """It, as SVG."""
        return together(
            element("path", class_=f"line {self.series.kind}", d=f"M{_outline(plot, points)}")
            for points in self.series.runs()
        )


@dataclass(frozen=True, slots=True)
class Area:
    """A line, and what is below it filled."""

    series: Series

    def draw(self, plot: Plot) -> Markup:
        """It, as SVG."""
        return together(self._fill(plot, points) for points in self.series.runs()) + Line(self.series).draw(
            plot
        )

    def _fill(self, plot: Plot, points: Sequence[Point]) -> Markup:
        left, right = _x(plot, points[0]), _x(plot, points[-1])
        outline = f"M{left:.1f} {plot.bottom:g}L{_outline(plot, points)}L{right:.1f} {plot.bottom:g}Z"
        return element("path", class_=f"area {self.series.kind}", d=outline)


@dataclass(frozen=True, slots=True)
class StackedColumns:
    """Columns over equal parts of the axis; of several series, each stands on the one before it.

    Attributes:
        series: The lowest first. Their points have an end, and are as many in each.
        told: What a pointer reads at each column.
    """

    series: Sequence[Series]
    told: Sequence[str]

    def draw(self, plot: Plot) -> Markup:
        """They, as SVG."""
        columns = zip(*(each.points for each in self.series), strict=True)
        return together(
            self._column(plot, column, told) for column, told in zip(columns, self.told, strict=True)
        )

    def _column(self, plot: Plot, parts: Sequence[Point], told: str) -> Markup:
        first = parts[0]
        left, right = (
            _x(plot, first),
            plot.axis.x(first.x if first.until is None else first.until, first.span),
        )
        width = max(right - left - (_COLUMNS_APART if right - left > _NARROW else 0.0), 0.5)
        edges = [plot.y(height) for height in itertools.accumulate((part.y for part in parts), initial=0.0)]
        boxes = [
            element("rect", class_=each.kind, x=left, y=top, width=width, height=bottom - top)
            for each, (bottom, top) in zip(self.series, itertools.pairwise(edges), strict=True)
            if bottom > top
        ]
        return plot.pointed(left, right, told, *boxes)


@dataclass(frozen=True, slots=True)
class Readings:
    """What a pointer reads off at each point of a series, half the way to the points beside it.

    Attributes:
        series: At whose points.
        told: At each of them.
    """

    series: Series
    told: Sequence[str]

    def draw(self, plot: Plot) -> Markup:
        """They, as SVG; nothing where no pointer is expected."""
        if not plot.size.told:
            return Markup()
        told = iter(self.told)
        drawn: list[Markup] = []
        for points in self.series.runs():
            at = [_x(plot, point) for point in points]
            begin, end = plot.axis.ends(points[0].span)
            edges = [begin, *((left + right) / 2 for left, right in itertools.pairwise(at)), end]
            drawn += (plot.pointed(left, right, next(told)) for left, right in itertools.pairwise(edges))
        return together(drawn)


def _x(plot: Plot, point: Point) -> float:
    return plot.axis.x(point.x, point.span)


def _outline(plot: Plot, points: Sequence[Point]) -> str:
    """A lone point gets an end of its own: a path of one point is not drawn."""
    drawn = [f"{_x(plot, point):.1f} {plot.y(point.y):.1f}" for point in points]
    return "L".join(drawn) if len(drawn) > 1 else f"{drawn[0]}h2"
