"""Axes: round numbers, and a clock that skips the hours in which nothing ran."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from opus_async import text
from opus_async.reporting import figures

_ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)
_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
CLOCK_STEPS = (
    *(1.0, 2.0, 5.0, 10.0, 15.0, 30.0),
    *(minutes * _MINUTE for minutes in (1, 2, 5, 10, 15, 30)),
    *(hours * _HOUR for hours in (1, 2, 3, 6, 12)),
    *(days * _DAY for days in (1, 2, 7, 14, 28)),
)
"""Seconds between moments that a person finds on a clock."""
_GAP = 48.0
"""The widest that a gap between spans is drawn, in pixels, however long it was."""
_GAPS_SHARE = 0.3
"""The most of the axis that all gaps together take."""
_LEAST_GAP = 3.0
_FEW_DECADES = 2.0
"""Up to so many of them a logarithmic scale has 2 and 5 of each as well."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark of an axis along the bottom.

    Attributes:
        x: Pixels.
        label: A number, or a time of the day.
        day: The day, if another begins there.
    """

    x: float
    label: str
    day: str = ""


class Scale(Protocol):
    """Values along an axis."""

    @property
    def values(self) -> Sequence[float]:
        """Round ones, to be marked; the first and the last are the ends."""

    def part(self, value: float) -> float:
        """How far along a value lies, from 0 to 1."""


class Axis(Protocol):
    """Pixels along the bottom of a chart."""

    def x(self, at: float, span: int) -> float:
        """Where a value of a span lies."""

    def ends(self, span: int) -> tuple[float, float]:
        """Where a span begins and ends."""

    def ticks(self, apart: float) -> Sequence[Tick]:
        """Round values, labels at least so many pixels apart."""

    @property
    def gaps(self) -> Sequence[Gap]:
        """Where nothing was."""


class LinearScale:
    """From 0 in even steps up to the first round number that ``most`` does not exceed.

    Args:
        most: The highest value to be shown.
        wanted: About how many steps.
        whole: Only whole numbers.
    """

    def __init__(self, most: float, *, wanted: int = 5, whole: bool = False) -> None:
        rough = most / wanted if most > 0 else 1 / wanted
        magnitude = 10.0 ** math.floor(math.log10(rough))
        step = next(magnitude * factor for factor in _ROUND if magnitude * factor >= rough * (1 - 1e-9))
        if whole:
            step = max(1.0, step) if step != 2.5 else 5.0  # noqa: PLR2004 - the only step of _ROUND with a half
        steps = max(1, math.ceil(most / step - 1e-9))
        self.values = [number * step for number in range(steps + 1)]

    def part(self, value: float) -> float:
        """How far along a value lies."""
        return value / self.values[-1]


class LogScale:
    """Powers of ten around what is shown: for values of which some are a thousand times the others.

    Args:
        least: The lowest value to be shown, above 0.
        most: The highest.
    """

    def __init__(self, least: float, most: float) -> None:
        low = math.floor(math.log10(least) + 1e-9)
        high = max(math.ceil(math.log10(most) - 1e-9), low + 1)
        between = (1.0, 2.0, 5.0) if high - low <= _FEW_DECADES else (1.0,)
        self.values = [10.0**power * factor for power in range(low, high) for factor in between]
        self.values.append(10.0**high)

    def part(self, value: float) -> float:
        """How far along a value lies; what is lower than all that is shown lies at the beginning."""
        low, high = self.values[0], self.values[-1]
        return math.log10(max(value, low) / low) / math.log10(high / low)


class NumberAxis:
    """Numbers along the bottom.

    Args:
        scale: Of them.
        left: Pixels.
        right: Pixels.
        unit: Beside the last number.
    """

    def __init__(self, scale: Scale, left: float, right: float, unit: str = "") -> None:
        self._scale = scale
        self._unit = unit
        self.left, self.right = left, right
        self.gaps: Sequence[Gap] = ()

    def x(self, at: float, span: int = 0) -> float:  # noqa: ARG002 - it has no gaps
        """Where a number lies."""
        return self.left + min(max(self._scale.part(at), 0.0), 1.0) * (self.right - self.left)

    def ends(self, span: int = 0) -> tuple[float, float]:  # noqa: ARG002 - one signature for both axes
        """Where it begins and ends."""
        return self.left, self.right

    def ticks(self, apart: float) -> list[Tick]:
        """The numbers of the scale that have room; the last of them with the unit."""
        *others, last = self._scale.values
        ticks = [Tick(self.right, f"{text.axis(last)} {self._unit}".rstrip())]
        for value in reversed(others):
            if ticks[-1].x - self.x(value) >= apart:
                ticks.append(Tick(self.x(value), text.axis(value)))
        return ticks[::-1]


@dataclass(frozen=True, slots=True)
class Span:
    """A time without a gap in it.

    Attributes:
        number: Which.
        began: Seconds since the epoch.
        ended: Seconds since the epoch.
    """

    number: int
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        """How long it is drawn: a second at the least, or a span of no time could not be seen."""
        return max(self.ended - self.began, 1.0)


@dataclass(frozen=True, slots=True)
class Segment:
    """A span on the axis; pixels from ``left`` to ``right``."""

    span: Span
    left: float
    right: float

    def x(self, at: float) -> float:
        """Where a moment of this span lies."""
        part = (at - self.span.began) / self.span.seconds
        return self.left + min(max(part, 0.0), 1.0) * (self.right - self.left)


@dataclass(frozen=True, slots=True)
class Gap:
    """What lies between two spans on the axis.

    Attributes:
        left: Pixels.
        right: Pixels.
        seconds: How long it was; negative when the clock was set back.
    """

    left: float
    right: float
    seconds: float


class TimeAxis:
    """Spans of time one after another; the gaps between them shrunk to a mark.

    Args:
        spans: In the order of their numbers. A clock that was set back in between bends nothing: each
            span is placed after the one before it.
        left: Pixels.
        right: Pixels.
    """

    def __init__(self, spans: Sequence[Span], left: float, right: float) -> None:
        pauses = [later.began - earlier.ended for earlier, later in itertools.pairwise(spans)]
        active = sum(span.seconds for span in spans)
        to_scale = (right - left) / (active + sum(max(pause, 0.0) for pause in pauses))
        most = min(_GAP, _GAPS_SHARE * (right - left) / max(len(pauses), 1))
        widths = [min(max(pause * to_scale, _LEAST_GAP), most) for pause in pauses]
        self._scale = (right - left - sum(widths)) / active
        self.gaps: list[Gap] = []
        self.segments: dict[int, Segment] = {}
        x = left
        for span, pause, width in itertools.zip_longest(spans, pauses, widths):
            end = x + span.seconds * self._scale
            self.segments[span.number] = Segment(span, x, end)
            x = end
            if width is not None:
                self.gaps.append(Gap(x, x + width, pause))
                x += width

    def x(self, at: float, span: int) -> float:
        """Where a moment of a span lies."""
        return self.segments[span].x(at)

    def ends(self, span: int) -> tuple[float, float]:
        """Where a span begins and ends."""
        segment = self.segments[span]
        return segment.left, segment.right

    def ticks(self, apart: float) -> list[Tick]:
        """Round hours, minutes or seconds of UTC, labels at least so many pixels apart."""
        step = next((step for step in CLOCK_STEPS if step * self._scale >= apart), CLOCK_STEPS[-1])
        shown = text.clock if step < _MINUTE else text.hour
        found: list[Tick] = []
        last_day = ""
        for segment in self.segments.values():
            for at in _round_moments(segment.span, step):
                x = segment.x(at)
                if found and x - found[-1].x < apart:
                    continue
                day = figures.day(at)
                found.append(Tick(x, shown(at), day if day != last_day else ""))
                last_day = day
        return found or self._beginnings(apart)

    def _beginnings(self, apart: float) -> list[Tick]:
        """Where no round moment falls into any span."""
        first = next(iter(self.segments.values()))
        ticks = [Tick(first.left, text.clock(first.span.began), figures.day(first.span.began))]
        if first.right - first.left >= apart:
            ticks.append(Tick(first.right, text.clock(first.span.ended)))
        return ticks


def _round_moments(span: Span, step: float) -> list[float]:
    first = math.ceil(span.began / step)
    return [number * step for number in range(first, math.floor(span.ended / step) + 1)]
