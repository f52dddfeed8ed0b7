"""One job, from inputs to outcome: order, errors, deadline, cancel at every await."""

from __future__ import annotations

import asyncio

import pytest
from fake_platform import STAGES, FakePlatform, lifecycle_on
from virtual_time import run_virtual

from opus_async.error_codes import NextAction, NextStep
from opus_async.errors import (
    DeadlineExceeded,
    InvalidInputs,
    JobFailed,
    OpusError,
    ServerError,
    TransportError,
    UploadError,
)
from opus_async.events import JobStageChanged, JobStatusSeen
from opus_async.models import AuditLog, AuditNode, JobRequest, JobStatus
from opus_async.platform import AmbiguousStart, JobResult
from opus_async.transport.dispatch import Dispatcher


def run(platform, request=None, **options):
    async def main():
        lifecycle, watcher = lifecycle_on(platform, **options)
        try:
            return await lifecycle.run(request or JobRequest({}))
        finally:
            await watcher.close()

    return run_virtual(main())


def test_lifecycle_runs_steps_in_order_with_files_before_create(platform_class):
    platform = platform_class()
    outcome = run(platform, JobRequest({"n": 7}, key="row 7"))
    steps = [name for name, _ in platform.calls if name != "poll"]
    assert steps == ["bind", "prepare", "create", "start", "collect"]
    assert outcome.ok
    assert (outcome.job_id, outcome.key, outcome.outputs) == ("job-7", "row 7", {"Answer": 42})
    assert outcome.results == {"raw": True}
    assert outcome.raise_for_status() is outcome


def test_lifecycle_timings_name_every_stage_and_add_up(platform_class):
    outcome = run(platform_class())
    stages = {name: seconds for name, seconds in outcome.timings.items() if name != "total"}
    assert list(stages) == [
        STAGES.bind,
        STAGES.prepare,
        STAGES.create,
        STAGES.start,
        STAGES.watch,
        STAGES.collect,
    ]
    assert sum(stages.values()) == pytest.approx(outcome.timings["total"])
    assert stages[STAGES.watch] >= 5


def test_lifecycle_emits_every_stage_status_and_end():
    told = []
    run(FakePlatform(), JobRequest({}, key="k"), notify=Dispatcher([told.append]))
    stages = [event.stage for event in told if isinstance(event, JobStageChanged)]
    assert stages == ["look", "pack", "open", "go", "see", "take", "done"]
    seen = [event for event in told if isinstance(event, JobStatusSeen)]
    assert [(event.job_id, event.status) for event in seen] == [
        ("job-0", "IN_PROGRESS"),
        ("job-0", "COMPLETED"),
    ]
    assert told[5:7] == seen  # after the stage in which it is watched began
    assert all(event.key == "k" for event in told)
    assert told[-1].status == "COMPLETED"


@pytest.mark.parametrize(
    ("step", "stage", "has_id"),
    [("bind", "look", False), ("prepare", "pack", False), ("create", "open", False), ("start", "go", True)],
)
def test_lifecycle_error_before_end_carries_job_id_and_stage(step, stage, has_id, platform_class):
    platform = platform_class()
    platform.fail[step] = lambda _: UploadError("no", filename="a.pdf")
    with pytest.raises(UploadError) as caught:
        run(platform)
    assert caught.value.stage == stage
    assert caught.value.job_id == ("job-0" if has_id else None)


def test_lifecycle_sends_nothing_for_invalid_inputs(platform_class):
    platform = platform_class()
    platform.fail["bind"] = lambda _: InvalidInputs(["'Threshold' is missing"])
    with pytest.raises(InvalidInputs, match="Threshold"):
        run(platform)
    assert [name for name, _ in platform.calls] == ["bind"]


def test_lifecycle_failed_job_is_an_outcome_naming_failed_nodes(platform_class):
    platform = platform_class()
    platform.ends_as = JobStatus.FAILED
    node = AuditNode(name="Agent 1", status="FAILED", error="no text found")
    platform.collected = JobResult(audit=AuditLog(nodes=(node,), failed_nodes=("Agent 1", "Agent 2")))
    outcome = run(platform)
    assert not outcome.ok
    assert outcome.status == JobStatus.FAILED
    assert outcome.outputs == {}
    with pytest.raises(JobFailed, match=r"Agent 1 \(no text found\); Agent 2") as caught:
        outcome.raise_for_status()
    assert caught.value.outcome is outcome
    assert caught.value.failed_nodes == ("Agent 1", "Agent 2")
    assert caught.value.job_id == "job-0"


@pytest.mark.parametrize("status", [JobStatus.CANCELLED, JobStatus.TIMED_OUT, JobStatus.FAILED])
def test_lifecycle_bad_end_without_audit_is_an_outcome(status, platform_class):
    platform = platform_class()
    platform.ends_as = status
    platform.collected = JobResult(audit=None)
    outcome = run(platform)
    assert outcome.status == status
    with pytest.raises(JobFailed, match=str(status)):
        outcome.raise_for_status()


def test_lifecycle_unreadable_results_give_completed_outcome_with_error(platform_class):
    platform = platform_class()
    platform.fail["collect"] = lambda _: ServerError("down", status=502)
    outcome = run(platform)
    assert outcome.status == JobStatus.COMPLETED
    assert not outcome.ok
    assert outcome.error.stage == "take"
    with pytest.raises(ServerError):
        outcome.raise_for_status()


def test_lifecycle_deadline_while_job_runs_says_how_to_go_on():
    platform = FakePlatform(run_time=3600)
    with pytest.raises(DeadlineExceeded, match="No outcome after 60 s; it goes on remotely") as caught:
        run(platform, JobRequest({}, timeout=60))
    assert caught.value.next_step == NextStep(NextAction.WAIT_FOR_JOB, "job-0")
    assert caught.value.last_status == JobStatus.IN_PROGRESS
    assert (caught.value.job_id, caught.value.stage) == ("job-0", "see")
    with pytest.raises(DeadlineExceeded):
        run(FakePlatform(run_time=3600), job_timeout=30)


def test_lifecycle_deadline_before_start_says_nothing_was_started(platform_class):
    with pytest.raises(DeadlineExceeded, match="nothing was started") as caught:
        run(platform_class(step=10), JobRequest({}, timeout=15))
    assert caught.value.next_step.action is NextAction.ALLOW_MORE_TIME


def test_lifecycle_deadline_during_start_says_job_may_run(platform_class):
    platform = platform_class()
    platform.fail["start"] = lambda _: AmbiguousStart(TransportError("lost", request_sent=True))
    with pytest.raises(DeadlineExceeded, match="may have been started") as caught:
        run(platform, JobRequest({}, timeout=5))
    assert caught.value.next_step == NextStep(NextAction.LOOK_AT_JOB, "job-0")


def test_lifecycle_deadline_after_end_keeps_terminal_status():
    platform = FakePlatform(step=30)
    outcome = run(platform, JobRequest({}, timeout=30 * 4 + 20))
    assert outcome.status == JobStatus.COMPLETED
    assert isinstance(outcome.error, DeadlineExceeded)
    assert "it ended as COMPLETED" in outcome.error.message


def test_lifecycle_foreign_timeout_is_not_taken_for_deadline(platform_class):
    platform = platform_class()
    platform.fail["prepare"] = lambda _: TimeoutError("the disk's")
    with pytest.raises(OpusError, match="the disk's") as caught:
        run(platform, JobRequest({}, timeout=60))
    assert not isinstance(caught.value, DeadlineExceeded)


def test_lifecycle_wraps_unexpected_exception_with_job_id_and_cause(platform_class):
    platform = platform_class()
    platform.fail["start"] = lambda _: ZeroDivisionError("a bug")
    with pytest.raises(OpusError, match="ZeroDivisionError") as caught:
        run(platform)
    assert (caught.value.job_id, caught.value.stage) == ("job-0", "go")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize(
    "request_",
    [
        JobRequest({}, title=5),
        JobRequest({}, key=5),
        JobRequest({}, version_number="3"),
        JobRequest({}, timeout="5"),
        JobRequest({}, timeout=float("nan")),
        JobRequest({}, timeout=-1),
    ],
)
def test_lifecycle_refuses_invalid_request_fields_before_sending(request_, platform_class):
    platform = platform_class()
    with pytest.raises(InvalidInputs, match=": give "):
        run(platform, request_)
    assert platform.calls == []


def test_lifecycle_cancelled_at_any_moment_cleans_up_and_names_job(platform_class):
    async def main(moment):
        platform = platform_class(step=1, run_time=5)
        lifecycle, watcher = lifecycle_on(platform)
        task = asyncio.ensure_future(lifecycle.run(JobRequest({})))
        await asyncio.sleep(moment)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert len(watcher) == 0
        await watcher.close()
        may_run = "start" in [name for name, _ in platform.calls]
        ended = "collect" in [name for name, _ in platform.calls]
        assert lifecycle.abandoned == (["job-0"] if may_run and not ended else [])
        notes = " ".join(getattr(caught.value, "__notes__", []))
        assert ("job-0" in notes) == may_run
        assert ("ended as COMPLETED" in notes) == ended

    for tenth in range(1, 100):
        run_virtual(main(tenth / 10))
