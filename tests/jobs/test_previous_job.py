"""A job whose row is tried again: what it shows when it is asked, and what follows."""

from __future__ import annotations

import pytest
from fake_platform import FakePlatform, lifecycle_on
from journals import WrittenDown
from virtual_time import run_virtual

from opus_async.config import RetryPolicy
from opus_async.errors import (
    AmbiguousExecution,
    HostDown,
    NotFound,
    OpusError,
    PermissionDenied,
    ProtocolError,
    ServerError,
)
from opus_async.jobs.previous_job import Superseded
from opus_async.models import JobRequest, JobStatus
from opus_async.platform import RecoveredJob, RetryRequest, StartCheck

GONE = NotFound("no such job", status=404)
DENIED = PermissionDenied("not for you", status=403)
GARBAGE = ProtocolError("no status in it")
BROKEN = ServerError("always", status=500)

UNKNOWN, PROVED = RetryRequest(), RetryRequest(known_unbilled=True)
ACCEPTED = RetryRequest(accept_second_bill=True)


def ask(
    shown, retry=UNKNOWN, *, accepted=False, standings=(), policy=None, journal=None, then=None, collect=None
):
    """Run a job of the past that shows this when it is asked, and then COMPLETED if it runs."""
    platform = FakePlatform()
    platform.standings = list(standings)
    left = [shown, *([JobStatus.COMPLETED] if then is None else [then])]
    if collect is not None:
        platform.fail["collect"] = lambda _: collect

    async def poll(workflow_id, remote_ids):
        platform.calls.append(("poll", tuple(remote_ids)))
        now = left[0]
        if not isinstance(now, OpusError) and len(left) > 1:
            left.pop(0)
        return dict.fromkeys(remote_ids, now)

    platform.poll = poll

    async def main():
        lifecycle, watcher = lifecycle_on(platform, policy=policy)
        try:
            return await lifecycle.run(
                JobRequest({"n": 1}),
                recovered=RecoveredJob(
                    remote_id="job-9", starts_sent=1, start_accepted=accepted, retry=retry
                ),
                journal=journal and journal(platform),
            )
        finally:
            await watcher.close()
            assert not {"bind", "create", "start"} & {name for name, _ in platform.calls}

    return run_virtual(main())


@pytest.mark.parametrize("retry", [UNKNOWN, PROVED, ACCEPTED])
@pytest.mark.parametrize("accepted", [True, False])
def test_previous_job_that_completed_is_collected(retry, accepted):
    outcome = ask(JobStatus.COMPLETED, retry, accepted=accepted)
    assert (outcome.ok, outcome.job_id, outcome.outputs["Answer"]) == (True, "job-9", 42)


@pytest.mark.parametrize("retry", [UNKNOWN, PROVED, ACCEPTED])
@pytest.mark.parametrize("shown", [JobStatus.PENDING, JobStatus.IN_PROGRESS, JobStatus.WAITING])
def test_previous_job_that_runs_is_waited_for(retry, shown):
    told = []

    def journal(platform):
        kept = WrittenDown(platform)
        told.append(kept.told)
        return kept

    assert ask(shown, retry, accepted=True, journal=journal).ok
    assert ask(shown, retry, standings=[StartCheck.RUNNING], journal=journal).ok
    for each in told:
        assert each[0] == ("start_accepted", "job-9")


@pytest.mark.parametrize("shown", [JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.TIMED_OUT])
@pytest.mark.parametrize("accepted", [True, False])
def test_previous_job_that_failed_is_superseded(shown, accepted):
    with pytest.raises(Superseded):
        ask(shown, accepted=accepted, then=shown)


@pytest.mark.parametrize("policy", [RetryPolicy(), RetryPolicy(on_ambiguous="stop")])
def test_previous_job_proved_unstarted_is_superseded(policy):
    with pytest.raises(Superseded):
        ask(JobStatus.PENDING, standings=[StartCheck.NOT_STARTED] * 9, policy=policy)


@pytest.mark.parametrize("error", [GONE, DENIED, GARBAGE, BROKEN])
def test_previous_job_that_cannot_be_read_raises(error):
    with pytest.raises(type(error)) as caught:
        ask(error)
    assert caught.value.stage == FakePlatform.stages.watch


def test_previous_job_gone_is_superseded_if_known_unbilled():
    with pytest.raises(Superseded):
        ask(GONE, PROVED)


@pytest.mark.parametrize("error", [DENIED, GARBAGE, BROKEN])
def test_previous_job_unreadable_raises_even_if_known_unbilled(error):
    with pytest.raises(type(error)):
        ask(error, PROVED)


@pytest.mark.parametrize("error", [GONE, DENIED, GARBAGE, BROKEN])
def test_previous_job_unreadable_is_superseded_if_second_bill_is_accepted(error):
    with pytest.raises(Superseded):
        ask(error, ACCEPTED)


@pytest.mark.parametrize("retry", [UNKNOWN, PROVED])
def test_previous_job_with_inconclusive_checks_is_ambiguous_unless_bill_accepted(retry):
    unclear = [StartCheck.INCONCLUSIVE] * 900
    with pytest.raises(AmbiguousExecution):
        ask(JobStatus.PENDING, retry, standings=unclear)
    with pytest.raises(Superseded):
        ask(JobStatus.PENDING, ACCEPTED, standings=unclear)


def test_previous_job_is_not_superseded_by_outage_while_collecting():
    down = HostDown("gone", host="h", seconds=1.0, request_sent=True)
    outcome = ask(JobStatus.COMPLETED, ACCEPTED, collect=down)
    assert (outcome.status, outcome.error) == ("COMPLETED", down)


def test_previous_job_without_results_is_superseded_only_if_bill_accepted():
    lost = ServerError("no results", status=500)
    outcome = ask(JobStatus.COMPLETED, collect=lost)
    assert (outcome.ok, outcome.status, outcome.error) == (False, "COMPLETED", lost)
    with pytest.raises(Superseded):
        ask(JobStatus.COMPLETED, ACCEPTED, collect=lost)


@pytest.mark.parametrize("shown", [JobStatus.COMPLETED, JobStatus.IN_PROGRESS])
def test_previous_job_for_other_inputs_is_not_used_for_the_row(shown):
    other = RetryRequest(known_unbilled=True, other_inputs=True)
    with pytest.raises(AmbiguousExecution, match="asks for something else now"):
        ask(shown, other, accepted=True)
    with pytest.raises(Superseded):
        ask(shown, RetryRequest(other_inputs=True, accept_second_bill=True), accepted=True)
    with pytest.raises(Superseded):
        ask(JobStatus.FAILED, other, accepted=True, then=JobStatus.FAILED)
