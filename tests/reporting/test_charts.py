"""Charts of any series: what is drawn where, and what a pointer reads."""

from __future__ import annotations

import re
from functools import partial

import pytest

from opus_async.reporting.charts.axes import LinearScale, LogScale, NumberAxis, Span, TimeAxis
from opus_async.reporting.charts.marks import Area, Line, Point, Readings, Series, StackedColumns
from opus_async.reporting.charts.plot import SIZES, Chart
from opus_async.reporting.charts.resolution import histogram

SPANS = [Span(1, 0, 100), Span(2, 500, 600)]


def drawn(*marks, scale=None, axis=None) -> str:
    return Chart(
        name="chart",
        title="A <title>",
        told="What it shows",
        scale=scale or LinearScale(10),
        axis=axis or partial(TimeAxis, SPANS),
        marks=marks,
    ).draw()


def test_chart_is_drawn_in_each_size_with_description_and_unique_ids():
    svg = drawn()
    assert svg.count("<svg ") == len(SIZES)
    assert svg.count("What it shows</desc>") == len(SIZES)
    assert "A &lt;title&gt;" in svg
    ids = re.findall(r' id="([^"]+)"', svg)
    assert len(ids) == len(set(ids)) == 2 * len(SIZES)


def test_line_is_not_drawn_across_a_gap():
    points = [Point(0, 1, span=1), Point(50, 4, span=1), Point(510, 2, span=2)]
    svg = drawn(Line(Series("planned", "planned", points)))
    outlines = re.findall(r'<path class="line planned" d="([^"]+)"/>', svg)
    assert len(outlines) == 2 * len(SIZES)
    assert outlines[0].count("L") == 1
    assert outlines[1].endswith("h2"), "a lone point is seen, too"


def test_area_is_closed_at_the_bottom():
    svg = drawn(Area(Series("in flight", "in-flight", [Point(0, 1, span=1), Point(50, 4, span=1)])))
    (outline, *_) = re.findall(r'<path class="area in-flight" d="([^"]+)"/>', svg)
    assert outline.startswith("M58.0 228L58.0 ")
    assert outline.endswith(" 228Z")
    assert svg.count('class="line in-flight"') == len(SIZES)


def test_stacked_columns_stand_on_each_other():
    series = [
        Series("ok", "completed", [Point(0, 6, until=50, span=1), Point(50, 0, until=100, span=1)]),
        Series("not", "failed", [Point(0, 4, until=50, span=1), Point(50, 0, until=100, span=1)]),
    ]
    svg = drawn(StackedColumns(series, ["ten <b>", "none"]))
    boxes = re.findall(
        r'class="(completed|failed)" x="([^"]+)" y="([^"]+)" width="[^"]+" height="([^"]+)"', svg
    )
    wide = [(kind, x, float(y), float(height)) for kind, x, y, height in boxes][:2]
    (_, left, joint, below), (_, also_left, top, above) = wide
    assert left == also_left
    assert top + above == pytest.approx(joint, abs=0.11)
    assert below / above == pytest.approx(1.5, rel=0.01)
    assert len(boxes) == 2 * len(SIZES), "what is nothing is not drawn"
    assert svg.count("ten &lt;b&gt;") == 1, "only where there is a pointer"


def test_readings_reach_halfway_to_next_point():
    series = Series(
        "in flight", "in-flight", [Point(0, 1, span=1), Point(100, 4, span=1), Point(550, 2, span=2)]
    )
    svg = drawn(Readings(series, ["one", "four", "two"]))
    hits = re.findall(r'class="hit" x="([^"]+)" y="30" width="([^"]+)"', svg)
    (first, width), (second, _), _ = [(float(x), float(width)) for x, width in hits]
    assert first + width == pytest.approx(second, abs=0.11)
    assert re.findall(r'class="told"[^>]*>([^<]+)<', svg) == ["one", "four", "two"]


def test_histogram_over_a_logarithmic_axis_has_columns_of_one_width():
    scale = LogScale(1, 1_000)
    columns = histogram([1, 3, 20, 30, 500], scale)
    svg = drawn(
        StackedColumns([Series("jobs", "completed", columns)], ["2", "2", "1"]),
        axis=partial(NumberAxis, scale, unit="s"),
    )
    boxes = re.findall(r'class="completed" x="[^"]+" y="[^"]+" width="([^"]+)" height="([^"]+)"', svg)[:3]
    widths = {round(float(width)) for width, _ in boxes}
    assert len(widths) == 1
    assert float(boxes[0][1]) == pytest.approx(2 * float(boxes[2][1]), abs=0.2)
    assert "1,000 s</text>" in svg


def test_line_on_log_scale_spaces_powers_of_ten_evenly():
    points = [Point(0, 1, span=1), Point(50, 10, span=1), Point(100, 100, span=1)]
    svg = drawn(Line(Series("p99", "line", points)), scale=LogScale(1, 100))
    (outline, *_) = re.findall(r'<path class="line line" d="M([^"]+)"/>', svg)
    heights = [float(point.split()[1]) for point in outline.split("L")]
    assert heights[0] - heights[1] == pytest.approx(heights[1] - heights[2], abs=0.11)
