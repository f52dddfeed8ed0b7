"""Axes and what is drawn along them: round numbers, pauses, peaks."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from opus_async.reporting.charts.axes import CLOCK_STEPS, SessionSpan, TimeAxis, scale
from opus_async.reporting.charts.time_series import BUCKETS, COLUMNS, Lines, Throughput

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
def test_a_scale_has_round_numbers_up_to_the_first_that_is_enough(most, values):
    assert scale(most) == pytest.approx(values)


@pytest.mark.parametrize("most", [0, 1, 2, 3, 7, 11, 12, 13, 99, 10_001])
def test_a_scale_of_things_that_are_counted_has_whole_numbers_only(most):
    values = scale(most, whole=True)
    assert values[-1] >= most
    assert all(value == int(value) for value in values)
    assert len(values) <= 8


def test_a_scale_is_never_much_higher_than_what_it_shows():
    for most in (random.Random(1).lognormvariate(0, 8) for _ in range(2000)):
        values = scale(most)
        assert most <= values[-1] * (1 + 1e-9)
        assert values[-2] < most
        assert 3 <= len(values) <= 7


def test_a_night_between_two_sessions_takes_no_more_room_than_a_mark():
    spans = [
        SessionSpan(1, MIDNIGHT, MIDNIGHT + HOUR),
        SessionSpan(2, MIDNIGHT + 30 * HOUR, MIDNIGHT + 31 * HOUR),
    ]
    axis = TimeAxis(spans, 50, 850)
    (pause,) = axis.breaks
    assert pause.right - pause.left < 60
    assert pause.seconds == 29 * HOUR
    widths = [stretch.right - stretch.left for stretch in axis.stretches]
    assert widths[0] == pytest.approx(widths[1])
    assert axis.stretches[-1].right == pytest.approx(850)


def test_a_short_pause_is_drawn_to_scale():
    spans = [SessionSpan(1, 0, 1000), SessionSpan(2, 1020, 2020)]
    (pause,) = TimeAxis(spans, 0, 2020).breaks
    assert pause.right - pause.left == pytest.approx(20)


def test_the_clock_has_round_hours_and_each_day_once():
    spans = [
        SessionSpan(1, MIDNIGHT - 2.2 * HOUR, MIDNIGHT + 1.5 * HOUR),
        SessionSpan(2, MIDNIGHT + 24 * HOUR, MIDNIGHT + 26 * HOUR),
    ]
    ticks = TimeAxis(spans, 60, 900).ticks(80)
    assert [tick.label for tick in ticks] == ["22:00", "23:00", "00:00", "01:00", "00:00", "01:00", "02:00"]
    days = [tick.day.replace("\N{NO-BREAK SPACE}", " ") for tick in ticks]
    assert days == ["9 Oct", "", "10 Oct", "", "11 Oct", "", ""]
    places = [tick.x for tick in ticks]
    assert all(later - earlier >= 80 for earlier, later in pairwise(places))


@pytest.mark.parametrize("seconds", [0, 0.3, 4, 59, 61, 3599, 40_000, 3_000_000])
def test_every_axis_has_a_clock(seconds):
    ticks = TimeAxis([SessionSpan(1, MIDNIGHT + 0.4, MIDNIGHT + 0.4 + seconds)], 60, 900).ticks(80)
    assert 1 <= len(ticks) <= 12
    assert ticks[0].day.endswith("Oct")


def test_a_clock_that_was_set_back_bends_nothing():
    spans = [SessionSpan(1, 5000, 6000), SessionSpan(2, 100, 1100)]
    axis = TimeAxis(spans, 0, 800)
    first, second = axis.stretches
    assert first.right <= second.left
    assert second.x(100) == second.left
    assert second.x(1100) == pytest.approx(800)
    assert axis.breaks[0].seconds < 0


def test_two_hundred_sessions_leave_room_for_themselves():
    spans = [SessionSpan(number, number * 1000.0, number * 1000.0 + 30) for number in range(200)]
    axis = TimeAxis(spans, 0, 800)
    assert sum(stretch.right - stretch.left for stretch in axis.stretches) > 800 * 0.6
    assert axis.stretches[-1].right == pytest.approx(800)


def test_no_column_is_cut_short_by_the_end_of_a_session():
    spans = [SessionSpan(1, 0, 7301), SessionSpan(2, 9000, 9100)]
    columns = list(Throughput(spans))
    assert all(column.ended - column.began > 50 for column in columns)
    assert len({round(column.seconds, 6) for column in columns if column.session == 1}) == 1


@pytest.mark.parametrize("seconds", [1, 90, 5200, 40_000, 2_000_000])
def test_there_are_never_many_more_columns_than_wanted(seconds):
    throughput = Throughput([SessionSpan(1, 0, seconds)])
    assert 1 <= len(list(throughput)) <= COLUMNS + 1
    assert throughput.width in CLOCK_STEPS


def test_each_row_is_counted_where_and_when_it_ended():
    throughput = Throughput([SessionSpan(1, 0, 100), SessionSpan(2, 500, 600)])
    throughput.add(1, 0, completed=True)
    throughput.add(1, 100, completed=False)
    throughput.add(2, 550.5, completed=True)
    throughput.add(2, 700, completed=True)  # a person decided it after the session
    throughput.add(3, 50, completed=True)
    columns = list(throughput)
    assert sum(column.completed for column in columns) == 2
    assert sum(column.not_completed for column in columns) == 1
    found = next(column for column in columns if column.session == 2 and column.total)
    assert found.began <= 550.5 <= found.ended


def test_a_rate_over_less_than_a_second_is_not_made_up():
    (column,) = Throughput([SessionSpan(1, 0, 0.001)])
    assert column.seconds == 1


def test_no_peak_is_lost_however_short_it_was():
    lines = Lines([SessionSpan(1, 0, 172_800)])
    for second in range(0, 172_800, 5):
        lines.add(1, second, 9_999 if second == 86_415 else 3 if second == 50_005 else 400)
    points = lines[1]
    assert lines.highest == 9_999
    assert {3, 400, 9_999} == {point.value for point in points}
    assert next(point.at for point in points if point.value == 9_999) == 86_415
    assert len(points) <= 2 * (BUCKETS + 1)
    assert [point.at for point in points] == sorted(point.at for point in points)


def test_lines_of_no_samples_are_empty():
    lines = Lines([SessionSpan(1, 0, 0)])
    lines.add(7, 3, 1)
    assert lines[1] == []
    assert lines.highest == 0
