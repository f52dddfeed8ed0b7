"""The order that starts a bill is never blindly given twice."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from fake_platform import FakePlatform
from virtual_time import run_virtual

from opus_async.config import RetryPolicy
from opus_async.errors import (
    AmbiguousExecution,
    AuthenticationError,
    RateLimited,
    ServerError,
    TransportError,
    ValidationFailed,
)
from opus_async.jobs.start import (
    CHECK_SCHEDULE,
    CHECKS_REQUIRED,
    REFUSAL_CHECK_SCHEDULE,
    VERDICTS,
    Evidence,
    JobStarter,
    Verdict,
)
from opus_async.platform import AmbiguousStart, StartAnswer, StartCheck

LOST = TransportError("the answer was lost", request_sent=True)
NO = ValidationFailed("Job has already been executed", status=409)
RUNNING, UNSTARTED, INCONCLUSIVE = StartCheck.RUNNING, StartCheck.NOT_STARTED, StartCheck.INCONCLUSIVE
DIFFERENT = StartCheck.DIFFERENT


def uncertain_times(times, *, cause=LOST, answer=StartAnswer.LOST, then=None):
    """An order that gets no clear answer so many times, and then succeeds or raises ``then``."""
    left = [times]

    def fail(_):
        left[0] -= 1
        return AmbiguousStart(cause, answer) if left[0] >= 0 else then

    return fail


def start(platform, *, starts_sent=0, **policy):
    """Seconds that a start took."""

    async def main():
        began = asyncio.get_running_loop().time()
        await JobStarter(platform, RetryPolicy(**{"execute_grace": 15.0} | policy)).start(
            "job", {}, starts_sent=starts_sent
        )
        return asyncio.get_running_loop().time() - began

    return run_virtual(main())


def test_start_with_clear_answer_needs_no_check(platform_class):
    platform = platform_class()
    start(platform)
    assert platform.calls == [("start", "job")]


def test_start_with_lost_answer_is_not_resent_if_job_runs(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(1)
    platform.standings = [RUNNING]
    start(platform)
    assert platform.starts == {"job": 1}
    assert platform.count("check_started") == 1


def test_start_with_lost_answer_is_not_resent_if_job_shows_late(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(1)
    platform.standings = [UNSTARTED, INCONCLUSIVE, UNSTARTED, RUNNING]
    start(platform)
    assert platform.starts == {"job": 1}


def test_start_is_resent_only_after_whole_grace_and_enough_checks(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(1)
    assert start(platform) >= 15
    assert platform.starts == {"job": 2}
    assert platform.count("check_started") == len(CHECK_SCHEDULE) >= CHECKS_REQUIRED


@pytest.mark.parametrize(("on_ambiguous", "orders"), [("stop", 1), ("resend_once", 2), ("resend", 3)])
def test_start_policy_bounds_number_of_requests(on_ambiguous, orders, platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(9)
    with pytest.raises(AmbiguousExecution, match="billed again") as caught:
        start(platform, on_ambiguous=on_ambiguous)
    assert caught.value.cause is LOST
    assert platform.starts == {"job": orders}
    assert platform.count("check_started") == orders * len(CHECK_SCHEDULE)


def test_start_grace_doubles_with_each_resend():
    once, twice, thrice = FakePlatform(), FakePlatform(), FakePlatform()
    for times, platform in enumerate((once, twice, thrice), 1):
        platform.fail["start"] = uncertain_times(times)
    assert 15 <= start(once) < 17
    assert 15 + 30 <= start(twice) < 48
    with pytest.raises(AmbiguousExecution, match="3 orders"):
        start(thrice)
    assert thrice.count("check_started") == 3 * len(CHECK_SCHEDULE)


def test_start_counts_requests_of_earlier_process(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(9)
    with pytest.raises(AmbiguousExecution):
        start(platform, starts_sent=2)
    assert platform.starts == {"job": 1}


def test_start_resend_with_lost_answer_is_checked_again(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(2)
    platform.standings = [UNSTARTED] * len(CHECK_SCHEDULE) + [RUNNING]
    start(platform)
    assert platform.starts == {"job": 2}


def test_start_is_not_resent_if_a_check_differed_once(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(1)
    platform.standings = [UNSTARTED, DIFFERENT]  # and unstarted from then on
    with pytest.raises(AmbiguousExecution, match="differed"):
        start(platform)
    assert platform.starts == {"job": 1}


def test_start_is_not_resent_if_difference_proves_to_be_a_run(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(1)
    platform.standings = [UNSTARTED] * (len(CHECK_SCHEDULE) - 1) + [DIFFERENT, RUNNING]
    start(platform)
    assert platform.starts == {"job": 1}


def test_start_flickering_difference_ends_after_bounded_checks(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(1)
    platform.standings = [DIFFERENT, UNSTARTED] * 1000
    with pytest.raises(AmbiguousExecution):
        start(platform)
    assert platform.count("check_started") < 2 * len(CHECK_SCHEDULE)


# Refusals


def test_start_refusal_is_checked_three_times_in_three_seconds_then_raised():
    platform = FakePlatform(step=0)
    platform.fail["start"] = uncertain_times(1, cause=NO, answer=StartAnswer.REFUSED)
    began = []

    async def check_started(_):
        began.append(asyncio.get_running_loop().time())
        return UNSTARTED

    platform.check_started = check_started
    with pytest.raises(ValidationFailed, match="already been executed"):
        start(platform)
    assert platform.starts == {"job": 1}
    assert len(began) == len(REFUSAL_CHECK_SCHEDULE) == 3
    assert began[-1] - began[0] <= 3


@pytest.mark.parametrize("looks", [[RUNNING], [UNSTARTED, RUNNING], [DIFFERENT, RUNNING]])
def test_start_refusal_is_ignored_if_job_runs(looks, platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(1, cause=NO, answer=StartAnswer.REFUSED)
    platform.standings = list(looks)
    start(platform)
    assert platform.starts == {"job": 1}


@pytest.mark.parametrize("looks", [[DIFFERENT], [UNSTARTED, UNSTARTED, DIFFERENT], [INCONCLUSIVE] * 1000])
def test_start_refusal_that_cannot_be_checked_is_ambiguous(looks, platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(1, cause=NO, answer=StartAnswer.REFUSED)
    platform.standings = list(looks)
    with pytest.raises(AmbiguousExecution):
        start(platform)
    assert platform.starts == {"job": 1}


def test_start_refusal_is_ambiguous_with_on_ambiguous_stop(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(1, cause=NO, answer=StartAnswer.REFUSED)
    with pytest.raises(AmbiguousExecution, match="stop") as caught:
        start(platform, on_ambiguous="stop")
    assert caught.value.cause is NO


def test_start_resend_refused_counts_as_started_if_job_runs(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(1, then=AmbiguousStart(NO, StartAnswer.REFUSED))
    platform.standings = [UNSTARTED] * len(CHECK_SCHEDULE) + [RUNNING]
    start(platform)
    assert platform.starts == {"job": 2}


def test_start_resend_refused_is_ambiguous_if_job_looks_unstarted(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(1, then=AmbiguousStart(NO, StartAnswer.REFUSED))
    with pytest.raises(AmbiguousExecution, match="already been executed") as caught:
        start(platform)
    assert caught.value.cause is NO
    assert platform.starts == {"job": 2}


def test_start_error_that_proves_no_effect_is_raised_without_check(platform_class):
    platform = platform_class()
    platform.fail["start"] = lambda _: RateLimited("nothing but 429", status=429)
    with pytest.raises(RateLimited):
        start(platform)
    assert platform.count("check_started") == 0


# The key


def test_start_401_to_resend_raises_authentication_error(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(9, cause=AuthenticationError("expired", status=401))
    with pytest.raises(AuthenticationError):
        start(platform)
    assert platform.starts == {"job": 2}


def test_start_401_to_request_and_check_raises_authentication_error(platform_class):
    platform = platform_class()
    refusal = AuthenticationError("expired", status=401)
    platform.fail["start"] = uncertain_times(1, cause=refusal, answer=StartAnswer.REFUSED)
    platform.fail["check_started"] = lambda _: AuthenticationError("expired too", status=401)
    with pytest.raises(AuthenticationError) as caught:
        start(platform)
    assert caught.value is refusal
    assert platform.count("check_started") == 1


def test_start_with_lost_answer_and_401_to_check_is_ambiguous(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(1)
    platform.fail["check_started"] = lambda _: AuthenticationError("expired", status=401)
    with pytest.raises(AmbiguousExecution) as caught:
        start(platform)
    assert isinstance(caught.value.__cause__, AuthenticationError)


# Looks that fail


def test_start_is_ambiguous_at_once_if_checks_cannot_be_sent(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(1)
    platform.fail["check_started"] = lambda _: TransportError("closed", request_sent=False, retryable=False)
    with pytest.raises(AmbiguousExecution, match="closed"):
        start(platform)
    assert platform.count("check_started") == 1


def test_start_is_not_resent_if_all_checks_are_inconclusive(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(1, cause=ServerError("no", status=500))
    platform.standings = [INCONCLUSIVE] * 10_000
    with pytest.raises(AmbiguousExecution, match="could not be asked"):
        start(platform, max_elapsed=60)
    assert platform.starts == {"job": 1}


def test_start_inconclusive_checks_are_repeated_beyond_grace(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(1)
    platform.standings = [INCONCLUSIVE] * 6
    assert start(platform) > 15
    assert platform.starts == {"job": 2}


def test_start_is_not_resent_if_last_check_is_inconclusive(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(1)
    platform.standings = [UNSTARTED] * (len(CHECK_SCHEDULE) - 1) + [INCONCLUSIVE, RUNNING]
    start(platform)
    assert platform.starts == {"job": 1}


def test_start_with_zero_grace_still_makes_all_checks(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(1)
    start(platform, execute_grace=0)
    assert platform.count("check_started") == len(CHECK_SCHEDULE)
    assert platform.starts == {"job": 2}


# The table


def test_start_verdicts_cover_every_answer_and_check_result():
    assert set(VERDICTS) == {(answer, shown) for answer in StartAnswer for shown in Evidence}
    assert [pair for pair, verdict in VERDICTS.items() if verdict is Verdict.ORDER_AGAIN] == [
        (StartAnswer.LOST, Evidence.NOT_STARTED)
    ]
    assert [pair for pair, verdict in VERDICTS.items() if verdict is Verdict.RAISE_REFUSAL] == [
        (StartAnswer.REFUSED, Evidence.NOT_STARTED)
    ]


def test_start_verdicts_match_documentation():
    page = (Path(__file__).parents[2] / "docs" / "explanation" / "starting-a-job.md").read_text()
    header, *rows = re.findall(r"^\| (\w+) \| ([\w ]+) \| ([\w ]+) \|", page, re.MULTILINE)
    assert header == ("answer", "looks show", "then")
    written = {(answer, shown): verdict for answer, shown, verdict in rows}
    assert written == {
        (answer.value, shown.value): verdict.value for (answer, shown), verdict in VERDICTS.items()
    }
