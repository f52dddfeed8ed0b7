"""The charts of a run: over time, by percentile, and by stage."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import partial

from markupsafe import Markup

from opus_async import text
from opus_async.load.report.run_data import SPAN, Part, RunData
from opus_async.load.timeline import COMPLETED, DROPPED, FAILED, OFFERED, STARTED, THROTTLED, UNKNOWN
from opus_async.metrics.histogram import Histogram
from opus_async.reporting import figures
from opus_async.reporting.charts.axes import LinearScale, LogScale, NumberAxis, PercentileScale, TimeAxis
from opus_async.reporting.charts.bars import Bar, times
from opus_async.reporting.charts.marks import Area, Line, Point, Readings, Region, Series, StackedColumns
from opus_async.reporting.charts.plot import Chart, Mark
from opus_async.reporting.charts.resolution import Bin, Samples, histogram

OUTSIDE = ("outside", "not measured")
_MIDDLE_PARTS = 4
_PERCENT = 100.0
_SHORTEST = 0.001
"""Seconds that a logarithmic scale begins at, at least: what is shorter lies on its base."""
_MILLI = 1000.0
_CURVE_STEPS = 60
_FAR = 20.0
"""How many times as long as others the longest job takes for a scale to be logarithmic."""


def part_kinds(stages: Sequence[str]) -> dict[str, str]:
    """Stage -> its class of the style sheet; the platform's own time always has the same colour."""
    *middle, run, last = stages[1:] if len(stages) > 2 else (*stages, "", "")  # noqa: PLR2004 - first, run, last
    kinds = {name: f"part-{place % _MIDDLE_PARTS}" for place, name in enumerate(middle)}
    return {stages[0]: "part-first", **kinds, run: "part-run", last: "part-last"} if stages else {}


def rates(data: RunData) -> Markup:
    """Arrivals, starts and completed jobs a second; what was dropped or did not complete as columns."""
    bins = list(data.counted())
    lines = [_rate(name, bins) for name in (OFFERED, STARTED, COMPLETED)]
    bad = [
        Series("did not complete", FAILED, _columns(bins, (FAILED, UNKNOWN))),
        Series("not started", DROPPED, _columns(bins, (DROPPED,))),
    ]
    most = max(*(series.highest for series in lines), *(series.highest for series in bad))
    told = [_told_rates(each) for each in bins]
    return _over_time(
        data,
        name="rates",
        title="Offered, started and completed over time",
        told=(
            f"Jobs a second. The most that were offered was {text.figure(lines[0].highest)}, "
            f"that completed {text.figure(lines[2].highest)}."
        ),
        scale=LinearScale(most),
        marks=[StackedColumns(bad, told), *map(Line, lines)],
    )


def in_flight(data: RunData) -> Markup:
    """Jobs in flight over time."""
    samples = Samples([data.span])
    for moment in data.timeline:
        samples.add(SPAN, data.summary.began + moment.at + moment.seconds, moment.in_flight)
    series = Series("in flight", "in-flight", samples.points)
    told = [f"{_clock(point.x)}: {text.count(point.y)} in flight" for point in series.points]
    return _over_time(
        data,
        name="in-flight",
        title="Jobs in flight over time",
        told=f"Jobs in flight; {text.count(series.highest)} at the most.",
        scale=LinearScale(series.highest, whole=True),
        marks=[Area(series), Readings(series, told)],
    )


def latency(data: RunData, parts: Sequence[Part]) -> Markup:
    """Median and 95th percentile of the end-to-end time, by when jobs were meant to start."""
    median = Series("median", "median", [Point(_middle(part), part.median, span=SPAN) for part in parts])
    high = Series("95th percentile", "high", [Point(_middle(part), part.high, span=SPAN) for part in parts])
    told = [
        f"{_clock(part.began)}: median {figures.duration(part.median)}, 95th percentile "
        f"{figures.duration(part.high)}, of {text.counted(part.jobs, 'job')}"
        for part in parts
    ]
    return _over_time(
        data,
        name="latency",
        title="End-to-end time over time",
        told=(
            "Seconds from the intended start to the end; the 95th percentile was "
            f"{figures.duration(high.highest)} at the most."
        ),
        scale=LinearScale(high.highest),
        marks=[Line(median), Line(high), Readings(median, told)],
    )


def stages_over_time(data: RunData, parts: Sequence[Part]) -> Markup:
    """The mean time in each stage, stacked, by when jobs were meant to start."""
    kinds = part_kinds(data.summary.stages)
    series = [
        Series(name, kind, [Point(part.began, part.stages[name], part.ended, SPAN) for part in parts])
        for name, kind in kinds.items()
    ]
    told = [
        f"{_clock(part.began)}: "
        + ", ".join(f"{name} {figures.duration(part.stages[name])}" for name in kinds if part.stages[name])
        for part in parts
    ]
    return _over_time(
        data,
        name="breakdown",
        title="Time in each stage over time",
        told="Mean seconds of a job in each stage, one above the other, by when it was meant to start.",
        scale=LinearScale(max(sum(part.stages.values()) for part in parts)),
        marks=[StackedColumns(series, told)],
    )


def percentiles(data: RunData) -> Markup:
    """The time that so many of 100 jobs do not exceed, from the intended and from the real start."""
    series = [
        ("from the intended start", "high", Histogram(sample.e2e_intended for sample in data.measured)),
        ("from the real start", "median", Histogram(sample.e2e_service for sample in data.measured)),
    ]
    most = _PERCENT * (1 - 1 / (len(data.measured) + 1))
    steps = _curve(most)
    lines = [
        Series(
            name, kind, [Point(percent, value or 0.0) for percent, value in zip(steps, found, strict=True)]
        )
        for name, kind, found in ((name, kind, each.percentiles(steps)) for name, kind, each in series)
    ]
    median, highest = lines[0].points[len(steps) // 2].y, lines[0].highest
    spread = LogScale(max(min(lines[1].points[0].y, highest), _SHORTEST), max(highest, 2 * _SHORTEST))
    told = [
        f"{text.axis(round(percent, 3))} % of the jobs: {figures.duration(line.y)} from the intended start, "
        f"{figures.duration(other.y)} from the real one"
        for percent, line, other in zip(steps, lines[0].points, lines[1].points, strict=True)
    ]
    return Chart(
        name="percentiles",
        title="End-to-end time by percentile",
        told=f"Seconds that so many of 100 jobs do not exceed; all: {figures.duration(lines[0].highest)}.",
        scale=spread if highest > _FAR * median else LinearScale(highest),
        axis=partial(NumberAxis, PercentileScale(most)),
        marks=[*map(Line, lines), Readings(lines[0], told)],
    ).draw()


def stages(data: RunData) -> Markup:
    """A bar to the mean of each stage, and a whisker to what 95 of 100 jobs do not exceed."""
    found = [(name, data.summary.latency[name]) for name in data.summary.stages]
    return times(
        "stages",
        "Time by stage",
        [
            Bar(
                name,
                each.mean,
                each.p95,
                f"{name}: mean {figures.duration(each.mean)}, 95th percentile {figures.duration(each.p95)}",
            )
            for name, each in found
            if each.mean is not None and each.p95 is not None
        ],
    )


def detect_lag(data: RunData) -> Markup | None:
    """How many jobs' ends were noticed how late at most; None where that is of no job."""
    lags = [max(sample.detect_lag, _SHORTEST) for sample in data.measured if sample.detect_lag is not None]
    if not lags:
        return None
    scale = LogScale(min(lags), max(lags))
    columns = histogram(lags, scale)
    told = [
        f"{figures.duration(column.x)} to {figures.duration(column.until or column.x)}: "
        f"{text.counted(column.y, 'job')}"
        for column in columns
    ]
    series = Series("jobs", "median", columns)
    return Chart(
        name="detect-lag",
        title="How late ends were noticed at most",
        told=f"Jobs by the bound of the time between their end and its being noticed; of {len(lags)} jobs.",
        scale=LinearScale(series.highest, whole=True),
        axis=partial(NumberAxis, scale, unit="s"),
        marks=[StackedColumns([series], told)],
    ).draw()


def throttling(data: RunData) -> Markup:
    """Answers with 429 over time."""
    bins = list(data.counted())
    series = Series("answers with 429", THROTTLED, _columns(bins, (THROTTLED,)))
    told = [f"{_clock(each.began)}: {text.count(each.counts[THROTTLED])} answers with 429" for each in bins]
    return _over_time(
        data,
        name="throttling",
        title="Answers with 429 over time",
        told=f"Answers with 429 a second; {text.figure(series.highest)} at the most.",
        scale=LinearScale(series.highest),
        marks=[StackedColumns([series], told)],
    )


def loop_lag(data: RunData) -> Markup | None:
    """How late the event loop was, over time; None where nobody noted it."""
    return _health(
        data,
        ("loop-lag", "Lag of the event loop over time", "ms"),
        (
            (moment.at, None if moment.loop_lag is None else moment.loop_lag * _MILLI)
            for moment in data.timeline
        ),
    )


def cpu(data: RunData) -> Markup | None:
    """CPU time of the process, in percent of a core, over time; None where nobody noted it."""
    return _health(
        data,
        ("cpu", "CPU time over time", "% of a core"),
        (
            (moment.at, None if moment.cpu_share is None else moment.cpu_share * _PERCENT)
            for moment in data.timeline
        ),
    )


def _health(
    data: RunData, names: tuple[str, str, str], values: Iterable[tuple[float, float | None]]
) -> Markup | None:
    samples = Samples([data.span])
    for at, value in values:
        if value is not None:
            samples.add(SPAN, data.summary.began + at, value)
    name, title, unit = names
    series = Series(title, "started", samples.points)
    if not series.points:
        return None
    told = [f"{_clock(point.x)}: {text.figure(point.y)} {unit}" for point in series.points]
    return _over_time(
        data,
        name=name,
        title=title,
        told=f"{title}: {text.figure(series.highest)} {unit} at the most.",
        scale=LinearScale(series.highest),
        marks=[Area(series), Readings(series, told)],
    )


def _over_time(
    data: RunData, *, name: str, title: str, told: str, scale: LinearScale, marks: Sequence[Mark]
) -> Markup:
    span, window = data.span, data.summary.window
    outside = [
        Region(left, right, OUTSIDE[0], what, SPAN)
        for left, right, what in (
            (span.began, window.start, "warm-up"),
            (window.end, span.ended, "waiting for the last jobs"),
        )
        if right > left
    ]
    return Chart(
        name=name,
        title=title,
        told=told,
        scale=scale,
        axis=partial(TimeAxis, [span]),
        marks=[*outside, *marks],
    ).draw()


def _rate(name: str, bins: Sequence[Bin]) -> Series:
    points = [
        Point((each.began + each.ended) / 2, each.counts[name] / each.seconds, span=SPAN) for each in bins
    ]
    return Series(name, name, points)


def _columns(bins: Sequence[Bin], names: Sequence[str]) -> list[Point]:
    return [
        Point(each.began, sum(each.counts[name] for name in names) / each.seconds, each.ended, SPAN)
        for each in bins
    ]


def _told_rates(each: Bin) -> str:
    shown = ", ".join(
        f"{text.figure(each.counts[name] / each.seconds)} {name}" for name in (OFFERED, STARTED, COMPLETED)
    )
    bad = each.counts[FAILED] + each.counts[UNKNOWN]
    more = [f"{text.count(bad)} did not complete"] if bad else []
    more += [f"{text.count(each.counts[DROPPED])} not started"] if each.counts[DROPPED] else []
    return "; ".join((f"{_clock(each.began)}: a second {shown}", *more))


def _curve(most: float) -> list[float]:
    """Percentiles from 0 to the highest that means something, in equal steps of a percentile scale."""
    nines = -math.log10(1 - most / _PERCENT)
    return [_PERCENT * (1 - 10 ** (-nines * step / _CURVE_STEPS)) for step in range(_CURVE_STEPS + 1)]


def _middle(part: Part) -> float:
    return (part.began + part.ended) / 2


def _clock(at: float) -> str:
    return f"{text.clock(at)} UTC"
