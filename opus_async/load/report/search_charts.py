"""The charts of a search: throughput over jobs in flight with the fitted law, and latency over the rate."""

from __future__ import annotations

import math
from functools import partial

from markupsafe import Markup

from opus_async import text
from opus_async.load.search import PILED
from opus_async.load.summary import ScalabilityFit, SearchedRate, SearchSummary
from opus_async.reporting import figures
from opus_async.reporting.charts.axes import LinearScale, LogScale, NumberAxis
from opus_async.reporting.charts.marks import Dots, Line, Point, Series
from opus_async.reporting.charts.plot import Chart

_CURVE_STEPS = 60
_ABOVE = 1.05


def levels(summary: SearchSummary) -> list[SearchedRate]:
    """The steps in which jobs in flight were a level, and did not pile up for as long as the step lasted."""
    most = PILED * max((step.in_flight for step in summary.steps if step.ok), default=math.inf)
    return [step for step in summary.steps if 0 < step.in_flight <= most]


def throughput(summary: SearchSummary) -> Markup:
    """Completed jobs a second over jobs in flight: a dot for each step, and the fitted law as a line."""
    steps = levels(summary)
    most = max(step.in_flight for step in steps) * _ABOVE
    law = [] if summary.fit is None else [Line(_law(summary.fit, most))]
    highest = max(step.completed_rate for step in steps)
    axis = LinearScale(most)
    return Chart(
        name="throughput",
        title="Throughput over jobs in flight",
        told=f"Completed jobs a second over jobs in flight, by step; {text.figure(highest)} at the most.",
        scale=LinearScale(highest * _ABOVE),
        axis=partial(NumberAxis, axis, unit="in flight"),
        marks=[*law, *(_dots(step, Point(step.in_flight, step.completed_rate)) for step in steps)],
    ).draw()


def latency(summary: SearchSummary) -> Markup:
    """The 95th percentile over the offered rate: a dot for each step."""
    steps = [(step, step.p95) for step in summary.steps if step.p95]
    times = [p95 for _, p95 in steps]
    axis = LinearScale(max(step.rate for step, _ in steps) * _ABOVE)
    return Chart(
        name="latency",
        title="95th percentile over the rate",
        told=(
            "Seconds end to end, 95th percentile, over the offered rate; "
            f"{figures.duration(max(times))} at the most."
        ),
        scale=LogScale(min(times), max(*times, 2 * min(times))),
        axis=partial(NumberAxis, axis, unit="jobs/s"),
        marks=[_dots(step, Point(step.rate, p95)) for step, p95 in steps],
    ).draw()


def _dots(step: SearchedRate, point: Point) -> Dots:
    p95 = text.NOTHING if step.p95 is None else figures.duration(step.p95)
    told = (
        f"{step.kind}: {text.figure(step.rate)} jobs/s offered, {text.figure(step.completed_rate)} "
        f"completed, 95th percentile {p95}"
    )
    return Dots(Series(step.kind, "completed" if step.ok else "failed", [point]), [told])


def _law(fit: ScalabilityFit, most: float) -> Series:
    places = [most * step / _CURVE_STEPS for step in range(_CURVE_STEPS + 1)]
    return Series(
        "fitted law", "offered", [Point(n, n / (fit.c0 + fit.c1 * n + fit.c2 * n**2)) for n in places]
    )
