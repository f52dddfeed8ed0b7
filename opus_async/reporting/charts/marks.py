"""Marks of a chart: lines, areas, stacked columns, and figures shown at the pointer."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from opus_async.reporting.charts.plot import Plot
from opus_async.reporting.html import element, together

_COLUMNS_APART = 1.0
"""Pixels between columns that are wider than :data:`_NARROW`."""
_NARROW = 3.0
_DOT = 5.0
"""Pixels of the radius of a dot."""


@dataclass(frozen=True, slots=True)
class Point:
    """A value at a place of the horizontal axis.

    Attributes:
        x: The place; for a column, where it begins.
        y: The value.
        until: Where a column ends; None for a point without width.
        span: The number of the span of a time axis in which it lies.
    """

    x: float
    y: float
    until: float | None = None
    span: int = 0


@dataclass(frozen=True, slots=True)
class Series:
    """Values of one kind.

    Attributes:
        name: The name in a legend.
        kind: A class of the style sheet, which gives the colour.
        points: The points from left to right.
    """

    name: str
    kind: str
    points: Sequence[Point]

    @property
    def highest(self) -> float:
        """The highest value; 0 without points."""
        return max((point.y for point in self.points), default=0)

    def runs(self) -> Iterator[list[Point]]:
        """Yield its points span by span: nothing is drawn across a gap."""
        for _, points in itertools.groupby(self.points, key=lambda point: point.span):
            yield list(points)


@dataclass(frozen=True, slots=True)
class Line:
    """A line through the points of a series."""

    series: Series

    def draw(self, plot: Plot) -> Markup:
        """Draw the mark as SVG."""
        return together(
            element("path", class_=f"line {self.series.kind}", d=f"M{_outline(plot, points)}")
            for points in self.series.runs()
        )


@dataclass(frozen=True, slots=True)
class Area:
    """A line with the area below it filled."""

    series: Series

    def draw(self, plot: Plot) -> Markup:
        """Draw the mark as SVG."""
        return together(self._fill(plot, points) for points in self.series.runs()) + Line(self.series).draw(
            plot
        )

    def _fill(self, plot: Plot, points: Sequence[Point]) -> Markup:
        left, right = _x(plot, points[0]), _x(plot, points[-1])
        outline = f"M{left:.1f} {plot.bottom:g}L{_outline(plot, points)}L{right:.1f} {plot.bottom:g}Z"
        return element("path", class_=f"area {self.series.kind}", d=outline)


@dataclass(frozen=True, slots=True)
class Dots:
    """A dot for each point of a series.

    Attributes:
        series: The series.
        told: What each of its points is, shown by the browser when the pointer rests on it.
    """

    series: Series
    told: Sequence[str]

    def draw(self, plot: Plot) -> Markup:
        """Draw the dots as SVG."""
        return together(
            element(
                "circle",
                element("title", told),
                class_=f"dot {self.series.kind}",
                cx=_x(plot, point),
                cy=plot.y(point.y),
                r=_DOT,
            )
            for point, told in zip(self.series.points, self.told, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the axis that is to be read differently; drawn before the marks that lie in it.

    Attributes:
        left: Where it begins.
        right: Where it ends.
        kind: A class of the style sheet.
        told: What it is.
        span: The number of the span of a time axis in which it lies.
    """

    left: float
    right: float
    kind: str
    told: str
    span: int = 0

    def draw(self, plot: Plot) -> Markup:
        """Draw the region as SVG."""
        left, right = plot.axis.x(self.left, self.span), plot.axis.x(self.right, self.span)
        return element(
            "rect",
            element("title", self.told),
            class_=self.kind,
            x=left,
            y=plot.top,
            width=max(right - left, 0.0),
            height=plot.bottom - plot.top,
        )


@dataclass(frozen=True, slots=True)
class StackedColumns:
    """Columns over parts of the axis; of several series, each is stacked on the one before it.

    Attributes:
        series: The series, the lowest first. Each has as many points, and these have an end.
        told: The text at the pointer for each column.
    """

    series: Sequence[Series]
    told: Sequence[str]

    def draw(self, plot: Plot) -> Markup:
        """Draw the columns as SVG."""
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
    """Texts at the pointer for the points of a line, each reaching half the way to the next point.

    Attributes:
        series: The series of the line.
        told: The text for each of its points.
    """

    series: Series
    told: Sequence[str]

    def draw(self, plot: Plot) -> Markup:
        """Draw the texts as SVG; nothing in a size without a pointer."""
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
    """The path through points; a lone one gets a short line, as a path of one point is not drawn."""
    drawn = [f"{_x(plot, point):.1f} {plot.y(point.y):.1f}" for point in points]
    return "L".join(drawn) if len(drawn) > 1 else f"{drawn[0]}h2"
