"""How many requests wait in the client for their turn, by what they had waited."""

from __future__ import annotations

import pytest
from progress_tools import Clock

from opus_async import FailureClass, RequestKind, RequestRetried
from opus_async.metrics.recent import RATE_WINDOW
from opus_async.metrics.traffic import Queued, Traffic


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def traffic(clock):
    return Traffic(clock)


def retried(waited, status):
    return RequestRetried(
        operation="x",
        kind=RequestKind.API,
        failure=FailureClass.BROKEN if status is None else FailureClass.THROTTLED,
        status=status,
        reason="",
        waited=waited,
        wait=1,
        attempt=1,
    )


def test_traffic_counts_what_waited_at_a_time(traffic, clock):
    for _ in range(20):
        traffic.answered("x", RequestKind.API, 200, 5.0, 0.1)
        traffic.answered("x", RequestKind.POLL, 200, 2.0, 0.1)
        traffic.answered("x", RequestKind.STORAGE, 200, 9.0, 0.1)
    expected = Queued(20 * 5.0 / RATE_WINDOW, 20 * 2.0 / RATE_WINDOW, 40 * 0.1 / RATE_WINDOW)
    assert traffic.queued() == pytest.approx(expected)
    assert traffic.queued().all == 14.0
    clock.now += RATE_WINDOW + 1
    assert traffic.queued() == pytest.approx((0.0, 0.0, 0.0))


def test_traffic_counts_an_attempt_once(traffic):
    traffic.answered("x", RequestKind.API, 429, 5.0, 0.1)
    traffic.retried(retried(5.0, 429))
    assert traffic.queued().work == 5.0 / RATE_WINDOW
    traffic.retried(retried(5.0, None))  # no answer: no other event tells of it
    assert traffic.queued().work == 10.0 / RATE_WINDOW


def test_traffic_remembers_throttling_for_as_long_as_less_is_sent(traffic, clock):
    assert not traffic.slowed
    traffic.answered("x", RequestKind.API, 429, 0.0, 0.1)
    clock.now += 100
    assert traffic.slowed
    clock.now += 100
    assert not traffic.slowed
