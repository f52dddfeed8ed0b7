"""What is known of a store: when it counts as down, and for how long."""

from __future__ import annotations

import asyncio
import pickle

import pytest

from opus_async import RetryPolicy
from opus_async.events import HostState
from opus_async.remote.health import FORGOTTEN, NEVER_ANSWERED, TOLD_AFTER, StoreHealth
from opus_async.remote.patience import Patience, patient, tell


def fail(store, *times, url="s3://b/a.pdf", unreachable=False):
    for now in times:
        store.record_failure(url, now, unreachable=unreachable)
        store.tell_trouble(now, "HTTP 503")


@pytest.fixture
def store():
    store = StoreHealth("s3://b")
    store.record_answer(0)
    return store


def test_one_document_that_fails_again_and_again_is_no_store_that_is_down(store):
    fail(store, *range(1, 200))
    assert not store.of_several
    assert not store.waited_out(200, 60)


def test_store_that_fails_for_two_documents_is_waited_for_and_then_given_up(store):
    fail(store, 10)
    fail(store, 11, url="s3://b/other.pdf")
    assert store.of_several
    assert [store.waited_out(now, 60) for now in (12, 69, 70)] == [False, False, True]


def test_good_answer_forgets_what_was(store):
    fail(store, 10, unreachable=True)
    store.record_answer(11)
    fail(store, 100)
    assert not store.waited_out(100, 60)
    assert store.answered_at == 11


def test_failures_of_long_ago_do_not_count(store):
    fail(store, 10, unreachable=True)
    later = 10 + FORGOTTEN + 1
    fail(store, later)
    assert not store.of_several
    assert not store.waited_out(later, 60)


def test_store_that_never_answered_is_not_waited_for_as_long():
    store = StoreHealth("s3://typo")
    fail(store, 0, unreachable=True)
    assert not store.waited_out(NEVER_ANSWERED - 1, 600)
    assert store.waited_out(NEVER_ANSWERED, 600)


@pytest.fixture
async def told():
    """What a client's listeners are told of stores."""
    events = []
    with patient(Patience(1.0, RetryPolicy(), events.append)):
        yield events


def states(events):
    return [(event.host, event.state, event.seconds) for event in events]


async def test_store_that_is_down_is_told_once_given_up_once_and_back_once(store, told):
    fail(store, 10)
    assert told == []
    fail(store, 11, 12, 13, url="s3://b/other.pdf")
    store.give_up(70, "HTTP 503")
    store.give_up(80, "HTTP 503")
    fail(store, 90)
    store.record_answer(95)
    store.record_answer(96)
    assert states(told) == [
        ("s3://b", HostState.DOWN, 1),
        ("s3://b", HostState.GIVEN_UP, 60),
        ("s3://b", HostState.UP, 85),
    ]
    assert [event.reason for event in told] == ["HTTP 503", "HTTP 503", "it answers again"]


async def test_store_that_fails_for_one_document_alone_is_told_after_a_while(store, told):
    fail(store, 10, 10.1)
    assert told == []
    fail(store, 10 + TOLD_AFTER, 12)
    store.record_answer(13)
    assert states(told) == [("s3://b", HostState.FAILING, TOLD_AFTER), ("s3://b", HostState.UP, 3)]


async def test_documents_that_fail_while_another_is_given_are_no_trouble_of_the_store(store, told):
    store.record_failure("s3://b/a.pdf", 10, unreachable=False)
    store.record_failure("s3://b/other.pdf", 11, unreachable=False)
    store.record_given(12)
    store.tell_trouble(12, "HTTP 503")
    fail(store, 20, 25, url="s3://b/third.pdf")
    assert told == []


async def test_silence_is_told_of_a_store_that_never_answered(store, told):
    store.record_silence(20, 23)  # it has answered before: one request that takes long says nothing
    assert told == []
    new = StoreHealth("s3://new")
    new.record_silence(20, 23)
    new.record_answer(24)
    assert states(told) == [("s3://new", HostState.FAILING, 3), ("s3://new", HostState.UP, 4)]


async def test_listeners_are_told_on_the_loop_of_their_client():
    loops, told = [], asyncio.Event()

    def notify(_):
        loops.append(asyncio.get_running_loop())
        told.set()

    async def elsewhere():
        tell(object())

    with patient(Patience(1.0, RetryPolicy(), notify)):
        await asyncio.to_thread(asyncio.run, elsewhere())
        await told.wait()
    assert loops == [asyncio.get_running_loop()]


def test_patience_is_pickled_without_its_listeners():
    sent = pickle.loads(pickle.dumps(Patience(2.0, RetryPolicy(attempts=3), print)))
    assert (sent.timeout, sent.retry.attempts, sent.notify) == (2.0, 3, None)
