"""How jobs are started, recorded and given up: in virtual time, on a platform that is known exactly."""

from __future__ import annotations

import asyncio
import itertools
import math

import pytest
from load_platform import QueueingPlatform
from virtual_load import Setup, run_load_virtually

from opus_async.errors import OpusError
from opus_async.load import LIMITS
from opus_async.load.reasons import ReasonCode
from opus_async.load.verdict import Verdict
from opus_async.models import JobStatus

pytestmark = pytest.mark.usefixtures("virtual_clock")


def codes(load):
    return [reason.code for reason in load.result.judgement.reasons]


def constant(seconds=1.0, **options):
    return QueueingPlatform(run_time=seconds, constant=True, **options)


# Open loads


def test_open_load_starts_every_job_at_its_moment():
    load = run_load_virtually(Setup(constant()), rate=20, jobs=200)
    assert [sample.intended for sample in sorted(load.samples, key=lambda each: each.index)] == (
        pytest.approx(load.plan.schedule.times)
    )
    assert max(sample.started - sample.intended for sample in load.samples) < 1e-6
    assert load.result.judgement.verdict is Verdict.PASS


def test_open_load_starts_on_whatever_becomes_of_earlier_jobs():
    load = run_load_virtually(Setup(constant(100)), rate=20, jobs=200)
    assert load.figures.in_flight.max == 200
    assert load.figures.counts.completed == 200


def test_open_load_drops_arrivals_beyond_max_in_flight_and_counts_them():
    load = run_load_virtually(Setup(constant(1000)), rate=20, jobs=50, max_in_flight=10)
    counts = load.figures.counts
    assert (counts.offered, counts.started, counts.dropped) == (50, 10, {"max_in_flight": 40})
    assert codes(load) == [ReasonCode.TOO_MANY_DROPPED]


def test_open_load_latency_from_the_intended_start_holds_what_a_stall_of_the_server_cost():
    """During 10 s no request is answered; jobs arrive on, and each waits for the rest of the stall."""
    runs = 3.0
    platform = constant(runs)
    begin, end = 20.0, 30.0

    async def stalled(name, what):
        now = asyncio.get_running_loop().time() - 1000
        if begin <= now < end:
            await asyncio.sleep(end - now)

    platform._do = stalled

    def truth(at):
        """A job that comes during the stall starts at its end; one that ends in it is collected then."""
        if begin <= at < end:
            return end - at + runs
        return end - at if begin <= at + runs < end else runs

    load = run_load_virtually(Setup(platform, limits=LIMITS), rate=10, duration=50, arrival="uniform")
    times = sorted(truth(at) for at in load.plan.schedule.times)
    latency = load.figures.latency["e2e_intended"]
    assert latency.mean == pytest.approx(sum(times) / len(times), rel=0.02)
    for percent, found in ((50, latency.p50), (90, latency.p90), (95, latency.p95), (99, latency.p99)):
        assert found == pytest.approx(times[math.ceil(percent / 100 * len(times)) - 1], rel=0.02), percent


def test_stages_add_up_to_the_time_from_the_intended_start():
    load = run_load_virtually(Setup(constant(2.0, step=0.1)), rate=5, jobs=50)
    for sample in load.samples:
        assert sum(sample.stages.values()) == pytest.approx(sample.e2e_intended)
    assert load.samples[0].stages == pytest.approx(
        {"client_wait": 0.1, "pack": 0.1, "open": 0.1, "go": 0.1, "queue_run": 2.0, "take": 0.1}, abs=0.06
    )


def test_queue_run_lies_between_the_truth_and_the_truth_with_the_bound_of_its_lag():
    load = run_load_virtually(Setup(QueueingPlatform(run_time=3.0)), rate=20, jobs=200)
    for sample in load.samples:
        truth = load.platform.truth[sample.job_id]
        assert truth <= sample.stages["queue_run"] <= truth + sample.detect_lag


def test_latency_is_within_two_percent_of_the_truth():
    load = run_load_virtually(Setup(constant(5.0), limits=LIMITS), rate=10, jobs=100)
    e2e = load.figures.latency["e2e_intended"]
    assert e2e.p50 == pytest.approx(5.0, rel=0.02)
    assert e2e.p99 == pytest.approx(5.0, rel=0.02)


def test_warm_up_is_in_the_counts_and_in_no_latency():
    load = run_load_virtually(Setup(constant()), rate=10, warm_up=5, duration=10, arrival="uniform")
    assert load.figures.counts.completed == 150
    assert load.figures.latency["e2e_intended"].count == 100
    assert load.figures.rates.offered == pytest.approx(10)
    assert (load.figures.window.start, load.figures.window.end) == (5, 15)


def test_little_holds_in_a_steady_state():
    load = run_load_virtually(Setup(QueueingPlatform(servers=10, run_time=1.0)), rate=7, duration=150)
    figures = load.figures
    ratio = figures.in_flight.mean / (figures.rates.started * figures.latency["e2e_service"].mean)
    assert ratio == pytest.approx(1, abs=0.05)
    assert figures.little == pytest.approx(1, abs=0.01)


def test_backlog_that_grows_is_invalid():
    load = run_load_virtually(Setup(QueueingPlatform(servers=5, run_time=1.0)), rate=10, duration=60)
    assert load.result.judgement.verdict is Verdict.INVALID
    assert ReasonCode.BACKLOG in codes(load)


# Closed loads


def test_closed_load_keeps_as_many_jobs_in_flight_as_users():
    load = run_load_virtually(Setup(constant(2.0)), concurrency=10, jobs=100)
    assert load.figures.in_flight.max == 10
    assert load.figures.counts.completed == 100
    assert load.figures.in_flight.mean == pytest.approx(10, rel=0.05)


def test_closed_load_series_are_both_from_the_real_start():
    load = run_load_virtually(Setup(constant(2.0)), concurrency=10, jobs=100)
    latency = load.figures.latency
    assert latency["e2e_intended"] == latency["e2e_service"]
    assert load.figures.health.start_lateness_p99 is None


def test_closed_load_users_think_between_jobs():
    load = run_load_virtually(Setup(constant(1.0)), concurrency=1, think=4.0, duration=50)
    starts = [sample.started for sample in load.samples]
    gaps = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert gaps == pytest.approx([5.0] * len(gaps), abs=0.4)


def test_closed_load_that_meets_its_cap_is_stopped_and_invalid():
    load = run_load_virtually(Setup(constant(), max_jobs=20), concurrency=5, duration=100)
    assert load.figures.counts.started == 20
    assert codes(load) == [ReasonCode.CAP_REACHED]
    assert load.result.judgement.exit == 7


# Failures


def test_failed_jobs_are_told_and_not_measured():
    platform = constant()
    platform.ends_as = JobStatus.FAILED
    platform.fails = {"job-1", "job-2"}
    load = run_load_virtually(Setup(platform), rate=10, jobs=20)
    counts = load.figures.counts
    assert (counts.completed, counts.failed, counts.unknown) == (18, 2, 0)
    assert load.figures.latency["e2e_intended"].count == 18
    assert sum(load.result.failures.values()) == 2
    assert [sample.status for sample in load.samples if not sample.measured] == ["FAILED", "FAILED"]


def test_job_that_never_was_ordered_has_failed():
    platform = constant()
    platform.fail["create"] = lambda _: OpusError("no")
    load = run_load_virtually(Setup(platform), rate=10, jobs=5)
    counts = load.figures.counts
    assert (counts.completed, counts.failed, counts.unknown) == (0, 5, 0)
    assert load.result.failures == {"no": 5}
    assert ReasonCode.NO_JOBS in codes(load)


def test_run_without_an_objective_passes_and_tells_its_failures():
    platform = constant()
    platform.fails = {"job-1"}
    load = run_load_virtually(Setup(platform), rate=10, jobs=50)
    assert load.result.judgement.verdict is Verdict.PASS
    assert load.figures.counts.failed == 1


# Ends that come early


def test_interrupt_starts_no_more_jobs_and_waits_for_those_that_are_ordered():
    setup = Setup(constant(10.0, step=0.5))
    setup.control.drain_seconds = 60.0

    async def interrupt(_):
        await asyncio.sleep(3)
        setup.control.interrupt()

    setup.meanwhile = interrupt
    load = run_load_virtually(setup, rate=10, jobs=1000)
    counts = load.figures.counts
    assert 0 < counts.started < 40
    assert counts.completed == counts.started
    assert set(counts.dropped) == {"interrupted"}
    assert load.result.judgement.verdict is Verdict.INVALID
    assert load.result.judgement.exit == 130


def test_interrupt_waits_no_longer_than_asked_for():
    setup = Setup(constant(1000.0))
    setup.control.drain_seconds = 5.0

    async def interrupt(_):
        await asyncio.sleep(3)
        setup.control.interrupt()

    setup.meanwhile = interrupt
    load = run_load_virtually(setup, rate=10, jobs=1000)
    counts = load.figures.counts
    assert counts.completed == 0
    assert counts.unknown == counts.started > 0
    assert max(sample.ended for sample in load.samples) == pytest.approx(8, abs=0.1)


def test_second_interrupt_leaves_at_once():
    setup = Setup(constant(1000.0))
    setup.control.drain_seconds = 500.0

    async def interrupt(_):
        await asyncio.sleep(3)
        setup.control.interrupt()
        await asyncio.sleep(1)
        setup.control.interrupt()

    setup.meanwhile = interrupt
    load = run_load_virtually(setup, rate=10, jobs=1000)
    assert max(sample.ended for sample in load.samples) == pytest.approx(4, abs=0.1)
    assert load.result.judgement.exit == 130


def test_interrupt_of_a_closed_load_ends_users_that_think():
    setup = Setup(constant(1.0))

    async def interrupt(_):
        await asyncio.sleep(5)
        setup.control.interrupt()

    setup.meanwhile = interrupt
    load = run_load_virtually(setup, concurrency=3, think=1000.0, duration=10_000)
    assert load.figures.counts.completed == 3
    assert load.figures.window.end == pytest.approx(5, abs=0.1)


def test_cancelled_run_has_a_result_all_the_same():
    setup = Setup(constant(1000.0))
    seen = []

    async def cancel(run):
        seen.append(run)
        await asyncio.sleep(3)
        setup.task.cancel()

    setup.meanwhile = cancel
    with pytest.raises(asyncio.CancelledError):
        run_load_virtually(setup, rate=10, jobs=100)
    assert seen[0].result.judgement.verdict is Verdict.INVALID
    assert seen[0].result.figures.counts.unknown > 0


@pytest.mark.parametrize(("slo", "started"), [("e2e.p95 < 500ms", 20), ("e2e.p95 < 5s", 200)])
def test_abort_on_breach_ends_once_an_objective_cannot_be_met_any_more(slo, started):
    setup = Setup(constant(1.0), slos=(slo,), options={"abort_on_breach": True})
    load = run_load_virtually(setup, rate=10, jobs=200, arrival="uniform")
    assert load.figures.counts.started == pytest.approx(started, abs=5)
    assert (ReasonCode.STOPPED_AT_BREACH in codes(load)) is (started < 200)
