"""Axes: round numbers upwards, and a clock along the bottom that skips the hours in which nothing ran."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from opus_async import text as words
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
_BREAK = 48.0
"""The widest that a pause between sessions is drawn, in pixels, however long it was."""
_BREAKS_SHARE = 0.3
"""The most of the axis that all pauses together take."""
_LEAST_BREAK = 3.0


@dataclass(frozen=True, slots=True)
class SessionSpan:
    """A session on the clock.

    Attributes:
        session: Its number.
        began: Seconds since the epoch.
        ended: Likewise; the last sign of life of one that died.
    """

    session: int
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        """How long it is drawn: a second at the least, or a session of no time could not be seen."""
        return max(self.ended - self.began, 1.0)


@dataclass(frozen=True, slots=True)
class Segment:
    """A session on the axis; pixels from ``left`` to ``right``."""

    span: SessionSpan
    left: float
    right: float

    def x(self, at: float) -> float:
        """Where a moment of this session lies."""
        part = (at - self.span.began) / self.span.seconds
        return self.left + min(max(part, 0.0), 1.0) * (self.right - self.left)


@dataclass(frozen=True, slots=True)
class Gap:
    """A pause between two sessions on the axis.

    Attributes:
        left: Pixels.
        right: Pixels.
        seconds: How long it was; negative when the clock was set back.
    """

    left: float
    right: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark of the clock: where, what hour, and which day if another begins there."""

    x: float
    label: str
    day: str


class TimeAxis:
    """Sessions one after another; the pauses between them shrunk to a mark.

    Args:
        spans: In the order of their numbers. A clock that was set back in between bends nothing: each
            session is placed after the one before it.
        left: Pixels.
        right: Pixels.
    """

    def __init__(self, spans: Sequence[SessionSpan], left: float, right: float) -> None:
        pauses = [later.began - earlier.ended for earlier, later in itertools.pairwise(spans)]
        active = sum(span.seconds for span in spans)
        to_scale = (right - left) / (active + sum(max(pause, 0.0) for pause in pauses))
        most = min(_BREAK, _BREAKS_SHARE * (right - left) / max(len(pauses), 1))
        widths = [min(max(pause * to_scale, _LEAST_BREAK), most) for pause in pauses]
        self._scale = (right - left - sum(widths)) / active
        self.left, self.right = left, right
        self.breaks: list[Gap] = []
        self.stretches: list[Segment] = []
        x = left
        for span, pause, width in itertools.zip_longest(spans, pauses, widths):
            end = x + span.seconds * self._scale
            self.stretches.append(Segment(span, x, end))
            x = end
            if width is not None:
                self.breaks.append(Gap(x, x + width, pause))
                x += width

    def ticks(self, apart: float) -> list[Tick]:
        """Round hours, minutes or seconds of UTC, labels at least so many pixels apart."""
        step = next((step for step in CLOCK_STEPS if step * self._scale >= apart), CLOCK_STEPS[-1])
        shown = words.clock if step < _MINUTE else words.hour
        found: list[Tick] = []
        last_day = ""
        for stretch in self.stretches:
            for at in _round_moments(stretch.span, step):
                x = stretch.x(at)
                if found and x - found[-1].x < apart:
                    continue
                day = figures.day(at)
                found.append(Tick(x, shown(at), day if day != last_day else ""))
                last_day = day
        return found or self._beginnings(apart)

    def _beginnings(self, apart: float) -> list[Tick]:
        """Where no round moment falls into any session."""
        first = self.stretches[0]
        ticks = [Tick(first.left, words.clock(first.span.began), figures.day(first.span.began))]
        if first.right - first.left >= apart:
            ticks.append(Tick(first.right, words.clock(first.span.ended), ""))
        return ticks


def _round_moments(span: SessionSpan, step: float) -> list[float]:
    first = math.ceil(span.began / step)
    return [number * step for number in range(first, math.floor(span.ended / step) + 1)]


def scale(most: float, *, wanted: int = 5, whole: bool = False) -> list[float]:
    """Round numbers from 0 up to the first one that ``most`` does not exceed.

    Args:
        most: The highest value to be shown.
        wanted: About how many steps.
        whole: Only whole numbers.
    """
    rough = most / wanted if most > 0 else 1 / wanted
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(magnitude * factor for factor in _ROUND if magnitude * factor >= rough * (1 - 1e-9))
    if whole:
        step = max(1.0, step) if step != 2.5 else 5.0  # noqa: PLR2004 - the only step of _ROUND with a half
    steps = max(1, math.ceil(most / step - 1e-9))
    return [number * step for number in range(steps + 1)]
