"""Charts over time, as SVG: columns for rows that ended, lines for rows under way.

A pointer shows the figures behind a column or a moment, without a script.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from opus_async import text as words
from opus_async.reporting import figures
from opus_async.reporting.charts.axes import Segment, SessionSpan
from opus_async.reporting.charts.frame import SIZES, Frame
from opus_async.reporting.charts.time_series import Column, Lines, Point
from opus_async.reporting.html import text

_MINUTE, _HOUR = 60.0, 3600.0
_LONG, _MIDDLING = 2 * _HOUR, 2 * _MINUTE
_GAP = 1.0
"""Pixels between columns that are wide enough to spare one."""
_NARROW = 3.0


@dataclass(frozen=True, slots=True)
class Unit:
    """Of a rate: rows per so many seconds."""

    name: str
    seconds: float

    def of(self, count: float, column: Column) -> float:
        """So many rows of a column, as a rate."""
        return count / column.seconds * self.seconds


def unit_for(active: float) -> Unit:
    """The unit that suits a batch that worked so many seconds."""
    if active >= _LONG:
        return Unit("hour", _HOUR)
    return Unit("minute", _MINUTE) if active >= _MIDDLING else Unit("second", 1.0)


def throughput(spans: Sequence[SessionSpan], columns: Sequence[Column]) -> str:
    """Rows that ended, as a rate over time; those that completed below, the others on top of them."""
    unit = unit_for(sum(span.seconds for span in spans))
    fastest = max(columns, key=lambda column: unit.of(column.total, column))
    most = unit.of(fastest.total, fastest)
    told = (
        f"Rows that ended per {unit.name}, {_period(spans)}. The most was {words.figure(most)} per "
        f"{unit.name}, at {words.moment(fastest.began)}."
    )
    drawn: list[str] = []
    for size in SIZES:
        frame = Frame(size, spans, most)
        bars = "".join(_column(frame, column, unit) for column in columns)
        drawn.append(frame.drawing("throughput", "Throughput over time", told, bars))
    return "".join(drawn)


def in_flight_chart(spans: Sequence[SessionSpan], in_flight: Lines, waiting: Lines) -> str:
    """Rows in flight over time, and above them those that wait for a person, where there are any."""
    working, parked = in_flight.highest, waiting.highest
    told = (
        f"Rows in flight, {_period(spans)}. The most at once was {words.count(working)}, and "
        f"{words.count(parked)} waited for a person at the same time at the most."
    )
    drawn: list[str] = []
    for size in SIZES:
        frame = Frame(size, spans, max(working, parked), whole=True)
        inner: list[str] = []
        for session, stretch in frame.stretches.items():
            inner.append(_area(frame, stretch, in_flight[session]))
            if parked:
                inner.append(_line(frame, stretch, waiting[session], "waiting"))
            inner.append(_moments(frame, stretch, in_flight[session], waiting[session]))
        drawn.append(frame.drawing("standing", "Rows in flight over time", told, "".join(inner)))
    return "".join(drawn)


def _period(spans: Sequence[SessionSpan]) -> str:
    return f"from {words.moment(spans[0].began)} to {words.moment(spans[-1].ended)} UTC"


def _column(frame: Frame, column: Column, unit: Unit) -> str:
    stretch = frame.stretches[column.session]
    left, right = stretch.x(column.began), stretch.x(column.ended)
    width = max(right - left - (_GAP if right - left > _NARROW else 0.0), 0.5)
    joint, top = frame.y(unit.of(column.completed, column)), frame.y(unit.of(column.total, column))
    told = (
        f"{figures.day(column.began)} {words.clock(column.began)} to {words.clock(column.ended)} UTC: "
        f"{words.count(column.completed)} completed, {words.count(column.not_completed)} did not; "
        f"{words.figure(unit.of(column.total, column))} per {unit.name}"
    )
    return _pointed(
        frame,
        (left, right),
        told,
        _box("completed", left, joint, width, frame.bottom) + _box("failed", left, top, width, joint),
    )


def _box(kind: str, left: float, top: float, width: float, bottom: float) -> str:
    if bottom - top <= 0:
        return ""
    return (
        f'<rect class="{kind}" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{bottom - top:.1f}"/>'
    )


def _area(frame: Frame, stretch: Segment, points: Sequence[Point]) -> str:
    if not points:
        return ""
    left, right = stretch.x(points[0].at), stretch.x(points[-1].at)
    outline = _outline(frame, stretch, points)
    return (
        f'<path class="area" d="M{left:.1f} {frame.bottom:g}L{outline}L{right:.1f} {frame.bottom:g}Z"/>'
        f'<path class="line in-flight" d="M{outline}"/>\n'
    )


def _line(frame: Frame, stretch: Segment, points: Sequence[Point], kind: str) -> str:
    return f'<path class="line {kind}" d="M{_outline(frame, stretch, points)}"/>\n' if points else ""


def _outline(frame: Frame, stretch: Segment, points: Sequence[Point]) -> str:
    """A lone point gets an end of its own: a path of one point is not drawn."""
    drawn = [f"{stretch.x(point.at):.1f} {frame.y(point.value):.1f}" for point in points]
    return "L".join(drawn) if len(drawn) > 1 else f"{drawn[0]}h2"


def _moments(frame: Frame, stretch: Segment, points: Sequence[Point], parked: Sequence[Point]) -> str:
    """What a pointer finds: each point, half the way to its neighbours."""
    if not frame.size.told:
        return ""
    at = [stretch.x(point.at) for point in points]
    edges = [
        stretch.left,
        *((left + right) / 2 for left, right in itertools.pairwise(at)),
        stretch.right,
    ]
    waiting = {point.at: point.value for point in parked}
    drawn: list[str] = []
    for place, point in enumerate(points):
        told = f"{figures.day(point.at)} {words.clock(point.at)} UTC: {words.count(point.value)} in flight"
        if waiting.get(point.at):
            told += f", {words.count(waiting[point.at])} waiting for a person"
        drawn.append(_pointed(frame, (edges[place], edges[place + 1]), told, ""))
    return "".join(drawn)


def _pointed(frame: Frame, reach: tuple[float, float], told: str, inner: str) -> str:
    """Something that tells its figures when a pointer is anywhere above or below it."""
    if not frame.size.told:
        return f"{inner}\n"
    left, right = reach
    width, height = max(right - left, 0.5), frame.bottom - frame.top
    return (
        f'<g class="bin"><rect class="hit" x="{left:.1f}" y="{frame.top:g}" width="{width:.1f}" '
        f'height="{height:g}"/>{inner}<text class="told" x="{frame.right:g}" y="12">{text(told)}</text></g>\n'
    )
