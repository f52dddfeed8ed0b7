"""How late the ends of crowds are noticed, and for how many polls: the real poller in simulated time."""

from __future__ import annotations

import math
import random

import pytest
from poll_simulation import SimulatedJob, one_after_another, run_crowd, uniform, watch_crowd


@pytest.mark.parametrize(("count", "polls"), [(3_000, 10), pytest.param(10_000, 7, marks=pytest.mark.long)])
def test_detect_lag_of_a_crowd_is_a_few_seconds(count, polls):
    crowd = watch_crowd(uniform(count, 20, 60, per_second=300))
    assert len(crowd.noticed) == count
    assert crowd.quantile(0.5) < 2.5
    assert crowd.quantile(0.95) < 7
    assert crowd.polls_per_job < polls


def test_detect_lag_crowd_started_in_one_moment_is_noticed_as_fast_as_polls_allow():
    crowd = watch_crowd(uniform(5_000, 20, 60), polls_per_second=500)
    assert crowd.quantile(0.5) < 5  # one round of polls takes 10 s at first
    assert crowd.quantile(0.95) < 15


def test_detect_lag_crowd_that_goes_on_is_noticed_in_time_with_few_polls():
    drawn = random.Random(4)
    jobs = one_after_another(drawn.uniform(20, 60) for _ in range(3_000))
    crowd = watch_crowd(jobs, in_flight=1_000)
    assert crowd.quantile(0.5) < 2.5
    assert crowd.quantile(0.95) < 6
    assert crowd.polls_per_job < 8


@pytest.mark.parametrize("count", [64, 3_000])
def test_detect_lag_jobs_of_seconds_are_noticed_within_a_second(count):
    crowd = watch_crowd(uniform(count, 1, 3, per_second=300))
    assert crowd.quantile(0.5) < 0.8
    assert crowd.quantile(0.95) < 1.5
    assert crowd.polls_per_job < 3


def test_detect_lag_jobs_of_a_fifth_of_a_second_are_noticed_at_once_where_that_is_asked_for():
    jobs = one_after_another([0.2] * 500)
    crowd = watch_crowd(jobs, in_flight=20, detect_lag=0.001)
    assert crowd.mean < 0.05
    assert crowd.polls_per_job < 4
    usual = watch_crowd(jobs, in_flight=20)
    assert usual.polls_per_job < 1.1, "nobody asked for more"


def test_detect_lag_small_share_lowers_the_floor_of_short_jobs_too():
    drawn = random.Random(11)
    jobs = one_after_another(drawn.uniform(1, 3) for _ in range(500))
    crowd = watch_crowd(jobs, in_flight=20, detect_lag=0.01)
    assert 0.05 < crowd.mean < 0.15
    assert crowd.mean < watch_crowd(jobs, in_flight=20).mean / 3


def test_detect_lag_sixty_four_jobs_are_noticed_as_closely_as_was_asked_for():
    crowd = watch_crowd(uniform(64, 20, 60, per_second=300))
    assert crowd.mean < 0.05 * 40 * 1.3


def test_detect_lag_jobs_of_minutes_are_noticed_as_closely_as_was_asked_for():
    crowd = watch_crowd(uniform(1_500, 180, 600, per_second=300))
    assert crowd.mean < 0.05 * 390 * 1.2
    assert crowd.polls_per_job < 25


def test_detect_lag_two_populations_of_one_workflow_are_each_polled_when_they_end():
    drawn = random.Random(5)
    jobs = [
        SimulatedJob(number / 300, (5 if drawn.random() < 0.5 else 300) * drawn.uniform(0.9, 1.1))
        for number in range(1_500)
    ]
    crowd = watch_crowd(jobs)
    short = sorted(each.late for each in crowd.noticed if each.job.run_time < 50)
    long = [each.late for each in crowd.noticed if each.job.run_time > 50]
    assert short[len(short) * 95 // 100] < 2
    assert sum(long) / len(long) < 0.08 * 300
    assert crowd.polls_per_job < 20


def test_detect_lag_step_to_shorter_run_times_is_learned_from_the_first_of_them():
    drawn = random.Random(6)
    jobs = one_after_another((300 if n < 300 else 5) * drawn.uniform(0.8, 1.2) for n in range(1_200))
    crowd = watch_crowd(jobs, in_flight=100)
    short = [each.late for each in crowd.noticed if each.job.run_time < 50]
    assert max(short) < 300
    learned = sorted(short[200:])
    assert learned[len(learned) // 2] < 1
    assert learned[len(learned) * 95 // 100] < 5


def test_detect_lag_step_to_longer_run_times_is_learned():
    drawn = random.Random(7)
    jobs = one_after_another((30 if n < 200 else 120) * drawn.uniform(0.8, 1.2) for n in range(600))
    crowd = watch_crowd(jobs, in_flight=20)
    last = crowd.noticed[-200:]
    assert sum(each.late for each in last) / len(last) < 0.05 * 120 * 1.5
    assert crowd.polls_per_job < 15


def test_detect_lag_crowd_of_twenty_finds_out_by_a_few_of_them():
    drawn = random.Random(12)
    crowd = watch_crowd([SimulatedJob(0, 60 * math.exp(drawn.gauss(0, 0.3))) for _ in range(20)])
    assert crowd.polls_per_job < 20
    assert crowd.mean < 0.05 * 60 * 2


def test_detect_lag_few_jobs_wait_for_no_others():
    crowd = watch_crowd([SimulatedJob(0, seconds) for seconds in (40, 100, 600, 3000)])
    for each in crowd.noticed:
        assert each.late < 0.15 * each.job.run_time


def test_detect_lag_rare_long_jobs_are_noticed_in_time_however_many_short_ones_were_seen():
    drawn = random.Random(13)
    long, short = 900, 40
    jobs = one_after_another(
        (long if drawn.random() < 0.2 else short) * math.exp(drawn.gauss(0, 0.3)) for _ in range(500)
    )
    crowd = watch_crowd(jobs, in_flight=20)
    assert max(each.late / each.job.run_time for each in crowd.noticed if each.job.run_time > 300) < 0.5
    assert crowd.mean < 0.05 * 200
    assert crowd.polls_per_job < 16


def test_detect_lag_jobs_found_running_after_a_restart_are_noticed_in_time():
    crowd = watch_crowd(uniform(1_000, 5, 60), started_long_ago=True)
    assert crowd.quantile(0.5) < 3
    assert crowd.quantile(0.95) < 8


@pytest.mark.parametrize(("sigma", "ratio"), [(0.3, 0.75), (0.5, 0.95), (1.0, 1.3)])
def test_detect_lag_polls_are_fewer_than_any_fixed_interval_needs_for_the_same_lag(sigma, ratio):
    drawn = random.Random(8)
    run_times = [60 * math.exp(drawn.gauss(0, sigma)) for _ in range(500)]
    crowd = watch_crowd(one_after_another(run_times), in_flight=20, detect_lag=0.06)
    assert crowd.mean < 0.06 * 60 * 1.6
    assert crowd.polls_per_job < ratio * _polls_at_fixed_interval(run_times, crowd.mean)


def _polls_at_fixed_interval(run_times, mean_lag):
    low, high = 0.05, 1000.0
    for _ in range(40):
        interval = math.sqrt(low * high)
        polls = [math.ceil(seconds / interval) for seconds in run_times]
        late = sum(n * interval - seconds for n, seconds in zip(polls, run_times, strict=True))
        low, high = (low, interval) if late / len(run_times) > mean_lag else (interval, high)
    return sum(polls) / len(polls)


# What saturates


def test_detect_lag_short_jobs_do_not_wait_behind_the_polls_of_a_crowd_of_another_workflow():
    crowd_of_long = uniform(5_000, 20, 60, per_second=300, workflow="long")
    drawn = random.Random(9)
    short = [SimulatedJob(n * 0.4, drawn.uniform(1, 3), "short") for n in range(150)]
    crowd = watch_crowd([*crowd_of_long, *short], polls_per_second=150)
    assert crowd.of("long").quantile(0.5) > 5, "polls are scarce"
    assert crowd.of("short").quantile(0.5) < 1.5
    assert crowd.of("short").quantile(0.95) < 5


def test_detect_lag_polls_keep_to_what_the_client_can_do_and_are_shared_by_all_jobs():
    crowd = watch_crowd(uniform(3_000, 20, 60, per_second=300), polls_per_second=100)
    assert crowd.polls <= 100 * crowd.seconds + 1
    assert max(each.late for each in crowd.noticed) < 3 * 3_000 / 100


def test_detect_lag_crowd_of_unknown_run_time_is_not_polled_for_nothing():
    """Five quick failures tell nothing of an hour's jobs."""
    drawn = random.Random(10)
    jobs = [SimulatedJob(n / 300, 1.0 if n % 600 == 0 else drawn.uniform(1800, 3600)) for n in range(3_000)]
    crowd = watch_crowd(jobs)
    assert crowd.polls_per_job < 12


# What has to share a rate


@pytest.mark.parametrize("rate", [200.0, 50.0])
def test_detect_lag_polls_and_new_work_share_a_rate_so_that_neither_waits_for_the_other(rate):
    jobs = one_after_another(job.run_time for job in uniform(int(10 * rate), 1, 3))
    crowd = run_crowd(jobs, api_rate=rate, in_flight=int(2.5 * rate))
    ideal = 4 * len(jobs) / rate
    assert crowd.quantile(0.5) < 1.5
    assert crowd.quantile(0.95) < 5
    assert crowd.polls_per_job < 1.8
    assert crowd.seconds < 1.25 * ideal + 5  # the first are learned from, the last are waited for


def test_detect_lag_jobs_that_need_no_sparing_are_noticed_as_closely_as_without_a_rate():
    jobs = one_after_another(job.run_time for job in uniform(300, 20, 60))
    crowd = run_crowd(jobs, api_rate=200, in_flight=100)
    assert crowd.mean < 0.05 * 40 * 1.3
