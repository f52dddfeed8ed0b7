"""What is learned of run times: from ends, from jobs that still run, and how soon it is forgotten."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from opus_async.jobs.life_table import BINS, EDGES, LifeTable, bin_position, unknown_curve, value_at
from opus_async.jobs.run_times import RunTimeStats

GRAIN = 10.0


def share_alive(table: LifeTable, age: float) -> float:
    return value_at(table.curve.survival, bin_position(age))


def learn(table: LifeTable, run_time: float, *, width: float = 0.05) -> None:
    """A job that a poll before its end and one after it have seen."""
    before = run_time * (1 - width / 2)
    table.saw_running(0.0, before)
    table.saw_end(before, run_time * (1 + width / 2))


def test_life_table_ages_lie_in_their_bins():
    assert bin_position(0.0) == 0.0
    for place in range(1, BINS):
        assert bin_position(EDGES[place] * 1.001) == pytest.approx(place, abs=0.05)
    assert bin_position(1e12) < BINS


def test_life_table_unknown_workflow_is_as_likely_to_last_a_minute_or_a_day_by_the_age_it_has():
    survival = unknown_curve(GRAIN).survival
    for age in (20.0, 600.0, 86_400.0):
        assert value_at(survival, bin_position(2 * age)) == pytest.approx(
            value_at(survival, bin_position(age)) / 2, rel=0.05
        )


def test_life_table_table_tells_the_run_times_that_were_seen():
    table, drawn = LifeTable(GRAIN), random.Random(1)
    for _ in range(400):
        learn(table, drawn.uniform(20, 60))
    table.renew()
    for age, alive in ((15, 1.0), (30, 0.75), (40, 0.5), (50, 0.25)):
        assert share_alive(table, age) == pytest.approx(alive, abs=0.12)
    assert table.curve.median == pytest.approx(40, rel=0.15)


def test_life_table_jobs_that_still_run_count_as_longer_than_that():
    table = LifeTable(GRAIN)
    for _ in range(10):
        learn(table, 21.0)
    for _ in range(90):
        table.saw_running(0.0, 30.0)
    table.renew()
    assert share_alive(table, 30.0) == pytest.approx(0.9, abs=0.03)


def test_life_table_newest_jobs_weigh_more():
    table = LifeTable(GRAIN)
    for run_time in [30.0] * 300 + [40.0] * 300:
        learn(table, run_time)
        if table.ends % 50 == 0:
            table.renew()
    table.renew()
    assert share_alive(table, 35.0) > 0.85


def test_life_table_contradicted_table_is_forgotten_within_a_few_jobs():
    table = LifeTable(GRAIN)
    for _ in range(300):
        learn(table, 300.0)
    table.renew()
    seen = list(itertools.takewhile(lambda _: not table.saw_end(0.0, 5.0), range(100)))
    assert len(seen) < 6
    table = LifeTable(GRAIN)
    for _ in range(300):
        learn(table, 5.0)
    table.renew()
    seen = list(itertools.takewhile(lambda _: not table.saw_running(0.0, 60.0), range(100)))
    assert len(seen) < 20


def test_life_table_table_that_fits_is_not_forgotten():
    table, drawn = LifeTable(GRAIN), random.Random(2)
    for number in range(5_000):
        run_time, seen = drawn.uniform(20, 60), 0.0
        forgotten = False
        for age in (22, 26, 30, 34, 38, 42, 46, 50, 54, 58, 61):
            if age > run_time:
                forgotten = table.saw_end(seen, age) or forgotten
                break
            forgotten = table.saw_running(seen, age) or forgotten
            seen = age
        if number % 100 == 99 or number in {1, 3, 7, 15, 31, 63}:
            table.renew()
        assert not forgotten


@pytest.mark.parametrize("most", [0.001, 0.02, 0.2, 2.0])
def test_table_of_jobs_of_next_to_no_time_is_not_forgotten(most):
    times, drawn = RunTimeStats(0.2), random.Random(3)
    anew = [number for number in range(1, 2_001) if times.saw_end(0.0, drawn.uniform(0, most))]
    assert anew == [2**power for power in range(11)]


@given(
    seen=st.lists(
        st.tuples(st.floats(0, 1e7), st.floats(0, 1e7), st.booleans()).filter(
            lambda each: each[0] <= each[1]
        ),
        max_size=60,
    )
)
@settings(max_examples=60, deadline=None)
def test_life_table_curves_fall_from_one_and_stay_shares_whatever_is_seen(seen):
    table = LifeTable(GRAIN)
    for since, age, ended in seen:
        (table.saw_end if ended else table.saw_running)(since, age)
        table.renew()
    for curve in (table.curve.survival, table.curve.evidence):
        assert curve[0] == 1.0
        assert all(1.0 >= before >= after > 0.0 for before, after in itertools.pairwise(curve))
    assert all(each > 0 for each in table.curve.density)


# When the polls of a workflow are planned anew


def test_life_table_waiting_jobs_are_planned_anew_with_twice_as_many_ends():
    times = RunTimeStats()
    anew = [number for number in range(1, 1_000) if times.learn(30.0 + number % 10)]
    assert anew == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]


def test_life_table_plan_without_ends_grows_with_the_age_as_was_asked_for():
    plan = RunTimeStats().plan(0.05, 1.0)
    assert plan.next_age(0.0, 0.0) == pytest.approx(1.0, rel=0.05)
    assert plan.next_age(60.0, 0.0) - 60 == pytest.approx(2 * 0.05 * 60, rel=0.1)
    assert plan.next_age(6000.0, 0.0) - 6000 == pytest.approx(2 * 0.05 * 6000, rel=0.1)


def test_life_table_plan_of_a_crowd_waits_for_what_a_few_jobs_find_out():
    times = RunTimeStats()
    for _ in range(16):
        times.saw_running(0.0, 20.0)
    assert times.plan(0.05, 1.0).next_age(0.0, 100.0) == pytest.approx(100.0)
    for run_time in (21.0, 22.0, 23.0, 24.0):
        times.learn(run_time)
    assert 19 < times.plan(0.05, 1.0).next_age(0.0, 100.0) < 25


def test_life_table_plan_polls_where_jobs_end_and_not_between():
    times = RunTimeStats()
    for number in range(200):
        times.learn(5.0 + number % 5 * 0.1 if number % 3 else 300.0 + number % 20)
    plan, ages = times.plan(0.05, 1.0), [0.0]
    while ages[-1] < 330:
        ages.append(plan.next_age(ages[-1], 0.0))
    assert sum(4 < age < 8 for age in ages) >= 3
    assert sum(12 < age < 150 for age in ages) <= 3
    assert sum(290 < age < 330 for age in ages) >= 3


@given(
    samples=st.lists(st.floats(0.01, 1e5), max_size=40),
    ages=st.tuples(st.floats(0, 1e7), st.floats(0, 1e7)).map(sorted),
    patience=st.floats(0, 1e3),
    lag=st.floats(0.001, 10),
)
@example(samples=[], ages=[1892595.0, 2581517.0], patience=0.0, lag=1.0)  # below the oldest age in the table
@settings(deadline=None)
def test_life_table_later_seen_running_is_later_polled(samples, ages, patience, lag):
    times = RunTimeStats(0.5 / lag)
    for sample in samples:
        times.learn(sample)
    plan = times.plan(lag, 1.0)
    first, second = (plan.next_age(age, patience) for age in ages)
    assert first <= second * (1 + 1e-9)
    assert ages[0] + 1.0 <= first * (1 + 1e-9)
