"""Draws a chart: its sizes, grid, axes, gaps and marks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from markupsafe import Markup

from opus_async import text
from opus_async.reporting import figures
from opus_async.reporting.charts.axes import Axis, Gap, Scale
from opus_async.reporting.html import cut, element, together

CHARACTER = 6.8
"""Pixels of a character of a label, at most."""
_TICK = 10.0
"""Pixels between a number and its axis."""
_DESCRIPTION_CHARS = 2000


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a drawing, in pixels.

    Attributes:
        name: A class of the style sheet, which shows one of the sizes.
        width: The width of the drawing.
        height: The height of the drawing.
        left: The room for numbers beside the vertical axis, unless they are very long. It is the same for all
            charts, so that a moment lies at the same place in all.
        apart: Between labels of the horizontal axis, at least.
        told: Whether figures are shown at the pointer: a narrow page has no pointer, and no room for them.
    """

    name: str
    width: float
    height: float
    left: float
    apart: float
    told: bool


SIZES = (Size("wide", 912, 270, 58, 80, told=True), Size("narrow", 372, 230, 52, 64, told=False))
"""Each chart is drawn twice, as text that shrinks with a picture cannot be read on a telephone."""
_TOP, _BOTTOM, _RIGHT = 30.0, 42.0, 10.0


class Plot:
    """The area of a chart in one size, in which marks are drawn.

    Args:
        size: The size of the drawing.
        scale: The vertical scale.
        axis: Makes the horizontal axis from the pixels of its left and right end.

    Attributes:
        size: The size of the drawing.
        axis: The horizontal axis.
        top: The upper end of the area, in pixels from the top of the drawing.
        bottom: The lower end, where the lowest value lies.
        right: The right end.
    """

    def __init__(self, size: Size, scale: Scale, axis: Callable[[float, float], Axis]) -> None:
        self.size = size
        self.top = _TOP
        self.bottom = size.height - _BOTTOM
        self.right = size.width - _RIGHT
        self._scale = scale
        widest = max(len(text.axis(value)) for value in scale.values)
        self._left = max(size.left, widest * CHARACTER + _TICK)
        self.axis = axis(self._left, self.right)

    def y(self, value: float) -> float:
        """The pixel of a value, from the top of the drawing."""
        return self.bottom - self._scale.part(value) * (self.bottom - self.top)

    def pointed(self, left: float, right: float, told: str, *inner: Markup) -> Markup:
        """Marks whose figures are shown when the pointer is anywhere above or below them."""
        if not self.size.told:
            return together(inner)
        hit = element(
            "rect",
            class_="hit",
            x=left,
            y=self.top,
            width=max(right - left, 0.5),
            height=self.bottom - self.top,
        )
        label = element("text", told, class_="told", x=self.right, y=12)
        return element("g", hit, *inner, label, class_="bin")

    def surroundings(self) -> tuple[Markup, Markup]:
        """The grid and gaps, to be drawn before the marks, and the ticks, to be drawn after them."""
        return self._grid() + self._gaps(), self._ticks()

    def _grid(self) -> Markup:
        base, left = self._scale.values[0], self._left
        drawn: list[Markup] = []
        for value in self._scale.values:
            kind, y = "base" if value == base else "grid", self.y(value)
            drawn += (
                element("path", class_=kind, d=f"M{left:g} {y:.1f}H{self.right:g}"),
                element("text", text.axis(value), class_="tick end", x=left - _TICK + 2, y=y + 4),
            )
        return together(drawn)

    def _gaps(self) -> Markup:
        """All gaps, with the lengths of the longest that have room for a label."""
        labels: list[tuple[float, float, str]] = []
        for gap in sorted(self.axis.gaps, key=lambda gap: -gap.seconds):
            told = figures.duration(gap.seconds)
            half = (len(told) + 1) * CHARACTER / 2
            middle = min((gap.left + gap.right) / 2, self.size.width - half)
            if gap.seconds > 0 and all(abs(middle - other) >= half + apart for other, apart, _ in labels):
                labels.append((middle, half, told))
        marks = [self._gap(gap) for gap in self.axis.gaps]
        marks += [element("text", told, class_="gap", x=x, y=self.top - 6) for x, _, told in labels]
        return together(marks)

    def _gap(self, gap: Gap) -> Markup:
        told = "the clock was set back"
        if gap.seconds >= 0:
            told = f"nothing ran for {figures.duration(gap.seconds)}"
        return element(
            "rect",
            element("title", f"Between two sessions {told}"),
            class_="pause",
            x=gap.left,
            y=self.top,
            width=gap.right - gap.left,
            height=self.bottom - self.top,
        )

    def _ticks(self) -> Markup:
        drawn: list[Markup] = []
        for tick in self.axis.ticks(self.size.apart):
            half = len(tick.label) * CHARACTER / 2
            x = min(max(tick.x, half), self.size.width - half)
            drawn += (
                element("path", class_="mark", d=f"M{tick.x:.1f} {self.bottom:g}v5"),
                element("text", tick.label, class_="tick", x=x, y=self.bottom + 19),
            )
            if tick.day:
                drawn.append(element("text", tick.day, class_="day", x=x, y=self.bottom + 35))
        return together(drawn)


class Mark(Protocol):
    """A mark that can be drawn into a plot."""

    def draw(self, plot: Plot) -> Markup:
        """Draw the mark as SVG."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart with two axes.

    Attributes:
        name: A name that is unique in the page.
        title: The title.
        told: What it shows, in a sentence with figures, for screen readers.
        scale: The vertical scale.
        axis: Makes the horizontal axis from the pixels of its left and right end.
        marks: The marks, in the order in which they are drawn.
    """

    name: str
    title: str
    told: str
    scale: Scale
    axis: Callable[[float, float], Axis]
    marks: Sequence[Mark]

    def draw(self) -> Markup:
        """Draw the chart in every size, as SVG."""
        return together(self._draw(size) for size in SIZES)

    def _draw(self, size: Size) -> Markup:
        plot = Plot(size, self.scale, self.axis)
        behind, before = plot.surroundings()
        marks = [mark.draw(plot) for mark in self.marks]
        return drawing(size, size.height, (self.name, self.title, self.told), behind, *marks, before)


def drawing(size: Size, height: float, names: tuple[str, str, str], *inner: Markup) -> Markup:
    """An SVG drawing with a title and a description for screen readers.

    Args:
        size: The size of the drawing.
        height: The height of the drawing in pixels.
        names: A name that is unique in the page, the title, and the description.
        inner: What is drawn.
    """
    name, title, told = names
    name = f"{name}-{size.name}"
    return element(
        "svg",
        element("title", title, id=f"{name}-title"),
        element("desc", cut(told, _DESCRIPTION_CHARS), id=f"{name}-desc"),
        *inner,
        class_=f"chart {size.name}",
        viewBox=f"0 0 {size.width:g} {height:g}",
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
    )
