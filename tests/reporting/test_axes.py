"""Axes and what is drawn along them: round numbers, pauses, peaks."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from opus_async.reporting.charts.axes import CLOCK_STEPS, LinearScale, LogScale, NumberAxis, Span, TimeAxis
from opus_async.reporting.charts.resolution import BUCKETS, COLUMNS, EventBins, Samples, histogram

HOUR = 3600.0
MIDNIGHT = 1_760_054_400.0
"""10 October 2025, 00:00 UTC."""


@pytest.mark.parametrize(
    ("most", "values"),
    [
        (0, [0, 0.2]),
        (1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (43_000, [0, 10_000, 20_000, 30_000, 40_000, 50_000]),
        (500, [0, 100, 200, 300, 400, 500]),
        (11, [0, 2.5, 5, 7.5, 10, 12.5]),
        (0.07, [0, 0.02, 0.04, 0.06, 0.08]),
    ],
)
def test_linear_scale_has_round_values_that_cover_the_maximum(most, values):
    assert LinearScale(most).values == pytest.approx(values)


@pytest.mark.parametrize("most", [0, 1, 2, 3, 7, 11, 12, 13, 99, 10_001])
def test_linear_scale_whole_has_integer_values_only(most):
    values = LinearScale(most, whole=True).values
    assert values[-1] >= most
    assert all(value == int(value) for value in values)
    assert len(values) <= 8


def test_linear_scale_has_three_to_seven_values_and_ends_just_above_maximum():
    for most in (random.Random(1).lognormvariate(0, 8) for _ in range(2000)):
        values = LinearScale(most).values
        assert most <= values[-1] * (1 + 1e-9)
        assert values[-2] < most
        assert 3 <= len(values) <= 7


def test_time_axis_compresses_long_gap_between_sessions():
    spans = [
        Span(1, MIDNIGHT, MIDNIGHT + HOUR),
        Span(2, MIDNIGHT + 30 * HOUR, MIDNIGHT + 31 * HOUR),
    ]
    axis = TimeAxis(spans, 50, 850)
    (pause,) = axis.gaps
    assert pause.right - pause.left < 60
    assert pause.seconds == 29 * HOUR
    widths = [stretch.right - stretch.left for stretch in axis.segments.values()]
    assert widths[0] == pytest.approx(widths[1])
    assert [*axis.segments.values()][-1].right == pytest.approx(850)


def test_time_axis_draws_short_gap_to_scale():
    spans = [Span(1, 0, 1000), Span(2, 1020, 2020)]
    (pause,) = TimeAxis(spans, 0, 2020).gaps
    assert pause.right - pause.left == pytest.approx(20)


def test_time_axis_ticks_have_round_hours_and_each_day_once():
    spans = [
        Span(1, MIDNIGHT - 2.2 * HOUR, MIDNIGHT + 1.5 * HOUR),
        Span(2, MIDNIGHT + 24 * HOUR, MIDNIGHT + 26 * HOUR),
    ]
    ticks = TimeAxis(spans, 60, 900).ticks(80)
    assert [tick.label for tick in ticks] == ["22:00", "23:00", "00:00", "01:00", "00:00", "01:00", "02:00"]
    days = [tick.day.replace("\N{NO-BREAK SPACE}", " ") for tick in ticks]
    assert days == ["9 Oct", "", "10 Oct", "", "11 Oct", "", ""]
    places = [tick.x for tick in ticks]
    assert all(later - earlier >= 80 for earlier, later in pairwise(places))


@pytest.mark.parametrize("seconds", [0, 0.3, 4, 59, 61, 3599, 40_000, 3_000_000])
def test_time_axis_has_1_to_12_ticks_for_any_duration(seconds):
    ticks = TimeAxis([Span(1, MIDNIGHT + 0.4, MIDNIGHT + 0.4 + seconds)], 60, 900).ticks(80)
    assert 1 <= len(ticks) <= 12
    assert ticks[0].day.endswith("Oct")


def test_time_axis_keeps_session_order_if_clock_was_set_back():
    spans = [Span(1, 5000, 6000), Span(2, 100, 1100)]
    axis = TimeAxis(spans, 0, 800)
    first, second = axis.segments.values()
    assert first.right <= second.left
    assert second.x(100) == second.left
    assert second.x(1100) == pytest.approx(800)
    assert axis.gaps[0].seconds < 0


def test_time_axis_gives_most_room_to_200_sessions_not_gaps():
    spans = [Span(number, number * 1000.0, number * 1000.0 + 30) for number in range(200)]
    axis = TimeAxis(spans, 0, 800)
    assert sum(stretch.right - stretch.left for stretch in axis.segments.values()) > 800 * 0.6
    assert [*axis.segments.values()][-1].right == pytest.approx(800)


def test_event_bins_of_one_session_have_equal_width():
    spans = [Span(1, 0, 7301), Span(2, 9000, 9100)]
    columns = list(EventBins(spans))
    assert all(column.ended - column.began > 50 for column in columns)
    assert len({round(column.seconds, 6) for column in columns if column.span == 1}) == 1


@pytest.mark.parametrize("seconds", [1, 90, 5200, 40_000, 2_000_000])
def test_event_bins_limit_number_of_columns(seconds):
    bins = EventBins([Span(1, 0, seconds)])
    assert 1 <= len(list(bins)) <= COLUMNS + 1
    assert bins.width in CLOCK_STEPS


def test_event_bins_count_each_event_in_its_session_and_ignore_outside_ones():
    bins = EventBins([Span(1, 0, 100), Span(2, 500, 600)])
    bins.add(1, 0, kind="completed")
    bins.add(1, 100, kind="failed")
    bins.add(2, 550.5, kind="completed")
    bins.add(2, 700, kind="completed")  # a person decided it after the session
    bins.add(3, 50, kind="completed")
    columns = list(bins)
    assert sum(column.counts["completed"] for column in columns) == 2
    assert sum(column.counts["failed"] for column in columns) == 1
    found = next(column for column in columns if column.span == 2 and column.counts)
    assert found.began <= 550.5 <= found.ended


def test_event_bins_count_many_events_as_one_by_one():
    spans = [Span(1, 1_760_000_000.1, 1_760_000_090.7), Span(2, 1_760_000_200, 1_760_000_201.3)]
    moments = [1_760_000_000 + place / 7 for place in range(-50, 2_000)]
    one_by_one, at_once = EventBins(spans), EventBins(spans)
    for span in (1, 2, 3):
        at_once.add_all(span, moments, "failed")
        for at in moments:
            one_by_one.add(span, at, "failed")
    assert list(at_once) == list(one_by_one)
    assert sum(each.counts.total() for each in at_once) > 600


def test_event_bins_last_at_least_one_second():
    (column,) = EventBins([Span(1, 0, 0.001)])
    assert column.seconds == 1


def test_samples_keep_short_peaks_when_downsampled():
    samples = Samples([Span(1, 0, 172_800)])
    for second in range(0, 172_800, 5):
        samples.add(1, second, 9_999 if second == 86_415 else 3 if second == 50_005 else 400)
    points = samples.points
    assert samples.highest == 9_999
    assert {3, 400, 9_999} == {point.y for point in points}
    assert next(point.x for point in points if point.y == 9_999) == 86_415
    assert len(points) <= 2 * (BUCKETS + 1)
    assert [point.x for point in points] == sorted(point.x for point in points)


def test_samples_without_data_have_no_points():
    samples = Samples([Span(1, 0, 0)])
    samples.add(7, 3, 1)
    assert samples.points == []
    assert samples.highest == 0


@pytest.mark.parametrize(
    ("least", "most", "values"),
    [
        (0.02, 3, [0.01, 0.1, 1, 10]),
        (1, 100, [1, 2, 5, 10, 20, 50, 100]),
        (7, 7, [1, 2, 5, 10]),
        (0.001, 1_000, [0.001, 0.01, 0.1, 1, 10, 100, 1_000]),
    ],
)
def test_log_scale_has_round_values_around_its_range(least, most, values):
    assert LogScale(least, most).values == pytest.approx(values)


def test_log_scale_gives_each_decade_the_same_room():
    scale = LogScale(1, 10_000)
    assert [scale.part(value) for value in (0, 1, 10, 1_000, 10_000)] == pytest.approx([0, 0, 0.25, 0.75, 1])


def test_number_axis_drops_labels_without_room_and_keeps_unit():
    ticks = NumberAxis(LogScale(1, 100), 0, 300, "s").ticks(60)
    assert [tick.label for tick in ticks] == ["1", "5", "20", "100 s"]
    assert [tick.x for tick in ticks] == pytest.approx([0, 104.8, 195.2, 300], abs=0.1)


@pytest.mark.parametrize("scale", [LinearScale(10), LogScale(1, 1_000)])
def test_histogram_counts_each_value_once(scale):
    values = [0.5, 1, 2, 3, 9.99, 10, 700, 5_000]
    columns = histogram(values, scale)
    assert sum(column.y for column in columns) == len(values)
    assert [column.x for column in columns] == list(scale.values)[:-1]
    assert [column.until for column in columns] == list(scale.values)[1:]


def test_histogram_puts_edge_value_into_the_higher_column():
    columns = histogram([2, 2, 3.9], LinearScale(10))
    assert [column.y for column in columns] == [0, 3, 0, 0, 0]
