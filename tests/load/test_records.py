"""What is taken down of jobs and requests, apart from any run."""

from __future__ import annotations

import asyncio

import pytest
from fake_platform import STAGES

from opus_async.load.breaches import BreachWatch
from opus_async.load.health import HealthSampler
from opus_async.load.job_record import JobRecord
from opus_async.load.level import LevelMeter
from opus_async.load.recorder import Recorder
from opus_async.load.slo import parse_slo
from opus_async.load.stages import LoadStages
from opus_async.load.throttling import ThrottlingMeter
from opus_async.load.values import Sample, Window
from opus_async.opus.stages import STAGES as OPUS
from opus_async.outcome import JobOutcome


def test_stages_of_opus_are_those_of_the_contract():
    names = LoadStages.of(OPUS).names
    assert names == ("client_wait", "presign", "upload", "initiate", "execute", "queue_run", "results")


def test_level_mean_is_that_over_time():
    meter = LevelMeter()
    for at, level in ((1.0, 1), (2.0, 2), (4.0, 1), (6.0, 0)):
        meter.change(at, level)
    assert meter.mean(Window(0.0, 10.0)) == pytest.approx((1 + 2 * 2 + 2) / 10)
    assert meter.mean(Window(3.0, 5.0)) == pytest.approx((2 + 1) / 2)
    assert meter.mean(Window(5.0, 5.0)) is None
    assert (meter.most(Window(0.0, 10.0)), meter.most(Window(4.5, 10.0))) == (2, 1)


def test_pauses_that_overlap_count_once():
    meter = ThrottlingMeter()
    meter.pause(2.0, 10.0)
    meter.pause(2.0, 11.0)
    meter.pause(0.5, 12.0)
    meter.pause(1.0, 20.0)
    assert meter.paused == pytest.approx(4.0)


def test_answers_with_429_are_told_with_their_share():
    meter = ThrottlingMeter()
    assert meter.share == 0
    for at, status in enumerate((200, 429, 200, 429)):
        meter.answered(status, float(at))
    assert (meter.throttled, meter.share, meter.at) == (2, 0.5, [1.0, 3.0])


def test_parts_of_a_job_that_overlap_count_once():
    record = JobRecord(0, 0.0, lambda: 0.0)
    record.add_part(2.0, 1.0)
    record.add_part(2.5, 1.0)
    record.add_part(9.0, 2.0)
    assert record.parts == pytest.approx(1.5 + 2.0)


def test_recorder_takes_samples_of_those_that_have_ended_as_they_end():
    now = [100.0]
    recorder = Recorder(LoadStages.of(STAGES), warm_up=1.0, clock=lambda: now[0])
    for index in range(3):
        recorder.opened(f"key-{index}", index, float(index))
    assert (recorder.started, recorder.in_flight, recorder.samples) == (3, 3, [])
    for index in range(2):
        now[0] = 103.0 + index
        recorder.ended(f"key-{index}", JobOutcome(job_id=f"j{index}", status=None))
    assert [sample.index for sample in recorder.samples] == [0, 1]
    recorder.given_up("key-2")
    assert [sample.ended for sample in recorder.samples] == [3.0, 4.0]
    assert (recorder.offered, len(recorder.drops), recorder.unknown) == (3, 1, 2)


def sample(seconds, *, status="COMPLETED", measured=True):
    return Sample(
        index=0, job_id="j", status=status, intended=1.0, started=1.0, ended=1.0 + seconds, measured=measured
    )


def lost_after(expression, samples, jobs=100):
    """After how many of these jobs an objective is lost; None for never."""
    watch = BreachWatch([parse_slo(expression, ("queue_run",))], jobs)
    return next((number for number, each in enumerate(samples, 1) if watch.lost(each)), None)


@pytest.mark.parametrize(
    ("expression", "after"),
    [
        ("e2e.p95 < 2s", 6),
        ("e2e.p50 <= 2s", 51),
        ("e2e.p95 < 4s", None),
        ("e2e.mean < 2s", None),
        ("e2e.p50 > 4s", None),
        ("error_rate < 1%", None),
    ],
)
def test_objective_is_lost_once_too_many_jobs_are_beyond_it(expression, after):
    assert lost_after(expression, [sample(3.0)] * 100) == after


def test_error_rate_is_lost_by_jobs_that_do_not_complete():
    assert lost_after("error_rate < 5%", [sample(1.0, status=None)] * 100) == 6


def test_jobs_of_the_warm_up_lose_no_objective_of_time():
    assert lost_after("e2e.p95 < 2s", [sample(3.0, measured=False)] * 100) is None


async def test_health_sees_a_loop_that_is_held_up():
    async with HealthSampler() as health:
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        until = loop.time() + 0.4
        while loop.time() < until:
            pass
        await asyncio.sleep(0.01)
    assert health.loop_lag.max > 0.2


async def test_health_tells_of_this_process():
    async with HealthSampler() as health:
        await asyncio.sleep(1.5)
    assert health.samples[0].cpu_share > 0
    assert health.rss_bytes > 10_000_000
    assert health.open_files is None or health.open_files > 2
