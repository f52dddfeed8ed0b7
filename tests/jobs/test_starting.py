"""The order that starts a bill is never blindly given twice."""

from __future__ import annotations

import asyncio

import pytest
from fake_platform import FakePlatform
from virtual_time import run_virtual

from opus_async.config import RetryPolicy
from opus_async.errors import (
    AmbiguousExecution,
    AuthenticationError,
    ServerError,
    TransportError,
    ValidationFailed,
)
from opus_async.platform import Standing, UncertainStart
from opus_async.starting import LOOKS, LOOKS_NEEDED, Starter

LOST = TransportError("the answer was lost", request_sent=True)
RUNNING, UNSTARTED, UNCLEAR = Standing.RUNNING, Standing.UNSTARTED, Standing.UNCLEAR


def uncertain_times(times, *, may_resend=True, then=None):
    """An order that gets no clear answer so many times, and then succeeds or raises ``then``."""
    left = [times]

    def fail(_):
        left[0] -= 1
        return UncertainStart(LOST, may_resend=may_resend) if left[0] >= 0 else then

    return fail


def start(platform, **policy):
    async def main():
        began = asyncio.get_running_loop().time()
        await Starter(platform, RetryPolicy(**{"execute_grace": 15.0} | policy)).start("job", {})
        return asyncio.get_running_loop().time() - began

    return run_virtual(main())


def test_a_clear_answer_needs_no_look():
    platform = FakePlatform()
    start(platform)
    assert platform.calls == [("start", "job")]


def test_a_lost_answer_of_a_job_that_runs_is_never_sent_again():
    platform = FakePlatform()
    platform.fail["start"] = uncertain_times(1)
    platform.standings = [RUNNING]
    start(platform)
    assert platform.starts == {"job": 1}
    assert platform.count("settle") == 1


def test_a_job_that_shows_late_that_it_runs_is_not_sent_again():
    platform = FakePlatform()
    platform.fail["start"] = uncertain_times(1)
    platform.standings = [UNSTARTED, UNCLEAR, UNSTARTED, RUNNING]
    start(platform)
    assert platform.starts == {"job": 1}


def test_only_after_the_whole_grace_and_enough_looks_is_it_sent_once_more():
    platform = FakePlatform()
    platform.fail["start"] = uncertain_times(1)
    assert start(platform) >= 15
    assert platform.starts == {"job": 2}
    assert platform.count("settle") == len(LOOKS) >= LOOKS_NEEDED


def test_stop_never_sends_again():
    platform = FakePlatform()
    platform.fail["start"] = uncertain_times(1)
    with pytest.raises(AmbiguousExecution, match="billed again") as caught:
        start(platform, on_ambiguous="stop")
    assert caught.value.cause is LOST
    assert platform.starts == {"job": 1}


def test_there_is_at_most_one_second_order():
    platform = FakePlatform()
    platform.fail["start"] = uncertain_times(9)
    with pytest.raises(AmbiguousExecution):
        start(platform)
    assert platform.starts == {"job": 2}


def test_a_second_order_without_answer_is_looked_at_again():
    platform = FakePlatform()
    platform.fail["start"] = uncertain_times(2)
    platform.standings = [UNSTARTED] * len(LOOKS) + [RUNNING]
    start(platform)
    assert platform.starts == {"job": 2}


def test_a_second_order_refused_because_the_first_was_obeyed_counts_as_started():
    platform = FakePlatform()
    platform.fail["start"] = uncertain_times(1, then=ValidationFailed("already executed", status=409))
    platform.standings = [UNSTARTED] * len(LOOKS) + [RUNNING]
    start(platform)
    assert platform.starts == {"job": 2}


def test_a_second_order_that_is_refused_proves_nothing_of_the_first():
    platform = FakePlatform()
    refusal = ValidationFailed("Job has already been executed", status=400)
    platform.fail["start"] = uncertain_times(1, then=refusal)
    with pytest.raises(AmbiguousExecution, match="already been executed") as caught:
        start(platform)
    assert caught.value.cause is refusal


def test_a_key_refused_at_the_second_order_is_said_to_be_refused():
    platform = FakePlatform()
    platform.fail["start"] = uncertain_times(1, then=AuthenticationError("expired", status=401))
    with pytest.raises(AuthenticationError):
        start(platform)


def test_a_platform_that_cannot_be_asked_any_more_leaves_it_ambiguous_at_once():
    platform = FakePlatform()
    platform.fail["start"] = uncertain_times(1)
    platform.fail["settle"] = lambda _: TransportError("closed", request_sent=False, retryable=False)
    with pytest.raises(AmbiguousExecution, match="closed"):
        start(platform)
    assert platform.count("settle") == 1


def test_an_answer_that_says_not_started_is_looked_at_and_then_raised_without_another_order():
    said = ServerError("Request failed with status code 422", status=500)
    platform = FakePlatform()
    platform.fail["start"] = lambda _: UncertainStart(said, may_resend=False)
    with pytest.raises(ServerError, match="422"):
        start(platform)
    assert platform.starts == {"job": 1}
    platform.standings = [RUNNING]
    start(platform)  # it said no, and runs all the same: watched, not run again


def test_looks_that_fail_prove_nothing():
    platform = FakePlatform()
    platform.fail["start"] = uncertain_times(1)
    platform.standings = [UNCLEAR] * 10_000
    with pytest.raises(AmbiguousExecution, match="could not be asked"):
        start(platform, max_elapsed=60)
    assert platform.starts == {"job": 1}


def test_looks_that_fail_for_a_while_are_repeated_beyond_the_grace():
    platform = FakePlatform()
    platform.fail["start"] = uncertain_times(1)
    platform.standings = [UNCLEAR] * 6
    assert start(platform) > 15
    assert platform.starts == {"job": 2}


def test_a_look_that_failed_last_is_no_agreement():
    platform = FakePlatform()
    platform.fail["start"] = uncertain_times(1)
    platform.standings = [UNSTARTED] * (len(LOOKS) - 1) + [UNCLEAR, RUNNING]
    start(platform)
    assert platform.starts == {"job": 1}


def test_no_grace_still_means_enough_looks():
    platform = FakePlatform()
    platform.fail["start"] = uncertain_times(1)
    start(platform, execute_grace=0)
    assert platform.count("settle") == len(LOOKS)
    assert platform.starts == {"job": 2}
