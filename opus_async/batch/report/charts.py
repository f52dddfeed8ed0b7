"""The charts of a batch: rows that ended as columns, rows under way as lines, stages as bars.

A pointer shows the figures behind a column or a moment, without a script.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from markupsafe import Markup

from opus_async import text
from opus_async.batch.report.report_data import COMPLETED, NOT_COMPLETED
from opus_async.metrics.distribution import Distribution
from opus_async.reporting import figures
from opus_async.reporting.charts.axes import LinearScale, Span, TimeAxis
from opus_async.reporting.charts.bars import Bar, Part, stacked_bar, times
from opus_async.reporting.charts.marks import Area, Line, Point, Readings, Series, StackedColumns
from opus_async.reporting.charts.plot import Chart, Mark
from opus_async.reporting.charts.resolution import Bin, Samples

_MINUTE, _HOUR = 60.0, 3600.0
_LONG, _MIDDLING = 2 * _HOUR, 2 * _MINUTE


@dataclass(frozen=True, slots=True)
class Unit:
    """Of a rate: rows per so many seconds."""

    name: str
    seconds: float

    def of(self, count: float, part: Bin) -> float:
        """So many rows of a part of the time, as a rate."""
        return count / part.seconds * self.seconds


def unit_for(active: float) -> Unit:
    """The unit that suits a batch that worked so many seconds."""
    if active >= _LONG:
        return Unit("hour", _HOUR)
    return Unit("minute", _MINUTE) if active >= _MIDDLING else Unit("second", 1.0)


def throughput(spans: Sequence[Span], ends: Sequence[Bin]) -> Markup:
    """Rows that ended, as a rate over time; those that completed below, the others on top of them."""
    unit = unit_for(sum(span.seconds for span in spans))
    fastest = max(ends, key=lambda part: unit.of(part.counts.total(), part))
    most = unit.of(fastest.counts.total(), fastest)
    series = [
        Series(
            name,
            kind,
            [Point(part.began, unit.of(part.counts[kind], part), part.ended, part.span) for part in ends],
        )
        for name, kind in (("completed", COMPLETED), ("did not complete", NOT_COMPLETED))
    ]
    return Chart(
        name="throughput",
        title="Throughput over time",
        told=(
            f"Rows that ended per {unit.name}, {_period(spans)}. The most was {text.figure(most)} per "
            f"{unit.name}, at {text.moment(fastest.began)}."
        ),
        scale=LinearScale(most),
        axis=partial(TimeAxis, spans),
        marks=[StackedColumns(series, [_ended(part, unit) for part in ends])],
    ).draw()


def _ended(part: Bin, unit: Unit) -> str:
    return (
        f"{figures.day(part.began)} {text.clock(part.began)} to {text.clock(part.ended)} UTC: "
        f"{text.count(part.counts[COMPLETED])} completed, {text.count(part.counts[NOT_COMPLETED])} did not; "
        f"{text.figure(unit.of(part.counts.total(), part))} per {unit.name}"
    )


def in_flight_chart(spans: Sequence[Span], in_flight: Samples, waiting: Samples) -> Markup:
    """Rows in flight over time, and above them those that wait for a person, where there are any."""
    working = Series("in flight", "in-flight", in_flight.points)
    parked = Series("waiting for a person", "waiting", waiting.points)
    waits = {(point.span, point.x): point.y for point in parked.points}
    told = [_under_way(point, waits.get((point.span, point.x), 0)) for point in working.points]
    marks: list[Mark] = [Area(working), *([Line(parked)] if parked.highest else []), Readings(working, told)]
    return Chart(
        name="standing",
        title="Rows in flight over time",
        told=(
            f"Rows in flight, {_period(spans)}. The most at once was {text.count(working.highest)}, and "
            f"{text.count(parked.highest)} waited for a person at the same time at the most."
        ),
        scale=LinearScale(max(working.highest, parked.highest), whole=True),
        axis=partial(TimeAxis, spans),
        marks=marks,
    ).draw()


def _under_way(point: Point, waiting: float) -> str:
    told = f"{figures.day(point.x)} {text.clock(point.x)} UTC: {text.count(point.y)} in flight"
    return f"{told}, {text.count(waiting)} waiting for a person" if waiting else told


def stages(spreads: Mapping[str, Distribution]) -> Markup:
    """A bar to the mean of each stage, and a whisker to what 95 of 100 rows do not exceed."""
    bars = [
        Bar(
            name,
            spread.mean,
            spread.high,
            f"{name}: mean {figures.duration(spread.mean)}, 95th percentile {figures.duration(spread.high)}",
        )
        for name, spread in spreads.items()
    ]
    return times("stages", "Time by stage", bars)


def states(parts: Sequence[Part]) -> Markup:
    """One bar for all rows, and what each part of it is."""
    total = sum(part.count for part in parts)
    told = ", ".join(f"{text.count(part.count)} {part.name}" for part in parts if part.count)
    return stacked_bar("division", f"Of {text.counted(total, 'row')}: {told}", parts)


def _period(spans: Sequence[Span]) -> str:
    return f"from {text.moment(spans[0].began)} to {text.moment(spans[-1].ended)} UTC"
