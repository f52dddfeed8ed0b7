"""Bars as SVG: a stacked bar of a whole, a share as a short bar, and durations with whiskers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from opus_async import text
from opus_async.reporting.charts.axes import LinearScale, NumberAxis
from opus_async.reporting.charts.plot import CHARACTER, SIZES, Size, drawing
from opus_async.reporting.html import element, together

_LEAST_PART = 0.9
"""Percent of the bar that a part takes at least, so that one of 100,000 can be seen."""
_LINE, _BAR, _TOP, _BOTTOM = 34.0, 14.0, 6.0, 34.0
_NAME_CHARS = 18
_HOUR, _MINUTE = 3600.0, 60.0
_LONG = 3.0
"""How many minutes, or hours, the longest bar has to have for the axis to be in that unit."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a whole.

    Attributes:
        name: The name of the part.
        kind: A class of the style sheet.
        count: How many of the whole it is.
    """

    name: str
    kind: str
    count: int


@dataclass(frozen=True, slots=True)
class Bar:
    """A duration, and a higher one for its whisker.

    Attributes:
        name: What takes so long.
        seconds: The length of the bar.
        high: The end of its whisker, in seconds.
        told: The same in words.
    """

    name: str
    seconds: float
    high: float
    told: str


def stacked_bar(name: str, told: str, parts: Sequence[Part]) -> Markup:
    """Draw a bar for a whole, divided into its parts.

    Args:
        name: A name that is unique in the page.
        told: What it shows, for screen readers.
        parts: The parts from left to right; at least one has a count.
    """
    there = [part for part in parts if part.count]
    total = sum(part.count for part in there)
    percents = [max(100 * part.count / total, _LEAST_PART) for part in there]
    drawn: list[Markup] = []
    left = 0.0
    for part, percent in zip(there, percents, strict=True):
        width = 100 * percent / sum(percents)
        at = f"{left:.3f}%" if left else "0"
        drawn.append(element("rect", class_=part.kind, x=at, y=0, width=f"{width:.3f}%", height=20))
        if left:
            drawn.append(element("rect", class_="edge", x=at, y=0, width=1, height=20))
        left += width
    return element(
        "svg",
        element("title", told, id=f"{name}-title"),
        *drawn,
        class_="division",
        role="img",
        aria_labelledby=f"{name}-title",
        height=20,
    )


def meter(share: float, kind: str, ground: str) -> Markup:
    """Draw a share from 0 to 1 as a short bar in a sentence; both kinds are classes of the style sheet."""
    return element(
        "svg",
        element("rect", class_=ground, width="100%", height=8),
        element("rect", class_=kind, width=f"{100 * share:.2f}%", height=8),
        class_="meter",
        aria_hidden="true",
    )


def times(name: str, title: str, bars: Sequence[Bar]) -> Markup:
    """Draw durations as bars with whiskers, below each other.

    Args:
        name: A name that is unique in the page.
        title: The title of the chart.
        bars: The bars from top to bottom; at least one.
    """
    return together(_times(size, (name, title, "; ".join(bar.told for bar in bars)), bars) for size in SIZES)


def _times(size: Size, names: tuple[str, str, str], bars: Sequence[Bar]) -> Markup:
    most = max(max(bar.seconds, bar.high) for bar in bars)
    unit, seconds = _unit(most)
    scale = LinearScale(most / seconds)
    left = min(max(len(bar.name) for bar in bars), _NAME_CHARS) * CHARACTER + 14
    axis = NumberAxis(scale, left, size.width - 10)
    bottom = _TOP + _LINE * len(bars)
    grid: list[Markup] = []
    for value in scale.values:
        x, is_last = axis.x(value), value == scale.values[-1]
        grid += (
            element("path", class_="grid" if value else "base", d=f"M{x:.1f} {_TOP:g}V{bottom:g}"),
            element(
                "text",
                f"{text.axis(value)} {unit}" if is_last else text.axis(value),
                class_="tick end" if is_last else "tick",
                x=x + 8 if is_last else x,
                y=bottom + 19,
            ),
        )
    drawn = [
        _bar(bar, (left, axis.x(bar.seconds / seconds), axis.x(bar.high / seconds)), _TOP + _LINE * place)
        for place, bar in enumerate(bars)
    ]
    return drawing(size, bottom + _BOTTOM, names, *grid, *drawn)


def _bar(bar: Bar, at: tuple[float, float, float], top: float) -> Markup:
    left, end, high = at
    middle = top + _LINE / 2
    name = bar.name if len(bar.name) <= _NAME_CHARS else f"{bar.name[: _NAME_CHARS - 1]}…"
    return together(
        (
            element("text", name, class_="name end", x=left - 8, y=middle + 4),
            element(
                "rect",
                element("title", bar.told),
                class_="mean",
                x=left,
                y=middle - _BAR / 2,
                width=max(end - left, 1.0),
                height=_BAR,
            ),
            element("path", class_="whisker", d=f"M{min(end, high):.1f} {middle:g}H{high:.1f}m0 -5v10"),
        )
    )


def _unit(most: float) -> tuple[str, float]:
    """The unit for durations up to ``most`` seconds, and its length in seconds."""
    if most >= _LONG * _HOUR:
        return "h", _HOUR
    return ("min", _MINUTE) if most >= _LONG * _MINUTE else ("s", 1.0)
