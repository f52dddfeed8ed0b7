"""A job that an earlier process began, and what is told in time to be gone on with later."""

from __future__ import annotations

import asyncio

import pytest
from fake_platform import FakePlatform, lifecycle_on
from journals import WrittenDown
from virtual_time import run_virtual

from opus_async.config import RetryPolicy
from opus_async.errors import (
    AmbiguousExecution,
    InvalidInputs,
    JobPaused,
    OpusError,
    ProtocolError,
    TransportError,
    ValidationFailed,
)
from opus_async.events import JobStageChanged
from opus_async.jobs.launch import MAX_CREATES
from opus_async.jobs.pausing import WhenPaused
from opus_async.models import JobRequest, JobStatus
from opus_async.platform import AmbiguousStart, IdTaken, RecoveredJob, StartAnswer, StartCheck, StartDoubt
from opus_async.transport.dispatch import Dispatcher


def run(platform, request=None, *, policy=None, notify=None, **how):
    async def main():
        lifecycle, watcher = lifecycle_on(platform, policy=policy, notify=notify)
        try:
            return await lifecycle.run(request or JobRequest({}), **how)
        finally:
            await watcher.close()

    return run_virtual(main())


def steps(platform):
    return [name for name, _ in platform.calls if name != "poll"]


def test_journal_records_start_intent_before_start_is_sent():
    platform = FakePlatform()
    journal = WrittenDown(platform)
    assert run(platform, journal=journal).ok
    assert journal.told == [
        ("job_created", "job-0"),
        ("start_intent", "job-0"),
        ("start_accepted", "job-0"),
        ("status_seen", "IN_PROGRESS"),
        ("status_seen", "COMPLETED"),
    ]
    assert journal.starts_at_intent == [0]


def test_journal_records_intent_of_resent_start(platform_class):
    platform = platform_class()
    answers = iter([AmbiguousStart(TransportError("lost", request_sent=True)), None])
    platform.fail["start"] = lambda _: next(answers)
    journal = WrittenDown(platform)
    assert run(platform, journal=journal).ok
    assert journal.starts_at_intent == [0, 1]


def test_journal_write_error_prevents_start(platform_class):
    class Full(WrittenDown):
        async def start_intent(self, remote_id):
            raise OpusError("the disk is full")

    platform = platform_class()
    with pytest.raises(OpusError, match="the disk is full"):
        run(platform, journal=Full(platform))
    assert platform.count("start") == 0


def test_recovered_job_with_accepted_start_is_only_waited_for(platform_class):
    platform = platform_class(run_time=0)
    platform.started["job-9"] = -100.0
    outcome = run(
        platform,
        JobRequest({"of no": "interest"}, key="k"),
        recovered=RecoveredJob(remote_id="job-9", starts_sent=1, start_accepted=True),
    )
    assert outcome.ok
    assert (outcome.job_id, outcome.key) == ("job-9", "k")
    assert steps(platform) == ["collect"]


def test_recovered_job_never_started_is_started(platform_class):
    platform = platform_class()
    request = JobRequest({"n": 5})
    outcome = run(platform, request, recovered=RecoveredJob(remote_id="job-3"))
    assert outcome.job_id == "job-3"
    assert steps(platform) == ["bind", "prepare", "start", "collect"]
    assert platform.attached == {"job-3": request}


def test_recovered_job_that_runs_is_not_started_again(platform_class):
    platform = platform_class()
    platform.standings = [StartCheck.RUNNING]
    platform.started["job-3"] = 0.0
    journal = WrittenDown(platform)
    outcome = run(platform, recovered=RecoveredJob(remote_id="job-3", starts_sent=1), journal=journal)
    assert outcome.ok
    assert steps(platform) == ["check_started", "collect"]
    assert journal.told[0] == ("start_accepted", "job-3")


def test_recovered_job_that_looks_unstarted_is_started_once_more(platform_class):
    platform = platform_class()
    journal = WrittenDown(platform)
    assert run(platform, recovered=RecoveredJob(remote_id="job-3", starts_sent=1), journal=journal).ok
    assert platform.starts == {"job-3": 1}
    assert platform.count("check_started") == 5
    assert ("start_intent", "job-3") in journal.told


@pytest.mark.parametrize(("before", "here"), [(1, 2), (2, 1)])
def test_recovered_job_gets_three_starts_at_most_over_all_processes(before, here, platform_class):
    platform = platform_class()
    platform.fail["start"] = lambda _: AmbiguousStart(TransportError("lost", request_sent=True))
    with pytest.raises(AmbiguousExecution):
        run(platform, recovered=RecoveredJob(remote_id="job-3", starts_sent=before))
    assert platform.starts == {"job-3": here}


def test_recovered_job_whose_restart_is_refused_is_found_running(platform_class):
    platform = platform_class()
    platform.standings = [StartCheck.NOT_STARTED] * 5 + [StartCheck.RUNNING]
    platform.started["job-3"] = 0.0
    refusal = ValidationFailed("already executed", status=400)
    platform.fail["start"] = lambda _: AmbiguousStart(refusal, StartAnswer.REFUSED)
    assert run(platform, recovered=RecoveredJob(remote_id="job-3", starts_sent=1)).ok


@pytest.mark.parametrize(
    ("on_ambiguous", "orders"), [("stop", 1), ("resend_once", 2), ("resend", 3), ("resend", 7)]
)
def test_recovered_job_is_not_restarted_if_policy_forbids_it(on_ambiguous, orders, platform_class):
    platform = platform_class()
    policy = RetryPolicy(on_ambiguous=on_ambiguous)
    with pytest.raises(AmbiguousExecution):
        run(platform, policy=policy, recovered=RecoveredJob(remote_id="job-3", starts_sent=orders))
    assert steps(platform) == ["check_started"] * 5


def test_lifecycle_releases_job_however_run_ends(platform_class):
    good, bad, nothing = platform_class(), platform_class(), platform_class()
    assert run(good).ok
    bad.fail["prepare"] = lambda _: OpusError("no")
    with pytest.raises(OpusError):
        run(bad, recovered=RecoveredJob(remote_id="job-3"))
    nothing.fail["create"] = bad.fail["prepare"]
    with pytest.raises(OpusError):
        run(nothing)
    assert (good.released, bad.released, nothing.released) == (["job-0"], ["job-3"], [])


def test_recovered_job_with_missing_inputs_fails_only_if_proved_unstarted(platform_class):
    platform = platform_class()
    platform.fail["bind"] = lambda _: InvalidInputs(["the file is gone"])
    with pytest.raises(InvalidInputs):
        run(platform, recovered=RecoveredJob(remote_id="job-3", starts_sent=1))
    assert steps(platform) == ["check_started"] * 5 + ["bind"]

    running = platform_class()
    running.fail = platform.fail
    running.standings = [StartCheck.RUNNING]
    running.started["job-3"] = 0.0
    assert run(running, recovered=RecoveredJob(remote_id="job-3", starts_sent=1)).ok


def test_pause_is_returned_as_outcome_with_when_paused_return():
    told = []
    platform = FakePlatform()

    async def waiting(workflow_id, remote_ids):
        return dict.fromkeys(remote_ids, JobStatus.WAITING)

    platform.poll = waiting
    journal = WrittenDown(platform)
    outcome = run(platform, journal=journal, on_paused=WhenPaused.RETURN, notify=Dispatcher([told.append]))
    assert (outcome.job_id, outcome.status, outcome.ok) == ("job-0", "WAITING", False)
    assert outcome.timings["see"] > 0
    with pytest.raises(JobPaused) as paused:
        outcome.raise_for_status()
    assert (paused.value.job_id, paused.value.status) == ("job-0", "WAITING")
    assert ("status_seen", "WAITING") in journal.told
    assert platform.count("collect") == 0
    assert [event.stage for event in told if isinstance(event, JobStageChanged)][-1] == "parked"


def test_recovered_job_of_other_version_never_started_is_replaced(platform_class):
    platform = platform_class()
    journal = WrittenDown(platform)
    outcome = run(
        platform,
        JobRequest({"n": 5}),
        recovered=RecoveredJob(remote_id="job-3", made_for_other_version=True),
        journal=journal,
    )
    assert outcome.job_id == "job-5"
    assert platform.starts == {"job-5": 1}
    assert journal.told[:3] == [
        ("job_superseded", "job-3"),
        ("job_created", "job-5"),
        ("start_intent", "job-5"),
    ]
    assert platform.orphaned_jobs == 1


def test_recovered_job_of_other_version_is_kept_if_running_else_replaced(platform_class):
    platform = platform_class()
    past = RecoveredJob(remote_id="job-3", starts_sent=1, made_for_other_version=True)
    assert run(platform, JobRequest({"n": 5}), recovered=past).job_id == "job-5"
    assert steps(platform) == ["check_started"] * 5 + ["bind", "prepare", "create", "start", "collect"]
    assert platform.starts == {"job-5": 1}

    obeyed = platform_class()
    obeyed.standings = [StartCheck.RUNNING]
    obeyed.started["job-3"] = 0.0
    assert run(obeyed, recovered=past).job_id == "job-3"
    assert obeyed.starts == {}


class Knows(WrittenDown):
    """A journal to which some ids are known as those of other jobs."""

    def __init__(self, platform: FakePlatform, *known: str) -> None:
        super().__init__(platform)
        self.known = known

    async def start_intent(self, remote_id: str) -> None:
        await super().start_intent(remote_id)
        if remote_id in self.known:
            raise IdTaken(remote_id)


def handing_out(*ids: str) -> FakePlatform:
    platform, left = FakePlatform(), list(ids)

    async def create(bound):
        platform.calls.append(("create", bound))
        return left.pop(0) if len(left) > 1 else left[0]

    platform.create = create
    return platform


def test_lifecycle_creates_another_job_if_id_is_taken():
    platform = handing_out("old", "old", "new")
    outcome = run(platform, journal=Knows(platform, "old"))
    assert outcome.job_id == "new"
    assert platform.starts == {"new": 1}


def test_lifecycle_raises_before_start_if_only_taken_ids_are_given():
    platform = handing_out("old")
    with pytest.raises(ProtocolError, match="proxy") as caught:
        run(platform, journal=Knows(platform, "old"))
    assert caught.value.stage == platform.stages.create
    assert platform.starts == {}
    assert platform.count("create") == MAX_CREATES


def test_lifecycle_never_runs_two_jobs_with_one_id():
    platform = handing_out("same", "same", "other")

    async def main():
        lifecycle, watcher = lifecycle_on(platform)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(lifecycle.run(JobRequest({}))) for _ in range(2)]
            return {task.result().job_id for task in tasks}
        finally:
            await watcher.close()

    assert run_virtual(main()) == {"same", "other"}
    assert platform.starts == {"same": 1, "other": 1}


@pytest.mark.parametrize("doubt", StartDoubt)
def test_recovered_job_with_recorded_doubt_is_not_restarted(doubt, platform_class):
    platform = platform_class()
    with pytest.raises(AmbiguousExecution):
        run(platform, recovered=RecoveredJob(remote_id="job-3", starts_sent=1, doubt=doubt))
    assert platform.starts == {}


def test_journal_records_doubt_that_forbids_resend(platform_class):
    refused, differed = platform_class(), platform_class()
    refusal = ValidationFailed("no", status=400)
    refused.fail["start"] = lambda _: AmbiguousStart(refusal, StartAnswer.REFUSED)
    journal = WrittenDown(refused)
    with pytest.raises(ValidationFailed):
        run(refused, journal=journal)
    assert ("second_start_forbidden", StartDoubt.REFUSED) in journal.told

    differed.fail["start"] = lambda _: AmbiguousStart(TransportError("lost", request_sent=True))
    differed.standings = [
        StartCheck.NOT_STARTED,
        StartCheck.DIFFERENT,
        StartCheck.DIFFERENT,
        StartCheck.NOT_STARTED,
    ]
    journal = WrittenDown(differed)
    with pytest.raises(AmbiguousExecution):
        run(differed, journal=journal)
    assert journal.told.count(("second_start_forbidden", StartDoubt.DIFFERED)) == 1
