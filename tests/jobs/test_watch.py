"""The watcher: one scheduler, each job at most once at a time, intervals that learn."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_time import run_virtual
from watched_opus import FakeOpus, Watching, now, watching

from opus_async.errors import (
    AuthenticationError,
    HostDown,
    InvalidInputs,
    NotFound,
    Obstacle,
    OpusError,
    ProtocolError,
    RateLimited,
    ServerError,
    TransportError,
)
from opus_async.events import CurrentJob, current_job
from opus_async.jobs.ended import ToldBy
from opus_async.jobs.poll_queue import WORKFLOWS
from opus_async.jobs.polling import MIN_INTERVAL, PollSchedule
from opus_async.jobs.run_times import MIN_SAMPLES, RunTimeStats
from opus_async.jobs.watch import Watcher
from opus_async.models import JobStatus


def test_watcher_detects_end_within_lag_for_unknown_workflow():
    async def main():
        opus = FakeOpus()
        async with watching(opus) as watcher:
            began = now()
            opus.ends["1"] = began + 60
            assert (await watcher.wait("1", workflow_id="w")).status == JobStatus.COMPLETED
            late = now() - opus.ends["1"]
        assert 0 <= late <= 2 * 0.05 * 60 + 0.1
        assert opus.asked["1"] < 40

    run_virtual(main())


@pytest.mark.parametrize("detect_lag", [3, 10])
def test_watcher_of_the_loosest_lag_sees_an_end_within_minutes(detect_lag):
    async def main():
        opus = FakeOpus()
        watcher = Watcher(detect_lag=detect_lag, patience=60, jitter=lambda: 1.0)
        for name in map(str, range(30)):
            began = now()
            opus.ends[name] = began + 20
            await watcher.wait(opus, name, workflow_id="w")
            assert now() - began < 15 * 20
        await watcher.close()

    run_virtual(main())


def test_watcher_does_not_poll_before_learned_run_time():
    async def main():
        opus = FakeOpus()
        async with watching(opus) as watcher:

            async def one(name: str) -> None:
                opus.ends[name] = now() + 60
                await watcher.wait(name, workflow_id="w")

            for number in range(MIN_SAMPLES + 3):
                await one(f"first {number}")
            began = now()
            await one("then")
            assert min(opus.moments["then"]) - began >= 40
            assert opus.asked["then"] <= 6
            assert now() - began - 60 <= 2 * 0.05 * 60 + 0.1

    run_virtual(main())


def test_watcher_handles_thousand_jobs_with_few_workers():
    async def main():
        opus = FakeOpus(latency=0.02)
        async with watching(opus, workers=32) as watcher:
            began = now()
            for number in range(1000):
                opus.ends[str(number)] = began + 5 + number / 100
            waits = [asyncio.ensure_future(watcher.wait(str(n), workflow_id="w")) for n in range(1000)]
            await asyncio.sleep(0.1)
            assert len(watcher) == 1000
            workers = [task for task in asyncio.all_tasks() if task.get_name() == "opus_async watcher"]
            assert len(workers) <= 32
            assert {ended.status for ended in await asyncio.gather(*waits)} == {JobStatus.COMPLETED}
            assert opus.most_at_once <= 32
        assert sum(opus.asked.values()) / 1000 < 15

    run_virtual(main())


def test_watcher_limits_polls_of_many_jobs_of_unknown_workflow():
    async def main():
        opus = FakeOpus()
        async with watching(opus) as watcher:
            for number in range(1000):
                opus.ends[str(number)] = now() + 3600
            waits = [asyncio.ensure_future(watcher.wait(str(n), workflow_id="w")) for n in range(1000)]
            await asyncio.sleep(60)
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        assert sum(opus.asked.values()) <= 110 * 60

    run_virtual(main())


def test_watcher_polls_paused_job_rarely_and_detects_its_end():
    async def main():
        opus = FakeOpus()
        async with watching(opus) as watcher:
            day = 24 * 3600
            opus.answers["1"] = [JobStatus.WAITING] * 10_000
            wait = asyncio.ensure_future(watcher.wait("1", workflow_id="w"))
            await asyncio.sleep(day)
            assert opus.asked["1"] < 350
            opus.answers["1"].clear()
            began = now()
            assert (await wait).status == JobStatus.COMPLETED
            assert now() - began <= 301

    run_virtual(main())


def test_watcher_waits_out_transient_faults_without_limit():
    async def main():
        opus = FakeOpus()
        lost = TransportError("reset", request_sent=True)
        gone = ServerError("down", status=502)
        opus.answers["1"] = [lost, gone] * 200
        async with watching(opus, patience=10) as watcher:
            began = now()
            assert (await watcher.wait("1")).status == JobStatus.COMPLETED
            assert now() - began > 3600

    run_virtual(main())


@pytest.mark.parametrize("error", [NotFound("no such job", status=404), ProtocolError("not JSON")])
def test_watcher_tolerates_nonsensical_answers_only_for_its_patience(error):
    async def main():
        opus = FakeOpus()
        opus.answers["short"] = [error] * 3
        opus.answers["long"] = [error] * 1000
        async with watching(opus, patience=60) as watcher:
            assert (await watcher.wait("short")).status == JobStatus.COMPLETED
            began = now()
            with pytest.raises(type(error)):
                await watcher.wait("long")
            assert 60 <= now() - began <= 120

    run_virtual(main())


def test_watcher_waits_for_down_host_without_limit_unless_outage_is_set():
    down = HostDown("gone", host="operator.opus.com", seconds=120, request_sent=False)

    async def main():
        opus = FakeOpus()
        opus.answers["1"] = [down] * 200
        async with watching(opus, patience=10) as watcher:
            assert (await watcher.wait("1")).status == JobStatus.COMPLETED
        opus.answers["2"] = [down]
        async with watching(opus, patience=10, outage=3600) as watcher:
            with pytest.raises(HostDown):
                await watcher.wait("2")

    run_virtual(main())


@pytest.mark.parametrize(
    "error",
    [
        ProtocolError("an HTML page"),
        TransportError("elsewhere", request_sent=True, retryable=False, obstacle=Obstacle.REDIRECT),
        TransportError("too large", request_sent=True, retryable=False, obstacle=Obstacle.TOO_LARGE),
    ],
)
def test_watcher_gives_up_odd_answers_of_one_job_after_half_a_minute(error):
    async def main():
        opus = FakeOpus()
        opus.well = True
        opus.answers["1"] = [error] * 1000
        async with watching(opus, patience=600, outage=3600) as watcher:
            began = now()
            with pytest.raises(type(error)):
                await watcher.wait("1")
            assert 30 <= now() - began <= 70

    run_virtual(main())


@pytest.mark.parametrize("error", [ServerError("down", status=500), RateLimited("slow", status=429)])
def test_watcher_gives_up_failures_of_one_job_after_outage_time(error):
    async def main():
        opus = FakeOpus()
        opus.well = True
        opus.answers["1"] = [error] * 1000
        async with watching(opus, patience=60, outage=600) as watcher:
            began = now()
            with pytest.raises(type(error)):
                await watcher.wait("1")
            assert 600 <= now() - began <= 700

    run_virtual(main())


def test_watcher_gives_up_html_answers_after_outage_time():
    async def main():
        opus = FakeOpus()
        opus.answers["1"] = [ProtocolError("an HTML page")] * 1000
        opus.answers["2"] = [NotFound("no such job", status=404)] * 1000
        async with watching(opus, patience=60, outage=3600) as watcher:
            began = now()
            with pytest.raises(ProtocolError):
                await watcher.wait("1")
            assert 3600 <= now() - began <= 3700
            began = now()
            with pytest.raises(NotFound):
                await watcher.wait("2")
            assert 60 <= now() - began <= 120

    run_virtual(main())


def test_watcher_believes_401_after_three_in_a_row():
    async def main():
        opus = FakeOpus()
        denied = AuthenticationError("no", status=401)
        opus.answers["1"] = [denied, JobStatus.IN_PROGRESS, denied, denied]
        opus.answers["2"] = [denied] * 3
        async with watching(opus) as watcher:
            assert (await watcher.wait("1")).status == JobStatus.COMPLETED
            with pytest.raises(AuthenticationError):
                await watcher.wait("2")

    run_virtual(main())


def test_trap_13_an_unknown_status_is_watched_on_and_told():
    async def main():
        opus = FakeOpus()
        strange = JobStatus("UNKNOWN", raw="BRAND_NEW")
        opus.answers["1"] = [strange]
        seen = []
        async with watching(opus) as watcher:
            await watcher.wait("1", on_status=seen.append)
        assert [status.raw for status in seen] == ["BRAND_NEW", "COMPLETED"]

    run_virtual(main())


def test_watcher_wake_polls_at_once_even_during_a_poll():
    async def main():
        opus = FakeOpus(latency=1.0)
        async with watching(opus) as watcher:
            for number in range(MIN_SAMPLES):
                opus.ends[f"teach {number}"] = now() + 1000
                await watcher.wait(f"teach {number}", workflow_id="w")
            wait = asyncio.ensure_future(watcher.wait("1", workflow_id="w"))
            opus.ends["1"] = now() + 3
            await asyncio.sleep(2.5)
            watcher.wake("1")
            await asyncio.sleep(0.1)
            assert "1" in opus.open
            watcher.wake("1")  # now, while the first look is on its way
            began = now()
            await wait
            assert now() - began < 3
            watcher.wake("nobody")

    run_virtual(main())


def test_watcher_allows_two_waiters_for_one_job():
    async def main():
        opus = FakeOpus()
        opus.ends["1"] = now() + 5
        opus.open = _NeverTwice()
        async with watching(opus) as watcher:
            both = await asyncio.gather(watcher.wait("1"), watcher.wait("1"))
        assert [ended.status for ended in both] == [JobStatus.COMPLETED] * 2

    class _NeverTwice(set):
        """Two waiters are two watches: the check of FakeOpus does not apply."""

        def __and__(self, _):
            return set()

    run_virtual(main())


@pytest.mark.parametrize("left", [0, 1, 2])
def test_watcher_goes_on_for_others_if_one_of_several_waiters_leaves(left):
    async def main():
        opus = FakeOpus()
        opus.ends["1"] = now() + 60
        opus.open = _AlwaysEmpty()
        async with watching(opus) as watcher:
            waits = [asyncio.ensure_future(watcher.wait("1")) for _ in range(3)]
            await asyncio.sleep(10)
            waits.pop(left).cancel()
            assert [(await wait).status for wait in waits] == [JobStatus.COMPLETED] * 2
            assert len(watcher) == 0

    class _AlwaysEmpty(set):
        """Two waiters are two watches: the check of FakeOpus does not apply."""

        def __and__(self, _):
            return set()

    run_virtual(main())


def test_watcher_forgets_cancelled_wait_and_ends_idle_workers():
    async def main():
        opus = FakeOpus()
        opus.ends["1"] = now() + 3600
        async with watching(opus) as watcher:
            wait = asyncio.ensure_future(watcher.wait("1"))
            await asyncio.sleep(10)
            wait.cancel()
            with suppress(asyncio.CancelledError):
                await wait
            assert len(watcher) == 0
            await asyncio.sleep(0.1)
            assert not [task for task in asyncio.all_tasks() if "watcher" in task.get_name()]
            asked = opus.asked["1"]
            await asyncio.sleep(3600)
            assert opus.asked["1"] == asked

    run_virtual(main())


def test_watcher_close_tells_waiters_that_job_goes_on():
    async def main():
        opus = FakeOpus()
        opus.ends["1"] = now() + 3600
        watcher = Watching(opus, detect_lag=0.05, patience=10)
        wait = asyncio.ensure_future(watcher.wait("1"))
        await asyncio.sleep(1)
        await watcher.close()
        with pytest.raises(OpusError, match="goes on remotely") as caught:
            await wait
        assert caught.value.job_id == "1"

    run_virtual(main())


def test_watcher_passes_unexpected_exception_to_waiter():
    async def main():
        class Broken(FakeOpus):
            async def poll(self, workflow_id, remote_ids):
                raise ZeroDivisionError

        async with watching(Broken()) as watcher:
            with pytest.raises(ZeroDivisionError):
                await watcher.wait("1")

    run_virtual(main())


def test_watcher_unexpected_exception_of_one_job_spares_others():
    async def main():
        class Picky(FakeOpus):
            async def poll(self, workflow_id, remote_ids):
                if "bad" in remote_ids:
                    raise ZeroDivisionError
                return await super().poll(workflow_id, remote_ids)

        opus = Picky()
        opus.ends["good"] = now() + 60
        async with watching(opus) as watcher:
            good = asyncio.ensure_future(watcher.wait("good"))
            with pytest.raises(ZeroDivisionError):
                await watcher.wait("bad", poll_now=True)
            assert (await good).status == JobStatus.COMPLETED

    run_virtual(main())


def test_watcher_ends_wait_at_once_on_permanent_error():
    async def main():
        opus = FakeOpus()
        opus.answers["1"] = [InvalidInputs(["no such id"])] * 3
        async with watching(opus) as watcher:
            with pytest.raises(InvalidInputs):
                await watcher.wait("1")
        assert opus.asked["1"] == 1

    run_virtual(main())


def test_watcher_after_close_raises():
    async def main():
        watcher = Watching(FakeOpus(), detect_lag=0.05, patience=10)
        await watcher.close()
        with pytest.raises(OpusError, match="closed"):
            await watcher.wait("1")

    run_virtual(main())


def test_watcher_groups_jobs_into_batch_polls():
    async def main():
        class Grouped(FakeOpus):
            batch_size = 50
            calls = 0

            async def poll(self, workflow_id, remote_ids):
                self.calls += 1
                return await super().poll(workflow_id, remote_ids)

        opus = Grouped()
        async with watching(opus) as watcher:
            for number in range(200):
                opus.ends[str(number)] = now() + 20
            await asyncio.gather(*(watcher.wait(str(number), workflow_id="w") for number in range(200)))
        assert opus.calls < sum(opus.asked.values()) / 3

    run_virtual(main())


def test_watcher_includes_jobs_due_soon_in_same_poll():
    async def main():
        class Grouped(FakeOpus):
            batch_size = 50
            calls = 0

            async def poll(self, workflow_id, remote_ids):
                self.calls += 1
                return await super().poll(workflow_id, remote_ids)

        opus = Grouped()
        async with watching(opus) as watcher:
            began = now()

            async def one(number):
                await asyncio.sleep(number / 50)
                opus.ends[str(number)] = began + 20
                await watcher.wait(str(number), workflow_id="w")

            await asyncio.gather(*(one(number) for number in range(25)))
        assert opus.calls < sum(opus.asked.values()) / 5

    run_virtual(main())


@given(
    age=st.floats(0, 1e6),
    samples=st.lists(st.floats(0.01, 1e5), max_size=40),
    crowd=st.integers(1, 100_000),
    scout=st.booleans(),
    lag=st.floats(0.001, 10),
)
def test_poll_schedule_interval_is_finite_and_above_minimum(*, age, samples, crowd, scout, lag):
    times = RunTimeStats(PollSchedule(lag).grain)
    for sample in samples:
        times.learn(sample)
    interval = PollSchedule(lag).next_age(age, times, crowd, scout=scout) - age
    assert 2 * MIN_INTERVAL <= interval * (1 + 1e-9) < float("inf")


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=600))
@settings(max_examples=50)
def test_run_time_stats_keep_newest_samples_in_order(samples):
    times = RunTimeStats()
    for sample in samples:
        times.learn(sample)
    newest = sorted(samples[-256:])
    assert times.quantile(0) == newest[0]
    assert times.quantile(1) == newest[-1]
    assert times.known == (len(samples) >= MIN_SAMPLES)


BAD_ENDS = [JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.TIMED_OUT]


@pytest.mark.parametrize("bad", BAD_ENDS)
def test_watcher_believes_bad_end_confirmed_by_second_poll(bad):
    async def main():
        opus = FakeOpus()
        opus.answers["1"] = [bad, bad]
        seen = []
        async with watching(opus) as watcher:
            assert (await watcher.wait("1", poll_now=True, on_status=seen.append)).status == bad
        first, second = opus.moments["1"]
        assert 0.3 < second - first < 1.5
        assert seen == [bad]

    run_virtual(main())


@pytest.mark.parametrize("bad", BAD_ENDS)
def test_watcher_drops_bad_end_not_shown_by_second_poll(bad):
    async def main():
        opus = FakeOpus()
        opus.answers["1"] = [bad, JobStatus.IN_PROGRESS, bad]
        seen = []
        async with watching(opus) as watcher:
            assert (
                await watcher.wait("1", poll_now=True, on_status=seen.append)
            ).status == JobStatus.COMPLETED
        assert seen == [JobStatus.IN_PROGRESS, JobStatus.COMPLETED]

    run_virtual(main())


def test_watcher_bad_end_is_not_confirmed_by_failed_poll():
    async def main():
        opus = FakeOpus()
        opus.answers["1"] = [JobStatus.FAILED, ServerError("no", status=502), JobStatus.COMPLETED]
        async with watching(opus) as watcher:
            assert (await watcher.wait("1", poll_now=True)).status == JobStatus.COMPLETED

    run_virtual(main())


def test_watcher_believes_disagreeing_bad_ends_after_a_few_polls():
    async def main():
        opus = FakeOpus()
        opus.answers["1"] = [JobStatus.FAILED, JobStatus.CANCELLED] * 50
        async with watching(opus) as watcher:
            assert (await watcher.wait("1", poll_now=True)).status.is_terminal
        assert opus.asked["1"] < 10

    run_virtual(main())


def test_watcher_believes_good_end_without_second_poll():
    async def main():
        opus = FakeOpus()
        async with watching(opus) as watcher:
            assert (await watcher.wait("1", poll_now=True)).status == JobStatus.COMPLETED
        assert opus.asked["1"] == 1

    run_virtual(main())


# How late an end is noticed


@pytest.mark.parametrize("run_time", [0.0, 0.3, 7.0, 61.0])
def test_watcher_lag_bound_covers_true_lag(run_time):
    async def main():
        opus = FakeOpus()
        async with watching(opus) as watcher:
            began = now()
            opus.ends["1"] = began + run_time
            ended = await watcher.wait("1")
            assert ended.seen_at == pytest.approx(now(), abs=0.001)
            assert ended.told_by is ToldBy.POLL
            assert ended.last_seen_running is not None
            assert began <= ended.last_seen_running <= opus.ends["1"] <= ended.seen_at
            assert ended.detect_lag == ended.seen_at - ended.last_seen_running

    run_virtual(main())


def test_watcher_lag_has_no_bound_until_job_is_seen_running():
    async def main():
        opus = FakeOpus()
        opus.ends["later"] = now() + 5
        async with watching(opus) as watcher:
            ended = await watcher.wait("long ago", poll_now=True)
            assert (ended.last_seen_running, ended.detect_lag) == (None, None)
            assert (await watcher.wait("later", poll_now=True)).detect_lag < 5

    run_virtual(main())


def test_watcher_polls_carry_context_of_waiting_job():
    named = {}

    class NamingOpus(FakeOpus):
        async def poll(self, workflow_id, remote_ids):
            named.setdefault(remote_ids[0], set()).add(current_job.get().index)
            return await super().poll(workflow_id, remote_ids)

    async def wait(watcher, index):
        current_job.set(CurrentJob(index=index))
        await watcher.wait(str(index))

    async def main():
        opus = NamingOpus()
        opus.ends = {str(index): now() + 10 + index % 7 for index in range(60)}
        async with watching(opus, workers=3) as watcher:
            await asyncio.gather(*(asyncio.ensure_future(wait(watcher, index)) for index in range(60)))

    run_virtual(main())
    assert named == {str(index): {index} for index in range(60)}


def test_watcher_remembers_a_bounded_number_of_workflows_and_forgets_none_at_work():
    async def main():
        opus = FakeOpus()
        async with watching(opus) as watcher:
            opus.ends["long"] = now() + 100_000
            long = asyncio.ensure_future(watcher.wait("long", workflow_id="at work"))
            await asyncio.sleep(0)
            at_work = watcher._queue.workflow(opus, "at work")
            for number in range(3 * WORKFLOWS):
                opus.ends[str(number)] = now() + 2
                await watcher.wait(str(number), workflow_id=f"w{number}")
            assert len(watcher._queue._workflows) <= WORKFLOWS + 1
            assert watcher._queue.workflow(opus, "at work") is at_work
            assert watcher._queue.workflow(opus, f"w{3 * WORKFLOWS - 1}").of_known_start.times.seen == 1
            assert (await long).status == JobStatus.COMPLETED

    run_virtual(main())


def test_callback_is_followed_at_once_while_polls_of_another_workflow_come_late():
    async def main():
        opus = FakeOpus(latency=1.0)
        async with watching(opus, workers=2) as watcher:
            began = now()
            opus.ends = {str(number): began + 20 for number in range(200)} | {"called": began + 60}
            crowd = [asyncio.ensure_future(watcher.wait(str(n), workflow_id="crowd")) for n in range(200)]
            job = asyncio.ensure_future(watcher.wait("called", workflow_id="w", calls_back=True))
            await asyncio.sleep(61)
            assert sum(wait.done() for wait in crowd) < 150, "two polls a second"
            watcher.wake("called")
            await job
            assert now() - began < 61 + 4
            await asyncio.gather(*crowd)

    run_virtual(main())
