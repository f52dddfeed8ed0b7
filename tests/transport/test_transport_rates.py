"""The arithmetic of rates, on clocks that only exist here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opus_async.transport.rates import AdaptiveRate, RateMeter, TokenBucket

rates = st.floats(0.05, 5_000)
gaps = st.lists(st.floats(0, 3), min_size=1, max_size=200)


@given(rates, gaps)
def test_a_bucket_never_gives_more_than_burst_and_rate_over_any_stretch(rate, steps):
    bucket = TokenBucket(rate)
    burst = max(1.0, rate * 0.05)
    now, taken = 0.0, []
    for step in steps:
        now += step
        while bucket.take(now) and len(taken) < 3000:
            taken.append(now)
    for first in range(0, len(taken), max(1, len(taken) // 20)):
        count = len(taken) - first
        assert count <= burst + rate * (taken[-1] - taken[first]) + 1e-6 * count + 1


@given(rates, gaps)
def test_a_token_is_there_exactly_when_wait_said_it_would_be(rate, steps):
    bucket = TokenBucket(rate)
    now = 0.0
    for step in steps:
        now += step
        while bucket.take(now):
            pass
        wait = bucket.wait(now)
        assert 0 < wait <= 1 / rate + 1e-6
        assert not bucket.take(now + wait * 0.5)
        now += wait + 1e-9
        assert bucket.take(now)


def test_nothing_comes_into_a_bucket_that_is_held():
    bucket = TokenBucket(10)
    bucket.hold(5.0)
    assert not bucket.take(4.9)
    assert bucket.wait(4.0) == pytest.approx(1.1)
    assert bucket.take(5.1001)


def test_what_is_given_back_can_be_taken_again_and_does_not_pile_up():
    bucket = TokenBucket(1)
    assert bucket.take(0)
    bucket.give_back()
    bucket.give_back()
    assert bucket.take(0)
    assert not bucket.take(0)


@given(st.floats(1, 1e9), st.lists(st.integers(1, 100_000), min_size=1, max_size=50))
def test_reservations_queue_behind_each_other(rate, sizes):
    bucket = TokenBucket(rate)
    waits = [bucket.reserve(0.0, size) for size in sizes]
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(max(0.0, (sum(sizes) - max(1.0, rate * 0.05)) / rate))


def test_a_meter_says_nothing_before_the_first_event_and_the_rate_soon_after():
    meter = RateMeter()
    assert meter.rate(5) == 0
    for number in range(1000):
        meter.tick(number / 100)
    assert meter.rate(10) == pytest.approx(100, rel=0.05)
    assert meter.rate(60) < 1


@given(st.floats(0.1, 1000) | st.none(), st.lists(st.tuples(st.floats(0, 30), st.booleans()), max_size=100))
def test_an_error_never_raises_the_rate_and_a_success_never_lowers_it(ceiling, history):
    adaptive = AdaptiveRate(ceiling)
    now = 0.0
    for gap, success in history:
        now += gap
        before = adaptive.current
        if success:
            adaptive.climb(now)
            assert adaptive.current is None or adaptive.current >= (before or 0)
        else:
            adaptive.slow(now, observed=50)
            assert adaptive.current is not None
            assert adaptive.current <= max(before if before is not None else 25, min(1, ceiling or 1))
        if ceiling is not None:
            assert adaptive.current is not None
            assert adaptive.current <= ceiling


def test_time_without_successes_wins_nothing_back():
    adaptive = AdaptiveRate(100)
    adaptive.slow(0, observed=100)
    adaptive.climb(3600)
    assert adaptive.current == pytest.approx(54)


def test_a_rate_that_nobody_asked_for_is_lifted_after_a_long_calm():
    adaptive = AdaptiveRate()
    adaptive.slow(0, observed=100)
    assert adaptive.current == 50
    for second in range(1, 120):
        adaptive.climb(second)
        assert adaptive.slowed
    adaptive.climb(121)
    assert adaptive.current is None
    assert not adaptive.slowed


def test_a_rate_that_was_set_is_reached_again_and_not_passed():
    adaptive = AdaptiveRate(10)
    adaptive.slow(0, observed=10)
    for second in range(1, 60):
        adaptive.climb(second)
    assert adaptive.current == 10
    assert not adaptive.slowed
