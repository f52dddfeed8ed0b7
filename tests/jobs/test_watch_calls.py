"""Callbacks and the watcher: polls saved where they arrive, nothing but latency lost where they do not."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtual_time import run_virtual
from watched_opus import FakeOpus, now, watching

from opus_async.jobs.callback_trust import EARLY_CALLBACKS, ENDS_COUNTED, ENDS_ENOUGH, CallbackTrust
from opus_async.jobs.ended import ToldBy
from opus_async.jobs.polling import (
    FIRST_POLL_UNKNOWN,
    MAX_INTERVAL,
    MIN_INTERVAL,
    OVERDUE_FACTOR,
    PollSchedule,
)
from opus_async.jobs.run_times import MIN_SAMPLES, RunTimeStats
from opus_async.models import JobStatus


class CallingOpus(FakeOpus):
    """Calls back as a script says: seconds after the end for each job, None for never."""

    def __init__(self, call_after=lambda name: 0.02, **options):
        super().__init__(**options)
        self.call_after = call_after
        self.late: list[float] = []

    async def run(self, watcher, name, seconds):
        """Run one job to its noticed end; keep how late that was."""
        self.ends[name] = now() + seconds
        for after in self.calls(name):
            asyncio.get_running_loop().call_at(self.ends[name] + after, watcher.wake, name)
        assert (await watcher.wait(name, workflow_id="w", calls_back=True)).status == JobStatus.COMPLETED
        self.late.append(now() - self.ends[name])

    def calls(self, name):
        after = self.call_after(name)
        return after if isinstance(after, list) else [] if after is None else [after]


def times_of(watcher, opus):
    return watcher._queue.workflow(opus, "w").of_known_start.times


async def crowd(opus, count=300, at_once=100, seconds=lambda: 60.0):
    """Run many jobs, some at once; return the looks per job of those after the first wave."""
    async with watching(opus) as watcher:
        slots = asyncio.Semaphore(at_once)

        async def one(number):
            async with slots:
                await opus.run(watcher, str(number), seconds())

        await asyncio.gather(*(one(number) for number in range(count)))
    return sum(opus.asked[str(number)] for number in range(count)) / count


def test_watcher_polls_about_once_per_job_if_callbacks_arrive():
    opus = CallingOpus()
    looks = run_virtual(crowd(opus))
    assert looks < 1.6
    assert max(opus.late) < 0.1


def test_watcher_polls_little_for_quick_or_uneven_jobs_with_callbacks():
    drawn = random.Random(1)
    for seconds in (lambda: 0.6, lambda: drawn.uniform(1, 120), lambda: 7200.0):
        opus = CallingOpus()
        assert run_virtual(crowd(opus, count=1000, seconds=seconds)) < 2.2
        assert max(opus.late) < 0.1


def test_watcher_detects_ends_if_no_callback_ever_comes():
    silent = CallingOpus(call_after=lambda name: None)
    run_virtual(crowd(silent))
    first, later = sorted(silent.late[:100]), silent.late[100:]
    assert max(first) < 60  # the scouts tell the rest of the first wave
    assert max(later) <= 2 * 0.05 * 60 + 0.2


def test_watcher_detects_end_after_lost_callback():
    def lost(name):
        return None if int(name) % 10 == 9 else 0.02

    opus = CallingOpus(call_after=lost)
    assert run_virtual(crowd(opus, count=500)) < 2.0
    assert len(opus.late) == 500
    assert max(opus.late) < 0.25 * 60 + 1


def test_watcher_detects_end_after_premature_callback():
    opus = CallingOpus(call_after=lambda name: [-30.0])
    run_virtual(crowd(opus))
    assert max(opus.late) <= 2 * 0.05 * 60 + 0.2


def test_watcher_detects_end_by_second_callback_after_premature_one():
    opus = CallingOpus(call_after=lambda name: [-30.0, 0.02])
    run_virtual(crowd(opus))
    assert max(opus.late) < 0.1


def test_watcher_adapts_if_callbacks_stop_or_begin():
    stopped = CallingOpus(call_after=lambda name: 0.02 if int(name) < 200 else None)
    run_virtual(crowd(stopped, count=600))
    assert max(stopped.late[-100:]) <= 2 * 0.05 * 60 + 0.2
    begun = CallingOpus(call_after=lambda name: 0.02 if int(name) >= 200 else None)
    run_virtual(crowd(begun, count=600))
    assert sum(begun.asked[str(number)] for number in range(500, 600)) / 100 < 2


def test_watcher_uses_callback_that_came_before_the_wait():
    async def main():
        opus = CallingOpus(call_after=lambda name: None)
        async with watching(opus) as watcher:
            watcher.wake("1")
            began = now()
            await opus.run(watcher, "1", 0.0)
            assert now() - began < 0.1

    run_virtual(main())


def test_watcher_bounds_memory_of_callbacks_without_waiter():
    async def main():
        async with watching(FakeOpus()) as watcher:
            for number in range(EARLY_CALLBACKS * 3):
                watcher.wake(str(number))
            assert len(watcher._early) == EARLY_CALLBACKS

    run_virtual(main())


def test_watcher_polls_again_after_callback_during_poll():
    async def main():
        opus = CallingOpus(latency=1.0, call_after=lambda name: [0.5])
        async with watching(opus) as watcher:
            opus.ends["1"] = now() + 10
            opus.calls_at = now() + 9.9
            asyncio.get_running_loop().call_at(now() + 9.9, watcher.wake, "1")
            asyncio.get_running_loop().call_at(now() + 10.2, watcher.wake, "1")
            began = now()
            await watcher.wait("1", workflow_id="w", calls_back=True)
            assert now() - began < 12.0

    run_virtual(main())


def test_watcher_learns_run_time_from_callback():
    async def main():
        opus = CallingOpus()
        async with watching(opus) as watcher:
            for number in range(MIN_SAMPLES * 3):
                await opus.run(watcher, str(number), 60.0)
            assert times_of(watcher, opus).quantile(0.5) == pytest.approx(60, abs=0.1)

    run_virtual(main())


def test_watcher_polls_paused_job_rarely_and_wakes_on_callback():
    async def main():
        opus = CallingOpus(call_after=lambda name: 0.02)
        opus.answers["1"] = [JobStatus.WAITING] * 1000
        async with watching(opus) as watcher:
            run = asyncio.ensure_future(opus.run(watcher, "1", 36_000.0))
            await asyncio.sleep(35_999)
            opus.answers["1"].clear()
            await run
        assert opus.asked["1"] < 300
        assert max(opus.late) < 0.1

    run_virtual(main())


# The arithmetic


@given(told=st.lists(st.booleans(), max_size=60))
def test_callback_trust_follows_newest_ends(told):
    calls = CallbackTrust()
    for each in told:
        calls.learn(told=each)
    newest = told[-ENDS_COUNTED:]
    expected = None if len(newest) < ENDS_ENOUGH else sum(newest) * 2 >= len(newest)
    assert calls.reliable is expected


@given(
    age=st.floats(0, 1e6),
    samples=st.lists(st.floats(0, 1e5), max_size=30),
    lag=st.floats(0.001, 10),
    crowd=st.integers(1, 60),
    waiting=st.none() | st.floats(0, 1e6),
)
def test_poll_schedule_interval_with_callback_is_bounded(age, samples, lag, crowd, waiting):
    times = RunTimeStats()
    for sample in samples:
        times.learn(sample)
    rest = PollSchedule(lag).interval_with_callback(age, times, crowd, waiting)
    assert rest >= 2 * MIN_INTERVAL
    if waiting is None and times.known and len(samples) >= crowd:
        assert (
            rest + age
            <= max(OVERDUE_FACTOR * times.quantile(0.9), OVERDUE_FACTOR * age, age + 4 * MIN_INTERVAL) + 1e-6
        )
    elif waiting is None:
        assert min(FIRST_POLL_UNKNOWN, MAX_INTERVAL) <= rest <= MAX_INTERVAL


def test_watcher_replaces_scouts_misled_by_early_callbacks():
    opus = CallingOpus(call_after=lambda name: [-50.0] if int(name) < 10 else None)
    run_virtual(crowd(opus, count=60, at_once=60))
    assert max(opus.late) < 60


def test_watcher_polls_little_for_jobs_of_different_length_started_together():
    drawn = random.Random(2)
    opus = CallingOpus()
    assert run_virtual(crowd(opus, count=100, at_once=100, seconds=lambda: drawn.uniform(10, 20))) < 1.6
    assert max(opus.late) < 0.1


def test_watcher_polls_little_more_if_callback_precedes_status():
    for seconds in (60.0, 7200.0):
        ahead = CallingOpus(call_after=lambda name: [-0.3])
        looks = run_virtual(crowd(ahead, seconds=lambda seconds=seconds: seconds))
        assert max(ahead.late) < 2
        assert looks < 6  # three more than with a call in time


def test_watcher_lag_is_not_raised_by_one_run_that_took_days():
    drawn = iter([60.0] * 9 + [259_200.0] + [60.0] * 60)
    opus = CallingOpus(call_after=lambda name: None if int(name) == 50 else 0.02)
    run_virtual(crowd(opus, count=60, at_once=1, seconds=lambda: next(drawn)))
    assert max(opus.late) < 4 * 60


def test_watcher_does_not_learn_run_time_of_job_that_was_paused():
    async def main():
        opus = CallingOpus()
        opus.answers["1"] = [JobStatus.WAITING] * 30 + [JobStatus.IN_PROGRESS] * 2
        async with watching(opus) as watcher:
            await opus.run(watcher, "1", 3600.0)
            assert times_of(watcher, opus).seen == 0

    run_virtual(main())


def test_watcher_reports_callback_as_source_of_end():
    async def main():
        opus = CallingOpus()
        async with watching(opus) as watcher:
            opus.ends["1"] = now() + 200
            asyncio.get_running_loop().call_at(opus.ends["1"] + 0.02, watcher.wake, "1")
            ended = await watcher.wait("1", workflow_id="w", calls_back=True)
        assert ended.told_by is ToldBy.CALLBACK
        assert ended.last_seen_running <= opus.ends["1"] <= ended.seen_at

    run_virtual(main())
