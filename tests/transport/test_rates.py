"""The arithmetic of rates, on clocks that only exist here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opus_async.transport.rates import AdaptiveRate, RateMeter, TokenBucket

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


def test_rate_meter_reports_recent_peak_and_forgets_it():
    meter = RateMeter()
    assert meter.peak(5) == 0
    for number in range(1000):
        meter.tick(number / 100)
    assert meter.peak(10) == pytest.approx(100, rel=0.05)
    assert 40 <= meter.peak(17) <= 55
    assert meter.peak(120) < 1


@given(
    st.floats(0.1, 1000) | st.none(),
    st.lists(st.tuples(st.floats(0, 30), st.booleans(), st.booleans(), st.floats(0, 500)), max_size=100),
)
def test_adaptive_rate_is_never_raised_by_error_nor_lowered_by_success(ceiling, history):
    adaptive = AdaptiveRate(ceiling)
    now, storms = 0.0, 0
    for gap, success, new_storm, granted in history:
        now += gap
        before = adaptive.current
        if success:
            adaptive.climb(now)
            assert adaptive.current is None or adaptive.current >= (before or 0)
        else:
            adaptive.refused(now, granted, new_storm=new_storm or before is None or not storms)
            storms += 1
            assert adaptive.current is not None
            floor = min(1, ceiling or 1)
            assert floor <= adaptive.current <= max(granted if before is None else before, floor)
        if ceiling is not None:
            assert adaptive.current is not None
            assert adaptive.current <= ceiling


def storm(adaptive, refusals, *, now=0.0, granted=100.0):
    for number in range(refusals):
        adaptive.refused(now, granted, new_storm=number == 0)


def test_adaptive_rate_drops_little_for_one_refusal_and_much_for_many():
    one, wall = AdaptiveRate(), AdaptiveRate()
    storm(one, 1)
    storm(wall, 64)
    assert one.current == pytest.approx(100, rel=0.02)
    assert wall.current == pytest.approx(70)


def test_adaptive_rate_falls_to_granted_rate_after_repeated_storms():
    adaptive = AdaptiveRate()
    for second in range(30):
        storm(adaptive, 32, now=second * 2, granted=10)
        for tenth in range(5):
            adaptive.climb(second * 2 + 1 + tenth / 10)
    assert 5 <= adaptive.current <= 20


def test_adaptive_rate_is_not_lowered_by_sparse_refusals():
    adaptive = AdaptiveRate()
    storm(adaptive, 1)
    for step in range(4000):  # 25 answers a second, every 25th a refusal: 4 %
        now = step / 25
        if step % 25 == 0:
            storm(adaptive, 1, now=now, granted=1)
        else:
            adaptive.climb(now)
    assert adaptive.current is None or adaptive.current > 90


def test_adaptive_rate_does_not_recover_without_successes():
    adaptive = AdaptiveRate(100)
    storm(adaptive, 64)
    before = adaptive.current
    adaptive.climb(3600)
    assert adaptive.current <= before * 1.36


def test_adaptive_rate_recovers_fast_at_first_then_slowly():
    adaptive = AdaptiveRate()
    storm(adaptive, 64)
    speeds = []
    for second in range(1, 11):
        adaptive.climb(second)
        speeds.append(adaptive.current)
    assert speeds[1] >= 90
    assert speeds[2] - speeds[1] <= 7
    assert speeds == sorted(speeds)


def test_adaptive_rate_without_ceiling_is_lifted_after_long_calm():
    adaptive = AdaptiveRate()
    storm(adaptive, 64)
    for second in range(1, 120):
        adaptive.climb(second)
        assert adaptive.slowed
    adaptive.climb(121)
    assert adaptive.current is None
    assert not adaptive.slowed


def test_adaptive_rate_recovers_to_ceiling_and_not_beyond():
    adaptive = AdaptiveRate(10)
    storm(adaptive, 64)
    for second in range(1, 60):
        adaptive.climb(second)
    assert adaptive.current == 10
    assert not adaptive.slowed
