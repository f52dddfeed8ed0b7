"""What follows a failure: how often, how long, and never a second bill."""

from __future__ import annotations

import asyncio
import logging
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtual_time import run_virtual

from opus_async.config import RetryPolicy
from opus_async.errors import (
    APIError,
    AuthenticationError,
    DeadlineExceeded,
    InvalidInputs,
    OpusError,
    ProtocolError,
    QuotaExhausted,
    RateLimited,
    ServerError,
    TransportError,
    UploadError,
    ValidationFailed,
)
from opus_async.events import FailureClass, RequestKind
from opus_async.transport.attempt import Attempt
from opus_async.transport.backoff_schedule import BackoffSchedule
from opus_async.transport.dispatch import Dispatcher
from opus_async.transport.failures import Failure, classify
from opus_async.transport.limits import Priority, RequestLimiter
from opus_async.transport.retry import Retrier

policies = st.builds(
    RetryPolicy,
    attempts=st.integers(1, 12),
    max_elapsed=st.floats(0.1, 300),
    base=st.floats(0.01, 5),
    cap=st.floats(0.01, 60),
)


def limited(retry_after: float | None = None) -> RateLimited:
    error = RateLimited("slow down", status=429)
    error.retry_after = retry_after
    return error


def overloaded(retry_after: float | None = None) -> ServerError:
    error = ServerError("later", status=503)
    error.retry_after = retry_after
    return error


def broken() -> TransportError:
    return TransportError("the connection broke", request_sent=True)


def unsent() -> TransportError:
    return TransportError("no connection", request_sent=False)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (unsent(), FailureClass.UNSENT),
        (broken(), FailureClass.BROKEN),
        (TransportError("certificate", request_sent=False, retryable=False), FailureClass.UNSENT),
        (limited(), FailureClass.THROTTLED),
        (overloaded(), FailureClass.OVERLOADED),
        (ServerError("", status=500), FailureClass.SERVER),
        (ServerError("", status=502), FailureClass.SERVER),
        (ServerError("", status=501), FailureClass.REFUSED),
        (APIError("", status=408), FailureClass.SERVER),
        (APIError("", status=425), FailureClass.SERVER),
        (APIError("", status=302), FailureClass.REFUSED),
        (ValidationFailed("", status=400), FailureClass.REFUSED),
        (AuthenticationError("", status=401), FailureClass.REFUSED),
        (QuotaExhausted("", status=402), FailureClass.REFUSED),
        (QuotaExhausted("", status=429), FailureClass.REFUSED),
        (ProtocolError("half a document"), FailureClass.GARBLED),
        (UploadError("changed", filename="a"), FailureClass.REFUSED),
        (UploadError("", filename="a", status=403, code="AccessDenied"), FailureClass.REFUSED),
        (UploadError("", filename="a", status=503, code="SlowDown"), FailureClass.OVERLOADED),
        (UploadError("", filename="a", status=429), FailureClass.THROTTLED),
        (UploadError("", filename="a", status=400, code="RequestTimeout"), FailureClass.SERVER),
        (UploadError("", filename="a", status=500, code="InternalError"), FailureClass.SERVER),
        (InvalidInputs(["no"]), FailureClass.REFUSED),
        (DeadlineExceeded("late"), FailureClass.REFUSED),
        (OpusError("?"), FailureClass.REFUSED),
    ],
)
def test_retry_classify_maps_error_to_failure_class(error, expected):
    assert classify(error) is expected


@given(
    policies,
    st.lists(st.tuples(st.floats(0, 30), st.none() | st.floats(0, 1e6), st.floats(0, 60)), max_size=20),
)
def test_retry_schedule_never_exceeds_attempts_or_elapsed_time(policy, failures):
    schedule = BackoffSchedule(policy)
    spent, attempts = 0.0, 1
    for took, retry_after, paused in failures:
        spent += took
        wait = schedule.after_failure(took, retry_after, paused)
        if wait is None:
            break
        attempts += 1
        assert wait >= paused
        assert wait >= min(retry_after or 0, policy.max_elapsed), "what the server asked for is waited for"
        assert wait <= max(policy.cap, paused, min(retry_after or 0, policy.max_elapsed))
        spent += max(0.0, wait - paused)
        assert attempts <= policy.attempts
        assert spent < policy.max_elapsed


@given(policies, st.floats(0, 1))
def test_retry_schedule_doubles_backoff_up_to_cap_with_full_jitter(policy, share):
    schedule = BackoffSchedule(policy, jitter=lambda wait: wait * share)
    for number in range(policy.attempts - 1):
        wait = schedule.after_failure(0)
        if wait is None:
            break
        assert wait == pytest.approx(share * min(policy.cap, policy.base * 2**number))


class Script:
    """An attempt that fails as told, and notes when it was called."""

    def __init__(self, *failures: OpusError | None, takes: float = 0.0) -> None:
        self.failures = list(failures)
        self.takes = takes
        self.calls: list[float] = []

    async def __call__(self, attempt: Attempt) -> str:
        self.calls.append(asyncio.get_running_loop().time())
        assert attempt.number == len(self.calls)
        await asyncio.sleep(self.takes)
        failure = self.failures.pop(0) if len(self.failures) > 1 else self.failures[0]
        if failure is not None:
            raise failure
        return "value"

    @property
    def gaps(self) -> list[float]:
        return [later - earlier for earlier, later in pairwise(self.calls)]


def full(wait: float) -> float:
    return wait


def call(script: Script, *, policy: RetryPolicy | None = None, **options):
    events: list[object] = []

    async def main():
        gate = RequestLimiter(4, random=lambda: 0.0)
        retrier = Retrier(policy or RetryPolicy(), gate, notify=Dispatcher([events.append]), jitter=full)
        try:
            return await retrier.call("look", script, **options), events, gate
        finally:
            assert gate.in_use == 0
            gate.close()

    return run_virtual(main())


def test_retrier_gives_slot_to_others_while_a_start_is_recorded():
    async def main():
        retrier = Retrier(RetryPolicy(), RequestLimiter(1), jitter=full)
        sent, told = [], asyncio.Event()
        recorded = []

        def about_to_send():
            recorded.append("order")
            return told.wait()

        async def order(attempt):
            sent.append(f"order {attempt.number}")
            if attempt.number == 1:
                raise unsent()

        async def other(_):
            sent.append("other")

        start = asyncio.create_task(retrier.call("start", order, about_to_send=about_to_send))
        await asyncio.sleep(1)
        await retrier.call("poll", other)
        assert sent == ["other"]
        told.set()
        await start
        assert sent == ["other", "order 1", "order 2"]
        assert recorded == ["order"], "a repeated attempt is the same order"

    run_virtual(main())


def _refuse():
    raise LookupError("no")


async def _refuse_later():
    await asyncio.sleep(1)
    _refuse()


@pytest.mark.parametrize("about_to_send", [_refuse, _refuse_later])
def test_retrier_sends_nothing_if_start_cannot_be_recorded(about_to_send):
    async def main():
        gate, script = RequestLimiter(1), Script(None)
        with pytest.raises(LookupError):
            await Retrier(RetryPolicy(), gate).call("start", script, about_to_send=about_to_send)
        assert script.calls == []
        assert gate.in_use == gate.waiting == 0

    run_virtual(main())


def test_retrier_keeps_slot_where_nothing_is_to_be_recorded():
    async def main():
        gate, in_use = RequestLimiter(1), []

        async def attempt(_):
            in_use.append(gate.in_use)

        await Retrier(RetryPolicy(), gate).call(
            "start", attempt, about_to_send=lambda: in_use.append(gate.in_use)
        )
        assert in_use == [1, 1]

    run_virtual(main())


def test_retrier_returns_value_after_transient_failures():
    script = Script(unsent(), broken(), ServerError("", status=502), ProtocolError(""), None)
    value, events, _ = call(script)
    assert value == "value"
    assert script.gaps == [0.25, 0.5, 1, 2]
    assert [(event.reason, event.wait, event.attempt) for event in events] == [
        ("unsent: no connection", 0.25, 1),
        ("broken: the connection broke", 0.5, 2),
        ("server error: HTTP 502", 1.0, 3),
        ("garbled: ", 2.0, 4),
    ]


@pytest.mark.parametrize("failure", [unsent(), limited(0.2)])
def test_retrier_resends_unrepeatable_request_that_cannot_have_taken_effect(failure):
    script = Script(failure, None)
    assert call(script, repeatable=False)[0] == "value"


@pytest.mark.parametrize(
    "failure",
    [broken(), overloaded(), ServerError("", status=500), ProtocolError(""), APIError("", status=408)],
)
def test_retrier_never_resends_unrepeatable_request_that_may_have_taken_effect(failure):
    script = Script(failure)
    with pytest.raises(type(failure)):
        call(script, repeatable=False)
    assert len(script.calls) == 1


@pytest.mark.parametrize(
    "failure",
    [
        ValidationFailed("", status=400),
        InvalidInputs(["no"]),
        TransportError("certificate", request_sent=False, retryable=False),
        TransportError("redirect", request_sent=True, retryable=False),
    ],
)
def test_retrier_does_not_retry_permanent_errors(failure):
    script = Script(failure)
    with pytest.raises(type(failure)) as caught:
        call(script)
    assert len(script.calls) == 1
    assert "attempts" not in str(caught.value)


def test_retrier_last_error_tells_number_and_duration_of_attempts():
    script = Script(broken(), takes=1.0)
    with pytest.raises(TransportError, match=r"gave up after 3 attempts over 3\.8 s") as caught:
        call(script, policy=RetryPolicy(attempts=3))
    assert caught.value.attempt == 3
    assert caught.value.__context__ is None


def test_trap_4_retry_after_is_waited_for_and_capped():
    script = Script(limited(2), None)
    call(script)
    [gap] = script.gaps
    assert 2 <= gap <= 2.5  # and one token of the slowed rate
    error = ServerError("", status=500)
    error.retry_after = 7
    script = Script(error, None)
    call(script)
    assert script.gaps == [7]
    script = Script(limited(1e9), None)
    call(script, policy=RetryPolicy(max_elapsed=30))
    assert script.gaps == [pytest.approx(30, rel=0.05)]


def test_trap_4_retry_after_zero_retries_almost_at_once():
    script = Script(limited(0), None)
    call(script)
    assert 0.05 <= script.gaps[0] <= 1.1  # the floor, and one token of the slowed rate


def test_retrier_429_uses_up_no_attempts():
    script = Script(*[limited(1) for _ in range(20)], None)
    value, events, _ = call(script, policy=RetryPolicy(attempts=2, max_elapsed=100), repeatable=False)
    assert value == "value"
    assert len(events) == 20
    assert events[0].reason == "throttled: HTTP 429"


def test_trap_4_429_without_retry_after_backs_off():
    script = Script(limited(), limited(), limited(), limited(), limited(), limited(), None)
    call(script)
    assert script.gaps == sorted(script.gaps)
    assert script.gaps[0] >= 0.5


def test_retrier_gives_up_on_429_after_max_elapsed_of_nothing_else():
    script = Script(limited(10))
    with pytest.raises(RateLimited, match="gave up after") as caught:
        call(script, policy=RetryPolicy(max_elapsed=60))
    assert 60 <= script.calls[-1] - script.calls[0] <= 75
    assert caught.value.attempt == len(script.calls)


def test_retrier_does_not_give_up_on_429_before_three_pauses():
    script = Script(limited(1000), limited(1000), None)
    assert call(script, policy=RetryPolicy(max_elapsed=5))[0] == "value"


def test_retrier_does_not_give_up_on_429_while_others_are_answered():
    async def main():
        gate = RequestLimiter(4, random=lambda: 0.0)
        retrier = Retrier(RetryPolicy(max_elapsed=10), gate, jitter=full)
        blocked = asyncio.create_task(retrier.call("start", Script(limited(2))))
        for _ in range(50):
            await asyncio.sleep(2)
            assert await retrier.call("look", Script(None), priority=Priority.POLL) == "value"
        assert not blocked.done()
        blocked.cancel()
        await asyncio.gather(blocked, return_exceptions=True)
        gate.close()

    run_virtual(main())


def test_trap_36_a_storm_over_two_hundred_calls_is_one_pause_and_all_finish():
    async def main():
        gate = RequestLimiter(64)
        retrier = Retrier(RetryPolicy(), gate)
        busy_until = asyncio.get_running_loop().time() + 1.0
        seen = []

        async def attempt(_):
            await asyncio.sleep(0.05)
            now = asyncio.get_running_loop().time()
            if now < busy_until:
                raise limited(2)
            seen.append(now)

        async with asyncio.TaskGroup() as group:
            for _ in range(200):
                group.create_task(retrier.call("start", attempt))
        assert len(seen) == 200
        busiest = max(sum(1 for other in seen if when <= other < when + 0.01) for when in seen)
        assert busiest <= 5
        gate.close()

    run_virtual(main())


def test_retrier_503_slows_rate_and_uses_up_attempts():
    script = Script(overloaded())
    with pytest.raises(ServerError):
        call(script, policy=RetryPolicy(attempts=3))
    assert len(script.calls) == 3
    _, _, gate = call(Script(overloaded(), None))
    assert gate.throttling.rate is not None
    assert gate.throttling.pauses == 0, "a 503 that asks for no wait stops nobody"


def test_retrier_wait_in_shared_pause_uses_up_no_time():
    script = Script(overloaded(50), overloaded(50), None)
    assert call(script, policy=RetryPolicy(max_elapsed=60))[0] == "value"


def test_retrier_slow_attempt_uses_up_time():
    script = Script(broken(), takes=50)
    with pytest.raises(TransportError, match="2 attempts"):
        call(script, policy=RetryPolicy(max_elapsed=60))


def test_retrier_accepts_policy_for_one_call():
    script = Script(broken())
    with pytest.raises(TransportError):
        call(script, policy=RetryPolicy(attempts=1))
    script = Script(broken())

    async def main():
        await Retrier(RetryPolicy(), RequestLimiter(1)).call("look", script, policy=RetryPolicy(attempts=2))

    with pytest.raises(TransportError, match="2 attempts"):
        run_virtual(main())


def test_retrier_cancel_passes_through_and_frees_slot():
    async def main():
        gate = RequestLimiter(1)
        retrier = Retrier(RetryPolicy(), gate, jitter=full)
        for script, when in ((Script(None, takes=9), 1), (Script(broken()), 0.3)):
            task = asyncio.create_task(retrier.call("look", script))
            await asyncio.sleep(when)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert gate.in_use == gate.waiting == 0

    run_virtual(main())


def test_retrier_passes_foreign_exception_through_at_once():
    async def attempt(_):
        raise ZeroDivisionError

    async def main():
        gate = RequestLimiter(1)
        with pytest.raises(ZeroDivisionError):
            await Retrier(RetryPolicy(), gate).call("look", attempt)
        assert gate.in_use == 0

    run_virtual(main())


def test_retrier_logs_retries_without_listeners(caplog):
    async def main():
        notifier = Dispatcher()
        await Retrier(RetryPolicy(), RequestLimiter(1), notify=notifier).call("look", Script(broken(), None))

    with caplog.at_level(logging.INFO, "opus_async.transport"):
        run_virtual(main())
    assert "look: attempt 1 failed (broken: the connection broke)" in caplog.text


def test_retrier_event_names_storage_error_code():
    error = UploadError("no", filename="a", status=503, code="SlowDown")
    _, events, _ = call(Script(error, None))
    assert events[0].reason == "overloaded: HTTP 503 SlowDown"


@pytest.mark.parametrize("failure", [broken, limited])
def test_retrier_nested_in_retrier_does_not_multiply_attempts(failure):
    script = Script(failure())

    async def main():
        inner = Retrier(RetryPolicy(attempts=3, max_elapsed=5), RequestLimiter(1), jitter=full)
        outer_gate = RequestLimiter(1)
        outer = Retrier(RetryPolicy(attempts=3), outer_gate, jitter=full)

        async def nested(_):
            return await inner.call("presign", script)

        with pytest.raises(OpusError) as caught:
            await outer.call("put", nested)
        assert str(caught.value).count("gave up after") == 1
        assert outer_gate.throttling.pauses == 0

    run_virtual(main())
    assert len(script.calls) <= 5


def test_retrier_measures_wait_for_slot():
    async def main():
        gate, attempts = RequestLimiter(1), []
        retrier = Retrier(RetryPolicy(), gate)

        async def attempt(this):
            attempts.append(this)
            await asyncio.sleep(2)

        calls = [retrier.call("look", attempt, priority=lane) for lane in (Priority.WORK, Priority.POLL)]
        await asyncio.gather(*calls)
        assert attempts == [
            Attempt(1, RequestKind.API, 0.0),
            Attempt(1, RequestKind.POLL, 2.0),
        ]

    run_virtual(main())


def test_retrier_event_carries_failure_class_and_waits():
    async def main():
        told = []
        retrier = Retrier(
            RetryPolicy(),
            RequestLimiter(1),
            kind=RequestKind.STORAGE,
            notify=Dispatcher([told.append]),
            jitter=full,
        )
        await retrier.call("put", Script(broken(), limited(), None, takes=3.0), waited=7.0)
        assert [(e.failure, e.status, e.attempt, e.waited, e.seconds) for e in told] == [
            (FailureClass.BROKEN, None, 1, 7.0, 3.0),
            (FailureClass.THROTTLED, 429, 2, 0.0, 3.0),
        ]
        assert {event.kind for event in told} == {RequestKind.STORAGE}

    run_virtual(main())


def test_failure_tells_status_code_and_wait_as_values():
    error = APIError("slow down", status=503, code="SlowDown")
    error.retry_after = 3.0
    failure = Failure.of(error)
    assert (failure.kind, failure.status, failure.code) == (FailureClass.OVERLOADED, 503, "SlowDown")
    assert (failure.retry_after, failure.retryable) == (3.0, True)
    assert failure.reason == "overloaded: HTTP 503 SlowDown"


def test_failure_without_a_response_is_shown_by_its_message():
    failure = Failure.of(TransportError("no connection", request_sent=False, retryable=False))
    assert (failure.status, failure.retryable) == (None, False)
    assert failure.reason == "unsent: no connection"
