"""What every chart over time shares: its measures, its grid, its clock and the marks of its pauses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from opus_async import text as words
from opus_async.reporting import figures
from opus_async.reporting.charts.axes import Gap, Segment, SessionSpan, TimeAxis, scale
from opus_async.reporting.html import text

CHARACTER = 6.8
"""Pixels that a character of a label takes, generously."""
_TICK = 10.0
"""Pixels between a number and the axis it belongs to."""


@dataclass(frozen=True, slots=True)
class Size:
    """A drawing's measures in pixels.

    Attributes:
        name: A class of the style sheet, which shows one of the sizes.
        width: Of all of it.
        height: Likewise.
        left: Of what numbers beside an axis take, unless they are very long: the same for all charts, so
            that one moment lies at one place in all of them.
        apart: Between labels of the clock, at the least.
        told: Whether a pointer shows figures: a narrow page has no pointer, and no room for them.
    """

    name: str
    width: float
    height: float
    left: float
    apart: float
    told: bool


SIZES = (Size("wide", 912, 270, 58, 80, told=True), Size("narrow", 372, 230, 52, 64, told=False))
"""Text that shrinks with a picture cannot be read on a telephone: so each is drawn twice."""
_TOP, _BOTTOM, _RIGHT = 30.0, 42.0, 10.0


class Frame:
    """The space of a chart.

    Args:
        size: Of the drawing.
        spans: The sessions, along the clock.
        most: The highest value it has to show.
        whole: Whether values are whole numbers.

    Attributes:
        size: Of the drawing.
        stretches: Where the sessions lie, by their number.
        top: Of the space for values, in pixels from above.
        bottom: Likewise, where 0 lies.
        right: Where it ends.
    """

    def __init__(self, size: Size, spans: Sequence[SessionSpan], most: float, *, whole: bool = False) -> None:
        self.size = size
        self.top = _TOP
        self.bottom = size.height - _BOTTOM
        self.right = size.width - _RIGHT
        self._values = scale(most, whole=whole)
        widest = max(len(words.axis(value)) for value in self._values)
        self._left = max(size.left, widest * CHARACTER + _TICK)
        self._axis = TimeAxis(spans, self._left, self.right)
        self.stretches: dict[int, Segment] = {each.span.session: each for each in self._axis.stretches}

    def y(self, value: float) -> float:
        """Where a value lies, in pixels from above."""
        return self.bottom - value / self._values[-1] * (self.bottom - self.top)

    def drawing(self, name: str, title: str, told: str, inner: str) -> str:
        """The whole chart.

        Args:
            name: Unique in the page.
            title: What it shows.
            told: The same in a sentence with figures, for who cannot see it.
            inner: What is drawn into the space.
        """
        size, name = self.size, f"{name}-{self.size.name}"
        return (
            f'<svg class="chart {size.name}" viewBox="0 0 {size.width:g} {size.height:g}" role="img" '
            f'aria-labelledby="{name}-title {name}-desc">\n<title id="{name}-title">{text(title)}</title>'
            f'<desc id="{name}-desc">{text(told)}</desc>\n'
            f"{self._grid()}{self._pauses()}{inner}{self._clock()}</svg>\n"
        )

    def _grid(self) -> str:
        drawn: list[str] = []
        for value in self._values:
            kind, y = "grid" if value else "base", self.y(value)
            drawn += (
                f'<path class="{kind}" d="M{self._left:g} {y:.1f}H{self.right:g}"/>',
                f'<text class="tick end" x="{self._left - _TICK + 2:.1f}" y="{y + 4:.1f}">',
                f"{words.axis(value)}</text>\n",
            )
        return "".join(drawn)

    def _pauses(self) -> str:
        """All pauses; and how long they were, where there is room to say it: the longest first."""
        labels: list[tuple[float, float, str]] = []
        for pause in sorted(self._axis.breaks, key=lambda pause: -pause.seconds):
            told = figures.duration(pause.seconds)
            half = (len(told) + 1) * CHARACTER / 2
            middle = min((pause.left + pause.right) / 2, self.size.width - half)
            if pause.seconds > 0 and all(abs(middle - other) >= half + apart for other, apart, _ in labels):
                labels.append((middle, half, told))
        marks = [self._pause(pause) for pause in self._axis.breaks]
        marks += (
            f'<text class="gap" x="{x:.1f}" y="{self.top - 6:g}">{told}</text>\n' for x, _, told in labels
        )
        return "".join(marks)

    def _pause(self, pause: Gap) -> str:
        told = "the clock was set back"
        if pause.seconds >= 0:
            told = f"nothing ran for {figures.duration(pause.seconds)}"
        width, height = pause.right - pause.left, self.bottom - self.top
        return (
            f'<rect class="pause" x="{pause.left:.1f}" y="{self.top:g}" width="{width:.1f}" '
            f'height="{height:.1f}"><title>Between two sessions {told}</title></rect>\n'
        )

    def _clock(self) -> str:
        drawn: list[str] = []
        for tick in self._axis.ticks(self.size.apart):
            half = len(tick.label) * CHARACTER / 2
            x = min(max(tick.x, half), self.size.width - half)
            drawn += (
                f'<path class="mark" d="M{tick.x:.1f} {self.bottom:g}v5"/>',
                f'<text class="tick" x="{x:.1f}" y="{self.bottom + 19:g}">{tick.label}</text>',
            )
            if tick.day:
                drawn.append(f'<text class="day" x="{x:.1f}" y="{self.bottom + 35:g}">{tick.day}</text>\n')
        return "".join(drawn)
