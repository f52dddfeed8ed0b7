"""What a second platform does otherwise: late rows, listings, pauses, a second id, tokens, limits."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from fake_platform import lifecycle_on
from journals import WrittenDown
from second_platform import PICKED_UP_AFTER, SecondPlatform, Server
from virtual_time import run_virtual

from opus_async.config import RetryPolicy
from opus_async.errors import (
    AmbiguousExecution,
    AuthenticationError,
    ConfigurationError,
    JobPaused,
    OpusError,
    TransportError,
    ValidationFailed,
)
from opus_async.jobs.lifecycle import Lifecycle
from opus_async.jobs.pausing import WhenPaused
from opus_async.jobs.watch import Watcher
from opus_async.models import JobRequest
from opus_async.platform import NOT_LISTED, AmbiguousStart, RecoveredJob, StartAnswer, StartCheck
from opus_async.transport.dispatch import Dispatcher
from opus_async.transport.rates import OperationLimit

LOST = AmbiguousStart(TransportError("lost", request_sent=True))


def now() -> float:
    return asyncio.get_running_loop().time()


def run(platform, request=None, *, policy=None, **how):
    async def main():
        lifecycle, watcher = lifecycle_on(platform, policy=policy)
        try:
            return await lifecycle.run(request or JobRequest({}), **how)
        finally:
            await watcher.close()

    return run_virtual(main())


def run_all(*platforms, rows=1, policy=None, apart=0.0, **how):
    """Outcomes of so many rows of each platform, all in one watcher, each begun ``apart`` seconds later."""

    async def main():
        watcher = Watcher(detect_lag=0.05, patience=60, jitter=lambda: 1.0)
        tasks = []
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(rows):
                    for platform in platforms:
                        lifecycle = Lifecycle(
                            platform,
                            watcher,
                            policy=policy or RetryPolicy(),
                            job_timeout=None,
                            notify=Dispatcher(()),
                        )
                        request = JobRequest({"n": f"{platform.workflow_id}-{number}"})
                        tasks.append(group.create_task(_outcome(lifecycle, request, how)))
                        await asyncio.sleep(apart)
            return [task.result() for task in tasks]
        finally:
            await watcher.close()

    async def _outcome(lifecycle, request, how):
        try:
            return await lifecycle.run(request, **how)
        except OpusError as error:
            return error

    return run_virtual(main())


# Jobs that are not listed yet


def test_watcher_treats_job_not_yet_listed_as_pending():
    platform = SecondPlatform()
    journal = WrittenDown(platform)
    outcome = run(platform, journal=journal)
    assert outcome.ok
    assert outcome.timings["see"] >= 60
    seen = [what for told, what in journal.told if told == "status_seen"]
    assert seen == [NOT_LISTED, "COMPLETED"]


def test_watcher_lag_of_job_never_listed_before_is_bounded_by_its_start():
    told = []
    platform = SecondPlatform(run_time=5)

    async def main():
        lifecycle, watcher = lifecycle_on(platform, notify=Dispatcher([told.append]))
        try:
            await lifecycle.run(JobRequest({}))
        finally:
            await watcher.close()

    run_virtual(main())
    (done,) = [event for event in told if getattr(event, "stage", None) == "done"]
    assert done.detect_lag >= platform.server.listed_after


def test_recovered_job_not_yet_listed_is_waited_for():
    platform = SecondPlatform()
    platform.started["job-3"] = 990.0  # the clock stands at 1000
    assert run(platform, recovered=RecoveredJob(remote_id="job-3", starts_sent=1, start_accepted=True)).ok
    assert platform.starts == {}


# Uncertain starts


@pytest.mark.parametrize("visible_after", [30, 60])
def test_start_that_shows_after_grace_is_sent_once(visible_after):
    platform = SecondPlatform(server=Server(listed_after=visible_after))
    platform.lost_answers.add("job-0")
    assert run(platform, policy=RetryPolicy(execute_grace=15)).ok
    assert platform.starts == {"job-0": 1}


def test_start_that_never_shows_is_resent_after_platforms_visibility_time():
    platform = SecondPlatform(server=Server(listed_after=60))
    answers = iter([LOST, None])
    platform.fail["start"] = lambda _: next(answers)
    outcome = run(platform, policy=RetryPolicy(execute_grace=15))
    assert outcome.ok
    assert platform.starts == {"job-0": 2}
    assert outcome.timings["go"] >= 60


def test_start_refusal_is_checked_for_platforms_visibility_time():
    platform = SecondPlatform(server=Server(listed_after=60))
    platform.started["job-0"] = 1000.0  # a proxy has repeated the order: the first was obeyed
    refusal = AmbiguousStart(ValidationFailed("started already", status=409), StartAnswer.REFUSED)
    platform.fail["start"] = lambda _: refusal
    assert run(platform).ok
    assert platform.starts == {"job-0": 1}


def test_start_uncertainty_is_settled_by_later_starts_however_late_they_show():
    """Twenty minutes behind a queue: longer than any grace, and nothing is started twice or given up."""
    server = Server(listed_after=1200)
    platform = SecondPlatform(server=server, judges_by_order=True)
    platform.start_visible_after = 5.0
    never = {"job-flow-3"}
    platform.lost_answers |= {"job-flow-1", "job-flow-5"}
    answers = {name: iter([LOST, None]) for name in never}
    platform.fail["start"] = lambda name: next(answers[name]) if name in answers else None
    outcomes = run_all(platform, rows=12, apart=2.0)
    assert all(outcome.ok for outcome in outcomes)
    assert {name: count for name, count in platform.starts.items() if count > 1} == dict.fromkeys(never, 2)


def test_start_uncertain_without_later_starts_is_ambiguous():
    platform = SecondPlatform(server=Server(listed_after=9000), judges_by_order=True)
    platform.start_visible_after = 5.0
    platform.lost_answers.add("job-0")
    with pytest.raises(AmbiguousExecution):
        run(platform)
    assert platform.starts == {"job-0": 1}


def test_start_grace_does_not_run_while_there_is_no_evidence():
    platform = SecondPlatform(server=Server(listed_after=0))
    platform.fail["start"] = lambda _: LOST
    platform.standings = [StartCheck.NO_EVIDENCE_YET] * 1000 + [StartCheck.RUNNING]
    platform.started["job-0"] = 0.0
    outcome = run(platform, policy=RetryPolicy(execute_grace=15, max_elapsed=10))
    assert outcome.ok
    assert platform.starts == {"job-0": 1}
    assert outcome.timings["go"] > 1000


# Listings


def test_watcher_shares_polls_of_one_workflow_across_platform_objects():
    server = Server(batch_size=1000)
    platforms = [SecondPlatform(server=server, workflow_id="flow", step=0.0) for _ in range(60)]
    for number, platform in enumerate(platforms):
        platform.create = lambda bound, number=number: _named(f"session-{number}")
    outcomes = run_all(*platforms)
    assert all(outcome.ok for outcome in outcomes)
    assert max(asked for _, asked in server.polls) == 60
    assert len(server.polls) < 60


async def _named(name):
    return name


def test_watcher_never_mixes_workflows_or_platforms_in_one_poll():
    one, other = Server(), Server(listed_after=10)
    platforms = [SecondPlatform(server=one, workflow_id=f"flow-{n}") for n in range(5)]
    elsewhere = SecondPlatform(server=other, workflow_id="flow-0")
    outcomes = run_all(*platforms, elsewhere, rows=30)
    assert all(outcome.ok for outcome in outcomes)
    assert {workflow for workflow, _ in one.polls} == {f"flow-{n}" for n in range(5)}
    assert {workflow for workflow, _ in other.polls} == {"flow-0"}
    assert len(one.polls) < 30 * 5


def test_watcher_reads_all_pages_of_a_listing():
    platform = SecondPlatform()
    assert all(outcome.ok for outcome in run_all(platform, rows=90))
    assert platform.server.pages > len(platform.server.polls)


# Pauses


def paused(times=1, **options):
    platform = SecondPlatform(**options)
    platform.server.pauses["job-0"] = times
    return platform


def test_pause_is_an_outcome_with_job_id_and_alias():
    platform = paused()
    outcome = run(platform, on_paused=WhenPaused.RETURN)
    assert (outcome.status, outcome.status.raw, outcome.job_id) == ("WAITING", "PAUSED", "job-0")
    assert isinstance(outcome.error, JobPaused)
    assert (outcome.error.alias, outcome.error.job_id) == ("run-of-job-0", "job-0")


@pytest.mark.parametrize("is_async", [False, True])
def test_pause_is_answered_by_callable_and_job_continues(is_async):
    platform, asked = paused(), []

    def answer(job):
        asked.append((job.remote_id, job.alias, job.status.raw, job.key))
        return "approved"

    async def answer_later(job):
        await asyncio.sleep(3600)
        return answer(job)

    outcome = run(platform, JobRequest({}, key="k"), on_paused=answer_later if is_async else answer)
    assert outcome.ok
    assert asked == [("job-0", "run-of-job-0", "PAUSED", "k")]
    assert platform.server.answers == [("job-0", "approved")]
    assert outcome.timings["see"] >= PICKED_UP_AFTER
    assert outcome.timings["parked"] >= (3600 if is_async else 0)


def test_pause_is_answered_once_each_time_it_occurs():
    platform = paused(times=3)
    answers = iter(["one", "two", "three"])
    assert run(platform, on_paused=lambda _: next(answers)).ok
    assert [text for _, text in platform.server.answers] == ["one", "two", "three"]


@pytest.mark.parametrize("resumable", [True, False])
def test_pause_without_answer_is_an_outcome(resumable):
    platform, asked = paused(), []
    platform.can_resume = lambda status: resumable
    outcome = run(platform, on_paused=asked.append)
    assert outcome.status == "WAITING"
    assert len(asked) == resumable
    assert platform.server.answers == []


def test_pause_callable_that_raises_leaves_job_paused():
    platform = paused()
    with pytest.raises(OpusError, match=r"ZeroDivisionError.*still waits for an answer") as caught:
        run(platform, on_paused=lambda _: 1 / 0)
    assert (caught.value.job_id, caught.value.stage) == ("job-0", "parked")


def test_pause_answer_refused_by_platform_raises_without_retry():
    platform = paused()
    platform.fail["resume"] = lambda _: ConfigurationError("no call for that")
    with pytest.raises(ConfigurationError):
        run(platform, on_paused=lambda _: "approved")
    assert platform.count("resume") == 1


def test_pause_answered_elsewhere_lets_waiting_run_continue():
    platform = paused()

    async def main():
        lifecycle, watcher = lifecycle_on(platform)
        task = asyncio.ensure_future(lifecycle.run(JobRequest({})))
        await asyncio.sleep(7200)
        await platform.resume("job-0", "by hand")
        try:
            return await task
        finally:
            await watcher.close()

    assert run_virtual(main()).ok


# The second id


def test_alias_is_recorded_in_journal_once_when_known():
    platform = SecondPlatform(run_time=500)
    journal = WrittenDown(platform)
    assert run(platform, journal=journal).ok
    told = [name for name, _ in journal.told]
    assert Counter(told)["job_identified"] == 1
    assert ("job_identified", "run-of-job-0") in journal.told
    assert told.index("job_identified") < told.index("status_seen", told.index("start_accepted") + 2)


def test_alias_of_recovered_job_is_passed_to_platform():
    platform = SecondPlatform()
    platform.started["job-3"] = 0.0
    past = RecoveredJob(remote_id="job-3", alias="run-of-job-3", starts_sent=1, start_accepted=True)
    journal = WrittenDown(platform)
    assert run(platform, recovered=past, journal=journal).ok
    assert platform.aliases == {"job-3": "run-of-job-3"}
    assert "job_identified" not in [name for name, _ in journal.told]


# Tokens and limits


def test_token_that_expires_is_renewed_once_for_concurrent_calls():
    server = Server(token_life=50)
    platform = SecondPlatform(server=server, run_time=300)
    outcomes = run_all(platform, rows=40)
    assert all(outcome.ok for outcome in outcomes)
    assert set(platform.starts.values()) == {1}
    assert 2 <= server.log_ins <= 500 / 50


def test_start_refused_for_expired_token_is_checked_before_resend():
    server = Server(listed_after=0, token_life=3600)
    platform = SecondPlatform(server=server)
    create = platform.create

    async def create_and_expire(bound):
        job_id = await create(bound)
        server.token_life = -1.0  # of every token so far
        asyncio.get_running_loop().call_later(0.3, setattr, server, "token_life", 3600.0)
        return job_id

    platform.create = create_and_expire
    outcome = run(platform)
    assert outcome.ok
    assert platform.starts == {"job-0": 2}
    assert platform.count("check_started") >= 3
    assert platform.count("start") == 1  # one alone came through


def test_token_login_with_wrong_password_is_tried_once():
    server = Server(password_works=False)
    outcomes = run_all(SecondPlatform(server=server), rows=30)
    assert all(isinstance(outcome, AuthenticationError) for outcome in outcomes)
    assert server.log_ins == 1


def test_intent_to_start_is_recorded_when_the_request_has_its_turn():
    """Whoever is killed meanwhile is known to have started nothing."""
    limit = OperationLimit(operations=frozenset({"start"}), rate=1.0)
    platform = SecondPlatform(server=Server(limits=(limit,)), step=0.0)
    intents = []

    class Journal(WrittenDown):
        async def start_intent(self, remote_id):
            intents.append(now())
            await super().start_intent(remote_id)

    journal = Journal(platform)
    assert all(outcome.ok for outcome in run_all(platform, rows=20, journal=journal))
    assert intents == pytest.approx(sorted(platform.started.values()), abs=0.1)
    assert journal.starts_at_intent == list(range(20))  # none began before the one before it had left


def test_operation_limit_of_start_delays_no_other_request():
    limit = OperationLimit(operations=frozenset({"start"}), rate=1.0)
    platform = SecondPlatform(server=Server(limits=(limit,)), step=0.0)
    assert all(outcome.ok for outcome in run_all(platform, rows=60))
    moments = sorted(platform.started.values())
    assert moments[-1] - moments[0] >= 59 - 1
    steps = [name for name, _ in platform.calls if name in {"create", "start"}]
    assert steps.index("start", steps.index("start") + 1) == 61  # all were created before the second start
