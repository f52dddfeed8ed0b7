"""What is known of a store: when it counts as down, and for how long."""

from __future__ import annotations

import pytest

from opus_async.remote.health import FORGOTTEN, NEVER_ANSWERED, StoreHealth


def fail(store, *times, url="s3://b/a.pdf", unreachable=False):
    for now in times:
        store.record_failure(url, now, "HTTP 503", unreachable=unreachable)


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
