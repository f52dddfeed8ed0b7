"""Whether a load was steady: a growing backlog is seen, chance is not, and Little's law holds."""

from __future__ import annotations

import heapq
import math
import random
import statistics

import pytest

from opus_async.load.steady import (
    backlog,
    little_ratio,
    mean_in_flight,
    most_in_flight,
    rate_of_ends,
)
from opus_async.load.values import Window


def queue(rate, *, servers, seconds, seed=1, service=lambda rng: rng.expovariate(1.0)):
    """Start of waiting and end of each job of a queue with so many servers, empty at the start."""
    rng = random.Random(seed)
    free = [0.0] * servers
    at, jobs = 0.0, []
    while (at := at + rng.expovariate(rate)) < seconds:
        begin = max(at, heapq.heappop(free))
        end = begin + service(rng)
        heapq.heappush(free, end)
        jobs.append((at, end))
    return jobs


def latencies(jobs):
    return [(start, end - start) for start, end in jobs]


def test_backlog_of_an_overloaded_queue_grows_by_what_comes_in_excess():
    jobs = queue(12.0, servers=10, seconds=120)
    found = backlog(latencies(jobs), Window(0, 120))
    assert found.growing
    assert found.slope == pytest.approx(0.2, abs=0.06)
    assert found.jobs == len(jobs)


@pytest.mark.parametrize("seed", range(20))
def test_steady_queue_has_no_backlog(seed):
    jobs = queue(8.0, servers=10, seconds=120, seed=seed)
    assert not backlog(latencies(jobs), Window(0, 120)).growing


@pytest.mark.parametrize("seed", range(20))
def test_start_of_a_run_is_no_backlog(seed):
    """Jobs take longer than the window: their number in flight only rises, and their time does not."""
    jobs = queue(20.0, servers=10_000, seconds=10, seed=seed, service=lambda rng: rng.uniform(5, 30))
    assert not backlog(latencies(jobs), Window(0, 10)).growing


def test_stall_in_the_middle_is_no_backlog():
    jobs = [(at / 10, 1.0 + max(40 - at / 10, 0) * (30 <= at / 10 < 40)) for at in range(900)]
    assert not backlog(jobs, Window(0, 90)).growing


def test_jobs_outside_of_the_window_do_not_count():
    jobs = [(float(at), 1.0 + at * (at < 30)) for at in range(100)]
    found = backlog(jobs, Window(30, 100))
    assert (found.slope, found.jobs) == (0.0, 70)


@pytest.mark.parametrize("jobs", [[], [(1.0, 1.0)], [(float(at), 1.0) for at in range(5)]])
def test_too_few_jobs_tell_no_trend(jobs):
    assert backlog(jobs, Window(0, 100)) is None


def test_window_without_length_tells_no_trend():
    assert backlog([(1.0, 1.0)] * 100, Window(1, 1)) is None


def test_rate_of_ends_is_that_of_arrivals_while_the_platform_keeps_up():
    jobs = queue(20.0, servers=1_000, seconds=60, service=lambda rng: rng.lognormvariate(2, 0.3))
    assert rate_of_ends(end for _, end in jobs) == pytest.approx(20.0, rel=0.05)


def test_rate_of_ends_is_the_capacity_where_it_does_not():
    jobs = queue(20.0, servers=10, seconds=60)
    assert rate_of_ends(end for _, end in jobs) == pytest.approx(10.0, rel=0.05)


@pytest.mark.parametrize("ends", [[], [1.0], [2.0, 2.0, 2.0]])
def test_few_ends_have_no_rate(ends):
    assert rate_of_ends(ends) is None


def test_in_flight_is_the_time_of_all_over_that_of_the_window():
    spans = [(0, 4), (1, 3), (9, 12), (20, 30)]
    assert mean_in_flight(spans, Window(0, 10)) == pytest.approx((4 + 2 + 1) / 10)
    assert most_in_flight(spans) == 2
    assert most_in_flight([(0, 1), (1, 2)]) == 1
    assert (mean_in_flight(spans, Window(3, 3)), most_in_flight([])) == (0.0, 0)


@pytest.mark.parametrize("seed", range(5))
def test_mean_of_a_queue_is_that_of_theory(seed):
    """M/M/infinity: as many in flight on average as come while one is served."""
    jobs = queue(20.0, servers=10_000, seconds=600, seed=seed)
    window = Window(20, 600)
    assert mean_in_flight(jobs, window) == pytest.approx(20.0, rel=0.05)


@pytest.mark.parametrize("seed", range(5))
def test_little_holds_in_steady_state_from_rate_and_time_alone(seed):
    jobs = queue(8.0, servers=12, seconds=600, seed=seed)
    window = Window(50, 600)
    inside = [end - start for start, end in jobs if window.holds(start)]
    rate_times_time = len(inside) / window.seconds * statistics.fmean(inside)
    assert mean_in_flight(jobs, window) == pytest.approx(rate_times_time, rel=0.05)
    assert little_ratio(mean_in_flight(jobs, window), jobs, window) == pytest.approx(1.0)


@pytest.mark.parametrize("window", [Window(0, 10), Window(3, 10), Window(0, 40)])
def test_little_is_corrected_for_the_ends_of_the_window(window):
    jobs = queue(20.0, servers=10_000, seconds=10, service=lambda rng: rng.uniform(1, 6))
    sampled = [
        sum(start <= at / 100 < end for start, end in jobs)
        for at in range(int(window.start * 100), int(window.end * 100))
    ]
    assert little_ratio(statistics.fmean(sampled), jobs, window) == pytest.approx(1.0, abs=0.02)


def test_little_tells_of_jobs_that_were_not_timed():
    jobs = queue(20.0, servers=10_000, seconds=60)
    seen = mean_in_flight(jobs, Window(0, 60))
    assert little_ratio(seen, jobs[::2], Window(0, 60)) == pytest.approx(2.0, rel=0.1)


def test_little_of_nothing_is_none():
    assert little_ratio(0.0, [], Window(0, 1)) is None
    assert math.isfinite(mean_in_flight([(0, 1)], Window(0, 1)))
