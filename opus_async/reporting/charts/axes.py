"""Scales and axes: round numbers, logarithms, and a time axis that skips the time in which nothing ran."""

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
"""Steps of a time axis in seconds: round times of a clock."""
_GAP = 48.0
"""Pixels of a gap between spans at most, however long it was."""
_GAPS_SHARE = 0.3
"""Share of the axis that all gaps together take at most."""
_LEAST_GAP = 3.0
_FEW_DECADES = 2.0
"""Decades of a logarithmic scale up to which 2 and 5 are marked as well."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A tick of a horizontal axis.

    Attributes:
        x: Where it lies, in pixels.
        label: A number, or a time of day.
        day: The day, if the tick before is of another day; empty otherwise.
    """

    x: float
    label: str
    day: str = ""


class Scale(Protocol):
    """A mapping of values to their place along an axis."""

    @property
    def values(self) -> Sequence[float]:
        """Round values to be marked; the first and the last are the ends."""

    def part(self, value: float) -> float:
        """Where a value lies, from 0 at the first to 1 at the last."""


class Axis(Protocol):
    """A horizontal axis: pixels for values."""

    def x(self, at: float, span: int) -> float:
        """The pixel of a value in a span."""

    def ends(self, span: int) -> tuple[float, float]:
        """The pixels at which a span begins and ends."""

    def ticks(self, apart: float) -> Sequence[Tick]:
        """Ticks at round values, at least ``apart`` pixels from each other."""

    @property
    def gaps(self) -> Sequence[Gap]:
        """The gaps between spans."""


class LinearScale:
    """A linear scale from 0 in even steps to the first round number that is not below ``most``.

    Args:
        most: The highest value to be shown.
        wanted: About how many steps there should be.
        whole: Whether only whole numbers are marked.
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
        """Where a value lies, from 0 to 1."""
        return value / self.values[-1]


class LogScale:
    """A logarithmic scale between powers of ten, for values of very different size.

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
        """Where a value lies, from 0 to 1; one below the first lies at 0."""
        low, high = self.values[0], self.values[-1]
        return math.log10(max(value, low) / low) / math.log10(high / low)


class PercentileScale:
    """A scale of percentiles: each step to the right leaves out nine of ten of the values that are left.

    Args:
        most: The highest percentile to be shown, below 100.
    """

    def __init__(self, most: float) -> None:
        self.values = [0.0, 50.0]
        while self.values[-1] < most:
            place = len(self.values) - 1
            self.values.append(100.0 - 10.0 ** (2 - place))

    def part(self, value: float) -> float:
        """Where a percentile lies, from 0 to 1; one beyond the last lies at 1."""
        return min(self._nines(min(value, self.values[-1])) / self._nines(self.values[-1]), 1.0)

    @staticmethod
    def _nines(percent: float) -> float:
        return -math.log10(1 - percent / 100)


class NumberAxis:
    """A horizontal axis of numbers.

    Args:
        scale: The scale of the numbers.
        left: The pixel of the first.
        right: The pixel of the last.
        unit: The unit, which is written beside the last number.
    """

    def __init__(self, scale: Scale, left: float, right: float, unit: str = "") -> None:
        self._scale = scale
        self._unit = unit
        self.left, self.right = left, right
        self.gaps: Sequence[Gap] = ()

    def x(self, at: float, span: int = 0) -> float:  # noqa: ARG002 - it has no gaps
        """The pixel of a number."""
        return self.left + min(max(self._scale.part(at), 0.0), 1.0) * (self.right - self.left)

    def ends(self, span: int = 0) -> tuple[float, float]:  # noqa: ARG002 - one signature for both axes
        """The pixels at which the axis begins and ends."""
        return self.left, self.right

    def ticks(self, apart: float) -> list[Tick]:
        """Ticks at the numbers of the scale that have room; the last with the unit."""
        *others, last = self._scale.values
        ticks = [Tick(self.right, f"{text.axis(last)} {self._unit}".rstrip())]
        for value in reversed(others):
            if ticks[-1].x - self.x(value) >= apart:
                ticks.append(Tick(self.x(value), text.axis(value)))
        return ticks[::-1]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time without a gap, such as a session.

    Attributes:
        number: The number by which values refer to it.
        began: Seconds since the epoch.
        ended: Seconds since the epoch.
    """

    number: int
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        """Its length in seconds, at least 1, so that an empty span can be seen."""
        return max(self.ended - self.began, 1.0)


@dataclass(frozen=True, slots=True)
class Segment:
    """A span on the axis.

    Attributes:
        span: The span.
        left: The pixel at which it begins.
        right: The pixel at which it ends.
    """

    span: Span
    left: float
    right: float

    def x(self, at: float) -> float:
        """The pixel of a moment of this span."""
        part = (at - self.span.began) / self.span.seconds
        return self.left + min(max(part, 0.0), 1.0) * (self.right - self.left)


@dataclass(frozen=True, slots=True)
class Gap:
    """A gap between two spans on the axis.

    Attributes:
        left: The pixel at which it begins.
        right: The pixel at which it ends.
        seconds: Its length; negative when the clock was set back.
    """

    left: float
    right: float
    seconds: float


class TimeAxis:
    """A horizontal axis of time: spans one after another, with the gaps between them narrowed.

    Args:
        spans: The spans in the order of their numbers. Each is placed after the one before it, also when the
            clock was set back in between.
        left: The pixel at which the first begins.
        right: The pixel at which the last ends.
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
        """The pixel of a moment in a span."""
        return self.segments[span].x(at)

    def ends(self, span: int) -> tuple[float, float]:
        """The pixels at which a span begins and ends."""
        segment = self.segments[span]
        return segment.left, segment.right

    def ticks(self, apart: float) -> list[Tick]:
        """Ticks at round times of UTC, at least ``apart`` pixels from each other."""
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
        """Ticks at the ends of the first span, for spans without a round time."""
        first = next(iter(self.segments.values()))
        ticks = [Tick(first.left, text.clock(first.span.began), figures.day(first.span.began))]
        if first.right - first.left >= apart:
            ticks.append(Tick(first.right, text.clock(first.span.ended)))
        return ticks


def _round_moments(span: Span, step: float) -> list[float]:
    """The multiples of ``step`` seconds in a span."""
    first = math.ceil(span.began / step)
    return [number * step for number in range(first, math.floor(span.ended / step) + 1)]
