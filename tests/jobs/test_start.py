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
    JobStarter,
    Shown,
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


def test_clear_answer_needs_no_look(platform_class):
    platform = platform_class()
    start(platform)
    assert platform.calls == [("start", "job")]


def test_lost_answer_of_a_job_that_runs_is_never_sent_again(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(1)
    platform.standings = [RUNNING]
    start(platform)
    assert platform.starts == {"job": 1}
    assert platform.count("check_started") == 1


def test_job_that_shows_late_that_it_runs_is_not_sent_again(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(1)
    platform.standings = [UNSTARTED, INCONCLUSIVE, UNSTARTED, RUNNING]
    start(platform)
    assert platform.starts == {"job": 1}


def test_order_is_sent_again_only_after_the_whole_grace_and_enough_looks(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(1)
    assert start(platform) >= 15
    assert platform.starts == {"job": 2}
    assert platform.count("check_started") == len(CHECK_SCHEDULE) >= CHECKS_REQUIRED


@pytest.mark.parametrize(("on_ambiguous", "orders"), [("stop", 1), ("resend_once", 2), ("resend", 3)])
def test_policy_bounds_the_orders_in_all(on_ambiguous, orders, platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(9)
    with pytest.raises(AmbiguousExecution, match="billed again") as caught:
        start(platform, on_ambiguous=on_ambiguous)
    assert caught.value.cause is LOST
    assert platform.starts == {"job": orders}
    assert platform.count("check_started") == orders * len(CHECK_SCHEDULE)


def test_each_further_order_is_proved_with_a_grace_twice_as_long():
    once, twice, thrice = FakePlatform(), FakePlatform(), FakePlatform()
    for times, platform in enumerate((once, twice, thrice), 1):
        platform.fail["start"] = uncertain_times(times)
    assert 15 <= start(once) < 17
    assert 15 + 30 <= start(twice) < 48
    with pytest.raises(AmbiguousExecution, match="3 orders"):
        start(thrice)
    assert thrice.count("check_started") == 3 * len(CHECK_SCHEDULE)


def test_order_of_an_earlier_process_counts(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(9)
    with pytest.raises(AmbiguousExecution):
        start(platform, starts_sent=2)
    assert platform.starts == {"job": 1}


def test_second_order_without_answer_is_looked_at_again(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(2)
    platform.standings = [UNSTARTED] * len(CHECK_SCHEDULE) + [RUNNING]
    start(platform)
    assert platform.starts == {"job": 2}


def test_difference_seen_once_forbids_never_started_for_good(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(1)
    platform.standings = [UNSTARTED, DIFFERENT]  # and unstarted from then on
    with pytest.raises(AmbiguousExecution, match="differed"):
        start(platform)
    assert platform.starts == {"job": 1}


def test_difference_that_turns_out_to_be_a_run_is_one(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(1)
    platform.standings = [UNSTARTED] * (len(CHECK_SCHEDULE) - 1) + [DIFFERENT, RUNNING]
    start(platform)
    assert platform.starts == {"job": 1}


def test_difference_that_comes_and_goes_ends_in_bounded_time(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(1)
    platform.standings = [DIFFERENT, UNSTARTED] * 1000
    with pytest.raises(AmbiguousExecution):
        start(platform)
    assert platform.count("check_started") < 2 * len(CHECK_SCHEDULE)


# Refusals


def test_refusal_is_looked_at_three_times_within_three_seconds_and_then_raised():
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
def test_refusal_of_a_job_that_runs_all_the_same_is_none(looks, platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(1, cause=NO, answer=StartAnswer.REFUSED)
    platform.standings = list(looks)
    start(platform)
    assert platform.starts == {"job": 1}


@pytest.mark.parametrize("looks", [[DIFFERENT], [UNSTARTED, UNSTARTED, DIFFERENT], [INCONCLUSIVE] * 1000])
def test_refusal_that_cannot_be_checked_is_ambiguous(looks, platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(1, cause=NO, answer=StartAnswer.REFUSED)
    platform.standings = list(looks)
    with pytest.raises(AmbiguousExecution):
        start(platform)
    assert platform.starts == {"job": 1}


def test_stop_leaves_a_refusal_to_a_person_too(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(1, cause=NO, answer=StartAnswer.REFUSED)
    with pytest.raises(AmbiguousExecution, match="stop") as caught:
        start(platform, on_ambiguous="stop")
    assert caught.value.cause is NO


def test_second_order_refused_because_the_first_was_obeyed_counts_as_started(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(1, then=AmbiguousStart(NO, StartAnswer.REFUSED))
    platform.standings = [UNSTARTED] * len(CHECK_SCHEDULE) + [RUNNING]
    start(platform)
    assert platform.starts == {"job": 2}


def test_second_order_that_is_refused_proves_nothing_of_the_first(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(1, then=AmbiguousStart(NO, StartAnswer.REFUSED))
    with pytest.raises(AmbiguousExecution, match="already been executed") as caught:
        start(platform)
    assert caught.value.cause is NO
    assert platform.starts == {"job": 2}


def test_error_that_proves_that_nothing_was_obeyed_is_raised_without_a_look(platform_class):
    platform = platform_class()
    platform.fail["start"] = lambda _: RateLimited("nothing but 429", status=429)
    with pytest.raises(RateLimited):
        start(platform)
    assert platform.count("check_started") == 0


# The key


def test_key_refused_at_the_second_order_is_said_to_be_refused(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(9, cause=AuthenticationError("expired", status=401))
    with pytest.raises(AuthenticationError):
        start(platform)
    assert platform.starts == {"job": 2}


def test_key_refused_to_the_order_and_to_looks_is_said_to_be_refused(platform_class):
    platform = platform_class()
    refusal = AuthenticationError("expired", status=401)
    platform.fail["start"] = uncertain_times(1, cause=refusal, answer=StartAnswer.REFUSED)
    platform.fail["check_started"] = lambda _: AuthenticationError("expired too", status=401)
    with pytest.raises(AuthenticationError) as caught:
        start(platform)
    assert caught.value is refusal
    assert platform.count("check_started") == 1


def test_key_that_expires_after_a_lost_order_leaves_it_ambiguous(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(1)
    platform.fail["check_started"] = lambda _: AuthenticationError("expired", status=401)
    with pytest.raises(AmbiguousExecution) as caught:
        start(platform)
    assert isinstance(caught.value.__cause__, AuthenticationError)


# Looks that fail


def test_platform_that_cannot_be_asked_any_more_leaves_it_ambiguous_at_once(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(1)
    platform.fail["check_started"] = lambda _: TransportError("closed", request_sent=False, retryable=False)
    with pytest.raises(AmbiguousExecution, match="closed"):
        start(platform)
    assert platform.count("check_started") == 1


def test_looks_that_fail_prove_nothing(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(1, cause=ServerError("no", status=500))
    platform.standings = [INCONCLUSIVE] * 10_000
    with pytest.raises(AmbiguousExecution, match="could not be asked"):
        start(platform, max_elapsed=60)
    assert platform.starts == {"job": 1}


def test_looks_that_fail_for_a_while_are_repeated_beyond_the_grace(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(1)
    platform.standings = [INCONCLUSIVE] * 6
    assert start(platform) > 15
    assert platform.starts == {"job": 2}


def test_look_that_failed_last_is_no_agreement(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(1)
    platform.standings = [UNSTARTED] * (len(CHECK_SCHEDULE) - 1) + [INCONCLUSIVE, RUNNING]
    start(platform)
    assert platform.starts == {"job": 1}


def test_no_grace_still_means_enough_looks(platform_class):
    platform = platform_class()
    platform.fail["start"] = uncertain_times(1)
    start(platform, execute_grace=0)
    assert platform.count("check_started") == len(CHECK_SCHEDULE)
    assert platform.starts == {"job": 2}


# The table


def test_every_answer_and_everything_shown_has_a_verdict():
    assert set(VERDICTS) == {(answer, shown) for answer in StartAnswer for shown in Shown}
    assert [pair for pair, verdict in VERDICTS.items() if verdict is Verdict.ORDER_AGAIN] == [
        (StartAnswer.LOST, Shown.NOT_STARTED)
    ]
    assert [pair for pair, verdict in VERDICTS.items() if verdict is Verdict.REFUSED] == [
        (StartAnswer.REFUSED, Shown.NOT_STARTED)
    ]


def test_documentation_has_the_table_as_it_is():
    page = (Path(__file__).parents[2] / "docs" / "starting-a-job.md").read_text()
    header, *rows = re.findall(r"^\| (\w+) \| ([\w ]+) \| ([\w ]+) \|", page, re.MULTILINE)
    assert header == ("answer", "looks show", "then")
    written = {(answer, shown): verdict for answer, shown, verdict in rows}
    assert written == {
        (answer.value, shown.value): verdict.value for (answer, shown), verdict in VERDICTS.items()
    }
