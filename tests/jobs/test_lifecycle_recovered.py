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
    OpusError,
    ProtocolError,
    TransportError,
    ValidationFailed,
)
from opus_async.events import JobStageChanged
from opus_async.jobs.lifecycle import MAX_CREATES, JobPaused
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


def test_the_journal_hears_of_an_order_before_it_leaves():
    platform = FakePlatform()
    journal = WrittenDown(platform)
    assert run(platform, journal=journal).ok
    assert journal.told == [
        ("created", "job-0"),
        ("ordering", "job-0"),
        ("ordered", "job-0"),
        ("seen", "IN_PROGRESS"),
        ("seen", "COMPLETED"),
    ]
    assert journal.starts_when_ordering == [0]


def test_the_journal_hears_of_a_second_order_too():
    platform = FakePlatform()
    answers = iter([AmbiguousStart(TransportError("lost", request_sent=True)), None])
    platform.fail["start"] = lambda _: next(answers)
    journal = WrittenDown(platform)
    assert run(platform, journal=journal).ok
    assert journal.starts_when_ordering == [0, 1]


def test_nothing_is_ordered_when_the_journal_cannot_keep_it():
    class Full(WrittenDown):
        async def start_intent(self, remote_id):
            raise OpusError("the disk is full")

    platform = FakePlatform()
    with pytest.raises(OpusError, match="the disk is full"):
        run(platform, journal=Full(platform))
    assert platform.count("start") == 0


def test_a_job_that_was_accepted_is_only_waited_for():
    platform = FakePlatform(run_time=0)
    platform.started["job-9"] = -100.0
    outcome = run(
        platform,
        JobRequest({"of no": "interest"}, key="k"),
        past=RecoveredJob(remote_id="job-9", orders=1, accepted=True),
    )
    assert outcome.ok
    assert (outcome.job_id, outcome.key) == ("job-9", "k")
    assert steps(platform) == ["collect"]


def test_a_shell_of_an_earlier_process_is_used():
    platform = FakePlatform()
    request = JobRequest({"n": 5})
    outcome = run(platform, request, past=RecoveredJob(remote_id="job-3"))
    assert outcome.job_id == "job-3"
    assert steps(platform) == ["bind", "prepare", "start", "collect"]
    assert platform.adopted == {"job-3": request}


def test_an_order_that_was_obeyed_is_not_given_again():
    platform = FakePlatform()
    platform.standings = [StartCheck.RUNNING]
    platform.started["job-3"] = 0.0
    journal = WrittenDown(platform)
    outcome = run(platform, past=RecoveredJob(remote_id="job-3", orders=1), journal=journal)
    assert outcome.ok
    assert steps(platform) == ["check_started", "collect"]
    assert journal.told[0] == ("ordered", "job-3")


def test_an_order_that_looks_never_obeyed_is_given_once_more():
    platform = FakePlatform()
    journal = WrittenDown(platform)
    assert run(platform, past=RecoveredJob(remote_id="job-3", orders=1), journal=journal).ok
    assert platform.starts == {"job-3": 1}
    assert platform.count("check_started") == 5
    assert ("ordering", "job-3") in journal.told


@pytest.mark.parametrize(("before", "here"), [(1, 2), (2, 1)])
def test_the_orders_of_all_processes_together_are_three_at_most(before, here):
    platform = FakePlatform()
    platform.fail["start"] = lambda _: AmbiguousStart(TransportError("lost", request_sent=True))
    with pytest.raises(AmbiguousExecution):
        run(platform, past=RecoveredJob(remote_id="job-3", orders=before))
    assert platform.starts == {"job-3": here}


def test_a_refusal_of_a_later_order_may_mean_that_an_earlier_one_was_obeyed():
    platform = FakePlatform()
    platform.standings = [StartCheck.NOT_STARTED] * 5 + [StartCheck.RUNNING]
    platform.started["job-3"] = 0.0
    refusal = ValidationFailed("already executed", status=400)
    platform.fail["start"] = lambda _: AmbiguousStart(refusal, StartAnswer.REFUSED)
    assert run(platform, past=RecoveredJob(remote_id="job-3", orders=1)).ok


@pytest.mark.parametrize(
    ("on_ambiguous", "orders"), [("stop", 1), ("resend_once", 2), ("resend", 3), ("resend", 7)]
)
def test_nothing_is_given_again_where_that_is_forbidden(on_ambiguous, orders):
    platform = FakePlatform()
    policy = RetryPolicy(on_ambiguous=on_ambiguous)
    with pytest.raises(AmbiguousExecution):
        run(platform, policy=policy, past=RecoveredJob(remote_id="job-3", orders=orders))
    assert steps(platform) == ["check_started"] * 5


def test_a_job_is_released_however_its_run_ends():
    good, bad, nothing = FakePlatform(), FakePlatform(), FakePlatform()
    assert run(good).ok
    bad.fail["prepare"] = lambda _: OpusError("no")
    with pytest.raises(OpusError):
        run(bad, past=RecoveredJob(remote_id="job-3"))
    nothing.fail["create"] = bad.fail["prepare"]
    with pytest.raises(OpusError):
        run(nothing)
    assert (good.released, bad.released, nothing.released) == (["job-0"], ["job-3"], [])


def test_inputs_that_are_gone_fail_a_job_only_when_it_was_proved_unstarted():
    platform = FakePlatform()
    platform.fail["bind"] = lambda _: InvalidInputs(["the file is gone"])
    with pytest.raises(InvalidInputs):
        run(platform, past=RecoveredJob(remote_id="job-3", orders=1))
    assert steps(platform) == ["check_started"] * 5 + ["bind"]

    running = FakePlatform()
    running.fail = platform.fail
    running.standings = [StartCheck.RUNNING]
    running.started["job-3"] = 0.0
    assert run(running, past=RecoveredJob(remote_id="job-3", orders=1)).ok


def test_a_job_that_waits_for_a_person_is_left_where_that_is_wanted():
    told = []
    platform = FakePlatform()

    async def waiting(remote_ids):
        return dict.fromkeys(remote_ids, JobStatus.WAITING)

    platform.poll = waiting
    journal = WrittenDown(platform)
    with pytest.raises(JobPaused) as parked:
        run(platform, journal=journal, park=True, notify=Dispatcher([told.append]))
    assert parked.value.remote_id == "job-0"
    assert parked.value.status == "WAITING"
    assert parked.value.timings["see"] > 0
    assert ("seen", "WAITING") in journal.told
    assert [event.stage for event in told if isinstance(event, JobStageChanged)][-1] == "parked"


def test_a_shell_of_another_version_is_left_and_a_new_one_made():
    platform = FakePlatform()
    journal = WrittenDown(platform)
    outcome = run(
        platform, JobRequest({"n": 5}), past=RecoveredJob(remote_id="job-3", elsewhere=True), journal=journal
    )
    assert outcome.job_id == "job-5"
    assert platform.starts == {"job-5": 1}
    assert journal.told[:3] == [("gave way", "job-3"), ("created", "job-5"), ("ordering", "job-5")]
    assert platform.orphaned_jobs == 1


def test_an_ordered_job_of_another_version_is_not_ordered_again():
    platform = FakePlatform()
    past = RecoveredJob(remote_id="job-3", orders=1, elsewhere=True)
    assert run(platform, JobRequest({"n": 5}), past=past).job_id == "job-5"
    assert steps(platform) == ["check_started"] * 5 + ["bind", "prepare", "create", "start", "collect"]
    assert platform.starts == {"job-5": 1}

    obeyed = FakePlatform()
    obeyed.standings = [StartCheck.RUNNING]
    obeyed.started["job-3"] = 0.0
    assert run(obeyed, past=past).job_id == "job-3"
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


def test_an_id_that_is_another_jobs_is_refused_and_a_new_shell_made():
    platform = handing_out("old", "old", "new")
    outcome = run(platform, journal=Knows(platform, "old"))
    assert outcome.job_id == "new"
    assert platform.starts == {"new": 1}


def test_ids_of_other_jobs_alone_are_an_error_before_any_order():
    platform = handing_out("old")
    with pytest.raises(ProtocolError, match="proxy") as caught:
        run(platform, journal=Knows(platform, "old"))
    assert caught.value.stage == platform.stages.create
    assert platform.starts == {}
    assert platform.count("create") == MAX_CREATES


def test_two_jobs_under_way_never_have_the_same_id():
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
def test_what_forbids_another_order_holds_in_the_next_process_too(doubt):
    platform = FakePlatform()
    with pytest.raises(AmbiguousExecution):
        run(platform, past=RecoveredJob(remote_id="job-3", orders=1, doubt=doubt))
    assert platform.starts == {}


def test_the_journal_hears_what_forbids_another_order():
    refused, differed = FakePlatform(), FakePlatform()
    refusal = ValidationFailed("no", status=400)
    refused.fail["start"] = lambda _: AmbiguousStart(refusal, StartAnswer.REFUSED)
    journal = WrittenDown(refused)
    with pytest.raises(ValidationFailed):
        run(refused, journal=journal)
    assert ("doubted", StartDoubt.REFUSED) in journal.told

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
    assert journal.told.count(("doubted", StartDoubt.DIFFERED)) == 1
