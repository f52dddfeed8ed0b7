"""How many requests wait in the client for their turn, by what they had waited."""

from __future__ import annotations

import pytest
from progress_tools import Clock

from opus_async import FailureClass, RequestKind, RequestRetried, RequestSent
from opus_async.metrics.outages import RATE_WINDOW
from opus_async.metrics.request_queue import Queued, RequestQueue


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def queue(clock):
    return RequestQueue(clock)


def sent(kind, waited, status=200):
    return RequestSent(
        operation="x", kind=kind, method="GET", url="", status=status, waited=waited, seconds=0.1, attempt=1
    )


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


def test_request_queue_counts_what_waited_at_a_time(queue, clock):
    for _ in range(20):
        queue.add(sent(RequestKind.API, 5.0))
        queue.add(sent(RequestKind.POLL, 2.0))
        queue.add(sent(RequestKind.STORAGE, 9.0))
    expected = Queued(20 * 5.0 / RATE_WINDOW, 20 * 2.0 / RATE_WINDOW, 40 * 0.1 / RATE_WINDOW)
    assert queue.now() == pytest.approx(expected)
    assert queue.now().all == 14.0
    clock.now += RATE_WINDOW + 1
    assert queue.now() == pytest.approx((0.0, 0.0, 0.0))


def test_request_queue_counts_an_attempt_once(queue):
    queue.add(sent(RequestKind.API, 5.0, 429))
    queue.add(retried(5.0, 429))
    assert queue.now().work == 5.0 / RATE_WINDOW
    queue.add(retried(5.0, None))  # no answer: no other event tells of it
    assert queue.now().work == 10.0 / RATE_WINDOW


def test_request_queue_remembers_throttling_for_as_long_as_less_is_sent(queue, clock):
    assert not queue.slowed
    queue.add(sent(RequestKind.API, 0.0, 429))
    clock.now += 100
    assert queue.slowed
    clock.now += 100
    assert not queue.slowed
