"""The deadline of a wait: a last poll is made at it, and only there one more than without it."""

from __future__ import annotations

import asyncio
import math

import pytest
from fake_platform import FakePlatform, lifecycle_on
from virtual_time import run_virtual
from watched_opus import FakeOpus, now, watching

from opus_async.errors import DeadlineExceeded, ServerError
from opus_async.jobs.ended import AFTER_DEADLINE, Overdue
from opus_async.jobs.pausing import WhenPaused
from opus_async.jobs.polling import MIN_INTERVAL
from opus_async.models import JobRequest, JobStatus

RUNS = JobStatus.IN_PROGRESS


def waited(opus, *, until, **options):
    """How the wait for a job ended (Overdue or its status), and how long it took."""

    async def main():
        async with watching(opus) as watcher:
            began = now()
            opus.ends = {name: began + seconds for name, seconds in opus.ends.items()}
            try:
                return (await watcher.wait("1", until=began + until, **options)).status, now() - began
            except Overdue:
                return Overdue, now() - began

    return run_virtual(main())


def polls_in(seconds):
    """Moments at which a job that runs for ever is polled without a deadline."""
    opus = FakeOpus()
    opus.ends["1"] = math.inf

    async def main():
        async with watching(opus) as watcher:
            began = now()
            wait = asyncio.ensure_future(watcher.wait("1"))
            await asyncio.sleep(seconds)
            wait.cancel()
            await asyncio.gather(wait, return_exceptions=True)
            return [moment - began for moment in opus.moments.get("1", ())]

    return run_virtual(main())


@pytest.mark.parametrize("until", [0.3, 0.9, 2.0, 7.3, 61.7])
def test_deadline_end_right_before_it_is_seen(until):
    opus = FakeOpus()
    opus.ends["1"] = until - 0.01
    status, seconds = waited(opus, until=until)
    assert status == JobStatus.COMPLETED
    assert until <= seconds < until + 0.1


@pytest.mark.parametrize("until", [0.3, 0.9, 2.0, 7.3, 61.7])
def test_deadline_costs_at_most_one_poll_more(until):
    opus = FakeOpus()
    opus.ends["1"] = math.inf
    assert waited(opus, until=until) == (Overdue, pytest.approx(until + 0.01))
    before = [moment for moment in polls_in(until) if moment < until - MIN_INTERVAL]
    assert opus.asked["1"] == len(before) + 1


def test_deadline_end_long_before_it_is_seen_as_without_it():
    seen = []
    for until in (math.inf, 600.0):
        opus = FakeOpus()
        opus.ends["1"] = 60
        seen.append((*waited(opus, until=until), opus.asked["1"]))
    assert seen[0] == seen[1]


def test_deadline_that_has_passed_allows_one_poll():
    opus = FakeOpus()
    opus.ends["1"] = math.inf
    assert waited(opus, until=-1.0)[0] is Overdue
    assert opus.asked["1"] == 1
    opus.ends["1"] = -2.0
    assert waited(opus, until=-1.0)[0] == JobStatus.COMPLETED


def test_deadline_bad_end_at_it_is_confirmed():
    opus = FakeOpus()
    opus.answers["1"] = [RUNS, JobStatus.FAILED, JobStatus.FAILED]
    status, seconds = waited(opus, until=1.6)
    assert status == JobStatus.FAILED
    assert 2.1 <= seconds < 2.2


def test_deadline_bad_end_that_is_not_confirmed_is_overdue():
    opus = FakeOpus()
    opus.answers["1"] = [RUNS, JobStatus.FAILED, RUNS]
    assert waited(opus, until=1.6)[0] is Overdue
    assert opus.asked["1"] == 3


def test_deadline_ends_wait_for_job_whose_status_cannot_be_read():
    opus = FakeOpus()
    opus.answers["1"] = [ServerError("down", status=502)] * 1000
    status, seconds = waited(opus, until=100)
    assert status is Overdue
    assert seconds == pytest.approx(100.01)


def test_deadline_last_poll_that_is_not_answered_ends_the_wait():
    opus = FakeOpus(latency=3600)
    opus.ends["1"] = math.inf
    assert waited(opus, until=2.0) == (Overdue, pytest.approx(2.0 + AFTER_DEADLINE))


def test_deadline_poll_on_its_way_is_followed_by_the_last():
    opus = FakeOpus(latency=0.8)
    opus.ends["1"] = 1.9
    status, _ = waited(opus, until=2.0)  # asked before 1.9 s, answered after 2 s
    assert status == JobStatus.COMPLETED


def test_deadline_is_kept_when_polls_are_planned_anew():
    async def main():
        opus = FakeOpus()
        async with watching(opus) as watcher:
            began = now()
            opus.ends = {str(n): began + 20 + n / 10 for n in range(200)} | {"late": math.inf}
            late = asyncio.ensure_future(watcher.wait("late", workflow_id="w", until=began + 50))
            await asyncio.gather(*(watcher.wait(str(n), workflow_id="w") for n in range(200)))
            with pytest.raises(Overdue):
                await late
            assert now() - began == pytest.approx(50.01)

    run_virtual(main())


# The lifecycle


def ran(platform, *, timeout, **options):
    async def main():
        lifecycle, watcher = lifecycle_on(platform)
        began = now()
        try:
            outcome = await lifecycle.run(JobRequest({}, timeout=timeout), **options)
        except DeadlineExceeded as error:
            return error, now() - began
        finally:
            await watcher.close()
        return outcome, now() - began

    return run_virtual(main())


def test_deadline_job_that_ended_just_before_it_has_an_outcome():
    platform = FakePlatform(run_time=60.0)
    started_after = 4 * platform.step
    outcome, seconds = ran(platform, timeout=60.0 + started_after + 0.05)
    assert outcome.ok
    assert outcome.outputs == {"Answer": 42}
    assert seconds < 61


def test_deadline_of_job_that_goes_on_raises_at_it():
    error, seconds = ran(FakePlatform(run_time=3600), timeout=60)
    assert error.last_status == RUNS
    assert seconds == pytest.approx(60, abs=0.1)


def test_deadline_answer_that_does_not_come_is_not_waited_for_long():
    class Silent(FakePlatform):
        async def poll(self, workflow_id, remote_ids):
            await asyncio.sleep(3600)

    error, seconds = ran(Silent(), timeout=60)
    assert error.last_status is None
    assert seconds == pytest.approx(60 + AFTER_DEADLINE)


def test_deadline_results_that_do_not_come_are_not_waited_for_long():
    class Slow(FakePlatform):
        async def collect(self, remote_id, status):
            await asyncio.sleep(3600)

    error, seconds = ran(Slow(run_time=59.0), timeout=60)
    assert "ended as COMPLETED" in str(error)
    assert seconds == pytest.approx(60 + AFTER_DEADLINE)


def test_deadline_bounds_answer_to_a_pause():
    class Pauses(FakePlatform):
        def can_resume(self, status):
            return True

        async def poll(self, workflow_id, remote_ids):
            return dict.fromkeys(remote_ids, JobStatus.WAITING)

    async def ask(paused):
        await asyncio.sleep(3600)

    _, seconds = ran(Pauses(), timeout=60, on_paused=ask)
    assert seconds == pytest.approx(60)
    outcome, _ = ran(Pauses(), timeout=60, on_paused=WhenPaused.RETURN)
    assert outcome.status == JobStatus.WAITING
