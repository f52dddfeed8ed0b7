"""Counts over time, in intervals of fixed length."""

from __future__ import annotations

from opus_async.metrics.time_series import TimeSeries


def test_counts_stand_in_their_interval_and_empty_ones_are_there():
    series = TimeSeries(2.0)
    for at in (0.0, 1.9, 2.0, 7.5):
        series.add("started", at)
    series.add("dropped", 7.0, 3)
    found = [(each.begin, dict(each.counts)) for each in series.intervals()]
    assert found == [
        (0.0, {"started": 2}),
        (2.0, {"started": 1}),
        (4.0, {}),
        (6.0, {"dropped": 3, "started": 1}),
    ]
    assert (series.total("started"), series.total("dropped"), series.total("failed")) == (4, 3, 0)


def test_rate_is_a_second():
    series = TimeSeries(0.5)
    series.add("completed", 0.1, 4)
    (interval,) = series.intervals()
    assert (interval.rate("completed"), interval.rate("failed")) == (8.0, 0.0)


def test_level_is_what_entered_and_did_not_leave():
    series = TimeSeries(1.0)
    for at in (0.1, 0.2, 1.5):
        series.add("started", at)
    series.add("completed", 1.1)
    series.add("failed", 3.0)
    assert series.levels("started", ["completed", "failed"]) == [(1.0, 2), (2.0, 2), (3.0, 2), (4.0, 1)]


def test_before_the_beginning_counts_as_at_it():
    series = TimeSeries()
    series.add("offered", -0.5)
    assert [each.counts["offered"] for each in series.intervals()] == [1]


def test_nothing_has_no_intervals():
    assert list(TimeSeries().intervals()) == []
