"""The wait clock: time in our own queues, told apart from the time that requests take."""

from __future__ import annotations

import asyncio

import pytest
from virtual_time import run_virtual

from opus_async.config import RetryPolicy
from opus_async.errors import APIError
from opus_async.transport.limits import RequestLimiter
from opus_async.transport.retry import Retrier
from opus_async.transport.wait_clock import WaitClock, wait_clock


def measured(main) -> float:
    """Run a coroutine function with a clock; returns the seconds that it measured."""

    async def with_clock():
        clock = WaitClock()
        wait_clock.set(clock)
        await main()
        return clock.take()

    return run_virtual(with_clock())


async def seconds_of(this):
    await asyncio.sleep(2.0)


def test_wait_for_a_rate_is_measured_and_the_request_is_not():
    async def main():
        retrier = Retrier(RetryPolicy(), RequestLimiter(4, rate=0.1))
        for _ in range(3):
            await retrier.call("look", seconds_of)

    assert measured(main) == pytest.approx(2 * (10 - 2))


def test_wait_for_a_slot_is_measured_while_nothing_of_the_job_is_on_the_wire():
    async def main():
        limiter = RequestLimiter(1)
        retrier = Retrier(RetryPolicy(), limiter)
        async with limiter.slot():  # another job's
            calls = [asyncio.create_task(retrier.call("put", seconds_of)) for _ in range(3)]
            await asyncio.sleep(5)
        await asyncio.gather(*calls)  # one after another, and one of them is always sent

    assert measured(main) == pytest.approx(5.0)


def test_pause_after_a_429_of_another_request_is_measured():
    async def main():
        limiter = RequestLimiter(4, random=lambda: 0.0)
        retrier = Retrier(RetryPolicy(), limiter)
        limiter.throttling.record_throttling(7.0, operation="look")
        await retrier.call("look", seconds_of)

    assert measured(main) == pytest.approx(7.0, abs=0.5)  # then the rate begins low


def test_own_wait_after_a_429_is_measured_and_a_backoff_after_a_failure_is_not():
    async def main():
        errors = [APIError("slow down", status=429), APIError("broken", status=502)]
        errors[0].retry_after = 3.0

        async def attempt(this):
            await asyncio.sleep(1.0)
            if errors:
                raise errors.pop(0)

        limiter = RequestLimiter(4, random=lambda: 0.0)
        await Retrier(RetryPolicy(base=4), limiter, jitter=lambda wait: wait).call("look", attempt)

    assert measured(main) == pytest.approx(3.0, abs=0.5)


def test_request_that_is_cancelled_while_it_waits_waits_no_more():
    async def main():
        limiter = RequestLimiter(1)
        async with limiter.slot():
            call = asyncio.create_task(Retrier(RetryPolicy(), limiter).call("look", seconds_of))
            await asyncio.sleep(4)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            await asyncio.sleep(10)

    assert measured(main) == pytest.approx(4.0)


def test_clock_that_is_asked_in_the_middle_of_a_wait_tells_what_has_passed():
    async def main():
        clock = WaitClock()
        clock.wait_begins()
        await asyncio.sleep(3)
        assert clock.take() == pytest.approx(3)
        await asyncio.sleep(4)
        clock.wait_ends()
        await asyncio.sleep(5)
        assert clock.take() == pytest.approx(4)

    run_virtual(main())


def test_nobodys_requests_are_measured_by_nobody():
    async def main():
        limiter = RequestLimiter(1)
        async with limiter.slot():
            call = asyncio.create_task(Retrier(RetryPolicy(), limiter).call("look", seconds_of))
            await asyncio.sleep(4)
        await call
        return wait_clock.get().take()

    assert run_virtual(main()) == 0.0
