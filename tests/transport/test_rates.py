"""The arithmetic of rates, on clocks that only exist here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opus_async.transport.rates import TokenBucket

rates = st.floats(0.05, 5_000)
gaps = st.lists(st.floats(0, 3), min_size=1, max_size=200)


@given(rates, gaps)
def test_token_bucket_never_exceeds_burst_and_rate(rate, steps):
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
def test_token_bucket_wait_is_exact(rate, steps):
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


def test_token_bucket_on_hold_gives_no_token():
    bucket = TokenBucket(10)
    bucket.hold(5.0)
    assert not bucket.take(4.9)
    assert bucket.wait(4.0) == pytest.approx(1.1)
    assert bucket.take(5.1001)


def test_token_bucket_takes_back_token_without_exceeding_burst():
    bucket = TokenBucket(1)
    assert bucket.take(0)
    bucket.give_back()
    bucket.give_back()
    assert bucket.take(0)
    assert not bucket.take(0)


@given(st.floats(1, 1e9), st.lists(st.integers(1, 100_000), min_size=1, max_size=50))
def test_token_bucket_reservations_queue_behind_each_other(rate, sizes):
    bucket = TokenBucket(rate)
    waits = [bucket.reserve(0.0, size) for size in sizes]
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(max(0.0, (sum(sizes) - max(1.0, rate * 0.05)) / rate))
