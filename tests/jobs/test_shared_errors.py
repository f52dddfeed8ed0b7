"""Rows that are put aside until others tell whose trouble it is."""

from __future__ import annotations

import pytest

from opus_async.errors import StoreUnavailable, TransportError
from opus_async.jobs.shared_errors import WITNESSES, SharedErrors, of_store

UPLOAD = "upload"


def of(store):
    return StoreUnavailable("no", document=f"{store}/a.pdf", store=store).located(stage=UPLOAD)


def test_rows_of_several_stores_do_not_witness_against_one():
    suspects = SharedErrors()
    stores = [f"s3://{number}" for number in range(2 * WITNESSES)]
    assert not any(suspects.add(store, of(store)) for store in stores)
    assert suspects.conclude(has_run=False) is not None


def test_rows_of_one_store_that_is_down_witness_against_it():
    suspects = SharedErrors()
    assert [suspects.add(number, of("s3://a")) for number in range(WITNESSES)] == [False, False, True]


def test_rows_of_a_store_that_is_given_up_are_left_as_they_are():
    suspects = SharedErrors()
    for row in range(WITNESSES):
        suspects.add(row, of("s3://a"))
    suspects.add("other", of("s3://b"))
    assert suspects.given_up(["s3://a"]) is None
    suspects.give_up("s3://a", of("s3://a"))
    assert suspects.given_up(["s3://b"]) is None
    met = suspects.given_up(["s3://b", "s3://a"])
    assert not suspects.add("late", met), "the session goes on for rows without documents of it"
    suspects.passed(of_store(UPLOAD, "s3://a"))
    error = suspects.conclude(has_run=True)
    assert (error.store, [row for row, _ in suspects.own()]) == ("s3://a", ["other"])
    assert list(suspects.left()) == [0, 1, 2, "late"]


@pytest.mark.parametrize(("passed", "cleared"), [("s3://a", ["row"]), ("s3://b", [])])
def test_row_with_a_document_of_the_same_store_clears_another(passed, cleared):
    suspects = SharedErrors()
    suspects.add("row", of("s3://a"))
    suspects.passed(UPLOAD, of_store(UPLOAD, passed))
    assert [row for row, _ in suspects.own()] == cleared


def test_row_that_began_before_an_error_tells_nothing_of_it():
    """Its documents were read before credentials expired, say."""
    suspects = SharedErrors()
    suspects.add("early", of("s3://a"))
    began = suspects.met
    suspects.add("late", of("s3://a"))
    suspects.passed(of_store(UPLOAD, "s3://a"), since=began)
    assert [row for row, _ in suspects.own()] == ["early"]
    assert list(suspects.left()) == ["late"]


def test_storage_of_the_platform_is_no_store_of_documents():
    suspects = SharedErrors()
    suspects.add("row", TransportError("no", request_sent=False).located(stage=UPLOAD))
    suspects.passed(of_store(UPLOAD, "s3://a"))
    assert suspects.own() == []
    suspects.passed(UPLOAD)
    assert [row for row, _ in suspects.own()] == ["row"]
