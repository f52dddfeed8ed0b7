"""What was granted, what that tells of a limit, and the pace at which it is used: as arithmetic."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opus_async.transport.pace import HOLD_LONGEST, LEAST, Pace
from opus_async.transport.rate_estimate import Estimate, Stretch, estimate
from opus_async.transport.rate_history import MOST, Granted, RateHistory, coarser, recent_peak, together
from opus_async.transport.refusals import Refusals
from opus_async.transport.slow_start import AT_ONCE, SlowStart
from opus_async.transport.throttling import Throttling


@given(st.lists(st.floats(0, 100), max_size=300))
def test_rate_history_counts_requests_in_whatever_order_they_are_answered(moments):
    history = RateHistory()
    for moment in moments:
        history.add(moment)
    bins = together([history], -1.0)
    assert history.total == sum(each.requests for each in bins) == len(moments)
    assert [each.first for each in bins] == sorted(each.first for each in bins)
    assert all(each.first <= each.last for each in bins)


def test_rate_history_stays_small_and_forgets_no_request():
    history = RateHistory()
    for number in range(20_000):
        history.add(number * 0.05)
    bins = together([history], -1.0)
    assert len(bins) <= MOST
    assert sum(each.requests for each in bins) == 20_000
    assert bins[-1].first == bins[-1].last == pytest.approx(999.95), "the newest are kept as they came"


def test_rate_history_tells_the_busiest_second_of_late():
    history = RateHistory()
    for number in range(300):
        history.add(100 + number / 100)
    assert recent_peak([history, history], 104) == 200
    assert recent_peak([history], 200) == 0


def test_rate_history_keeps_moments_apart_where_each_kind_of_request_overlaps_the_next():
    kinds = [RateHistory() for _ in range(4)]
    moments = [number * 0.004 for number in range(20_000)]
    for number, moment in enumerate(moments):
        kinds[number % 4].add(moment)
    bins = together(kinds, -1.0)
    assert sum(each.requests for each in bins) == len(moments)
    assert all(each.last <= later.first for each, later in pairwise(bins))
    for time in (20.0, 50.0, 79.0):
        before = sum(each.requests for each in bins if each.first <= time)
        assert before == pytest.approx(sum(moment <= time for moment in moments), abs=50)


def test_rate_history_made_coarser_has_as_many_requests():
    bins = [Granted(number * 0.1, number * 0.1 + 0.05, 3) for number in range(1000)]
    fewer = coarser(bins, 64)
    assert len(fewer) <= 65
    assert sum(each.requests for each in fewer) == 3000
    assert coarser(bins, 1000) is bins


def stretches(rate, burst, paces, pause=1.0):
    """What a client sees that sends at these paces to a token bucket, each until it is refused."""
    tokens, now, seen = float(burst), 0.0, []
    for pace in paces:
        granted = []
        while tokens >= 1:
            tokens = min(tokens - 1 + rate / pace, burst)
            granted.append(Granted(now, now, 1))
            now += 1 / pace
        seen.append(Stretch(granted, now))
        tokens, now = min(tokens + rate * pause, burst), now + pause
    return seen


@pytest.mark.parametrize(("rate", "burst"), [(200, 200), (20, 20), (12, 3), (48, 6), (100, 1000)])
def test_rate_estimate_finds_the_limit_of_a_token_bucket(rate, burst):
    seen = stretches(rate, burst, [2.5 * rate, 1.8 * rate, 1.1 * rate, 1.05 * rate])
    found = estimate(seen, 0.0, None, 0.0, 1.0)
    assert found.rate == pytest.approx(rate, rel=0.03)
    assert found.burst == pytest.approx(burst, rel=0.1, abs=1.5)
    assert found.lost == pytest.approx(max(1 - burst / rate, 0), abs=0.2)


@pytest.mark.parametrize("pace", [1.02, 1.012, 1.008])
def test_rate_estimate_finds_the_one_rate_that_fits_a_long_time(pace):
    """Hundreds of times as long as the burst lasts: a rate that is 1 % off does not explain it."""
    found = estimate(stretches(200, 200, [560, 420, 320, 200 * pace]), 0.0, None, 0.0, 1.0)
    assert found is not None
    assert found.rate == pytest.approx(200, rel=0.003)
    assert found.burst == pytest.approx(200, abs=8)
    assert found.doubt < 1.01


def test_refusals_that_contradict_earlier_ones_are_explained_without_them():
    """The server's limit has changed: what was granted before the newest refusals is nothing to go by."""
    history = RateHistory()
    refusals = Refusals(lambda: [history])
    began = 100.0
    for rate, paces in ((200, [500, 400, 220, 208]), (50, [120, 90, 75])):
        for granted, refused_at in stretches(rate, 50, paces):
            for each in granted:
                history.add(began + each.first)
            refusals.add(began + refused_at, 0.0)
        began = refusals.latest + 1.0
    found = refusals.estimate(1.0)
    assert found.rate == pytest.approx(50, rel=0.06)
    assert len(refusals.marks) <= 4, "a beginning, and the newest"


def test_rate_estimate_knows_of_refusals_that_contradict_each_other():
    before, after = stretches(200, 200, [400, 300, 250]), stretches(20, 20, [400, 60])
    seconds = before[-1].refused_at + 1.0
    later = [
        Stretch(
            [Granted(a + seconds, b + seconds, count) for a, b, count in each.granted],
            each.refused_at + seconds,
        )
        for each in after
    ]
    assert estimate([*before, *later], 0.0, None, 0.0, 1.0) is None


def test_pace_is_just_below_the_limit_and_held_for_longer_each_time_it_is_confirmed():
    pace, now, held = Pace(0.0), 0.0, []
    for _ in range(8):
        pace.follow(Estimate(100, 50, 1.01, 0.0), now, now + 1)
        assert 95 < pace.rate < 100
        held.append(pace.held_until - now - 1)
        now = pace.held_until
    assert held == sorted(held)
    assert held[0] < HOLD_LONGEST / 4
    assert held[-1] == HOLD_LONGEST


def test_pace_grows_by_successes_that_had_to_wait_for_it_alone():
    pace = Pace(0.0)
    pace.explore(10, 0.0)
    for second in range(1, 5):
        pace.climb(second)
    assert pace.rate == 10, "nobody wanted more"
    while not pace.wait(5.0):
        pace.take(5.0)
    pace.climb(5.5)
    assert 10 < pace.rate <= 20
    pace.climb(100.0)
    assert pace.rate <= 40, "time alone is no evidence"


def test_slow_start_lets_few_go_at_once_and_is_over_soon():
    start, now, sent = SlowStart(), 0.0, 0
    while not start.wait(now):
        start.take(now)
        sent += 1
    assert sent == AT_ONCE
    while not start.is_over:
        now += max(start.wait(now), 0.001)
        if not start.wait(now):
            start.take(now)
            sent += 1
        start.succeeded(now)
    assert now < 3.0
    assert sent < 2500


@settings(max_examples=40)  # each refusal is some milliseconds of arithmetic
@given(st.lists(st.sampled_from(["granted", "refused", "overtaken"]), min_size=4, max_size=12))
def test_some_rate_is_left_in_whatever_order_requests_are_refused(answers):
    """Of two on the wire the later may be granted and the earlier refused: nothing was granted before."""
    now = 1000.0
    throttling = Throttling(None, guess=64, now=lambda: now, random=lambda: 0.0)
    operation = throttling.operation("start")

    def send() -> float:
        nonlocal now
        while (wait := throttling.wait(operation, now)) > 0:
            assert wait < 1.01 / LEAST
            now += wait
        throttling.take(operation, now)
        return now

    for answer in answers:
        sent = send()
        granted = sent if answer == "granted" else send() if answer == "overtaken" else None
        now += 0.02
        if granted is not None:
            throttling.record_success("start", sent_at=granted)
        if answer != "granted":
            throttling.record_throttling(1.0, operation="start", sent_at=sent)


def test_pace_is_never_so_slow_that_no_request_follows():
    pace = Pace(0.0)
    pace.follow(Estimate(LEAST / 20, 1.0, 1.25, 0.0), 0.0, 0.0)
    for second in range(200, 400):
        pace.wait(second)
        pace.take(second)
        pace.climb(second)
        assert pace.rate >= LEAST
