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


@pytest.mark.parametrize(("passed", "cleared"), [("s3://a", ["row"]), ("s3://b", [])])
def test_row_with_a_document_of_the_same_store_clears_another(passed, cleared):
    suspects = SharedErrors()
    suspects.add("row", of("s3://a"))
    suspects.passed(UPLOAD, of_store(UPLOAD, passed))
    assert [row for row, _ in suspects.own()] == cleared


def test_storage_of_the_platform_is_no_store_of_documents():
    suspects = SharedErrors()
    suspects.add("row", TransportError("no", request_sent=False).located(stage=UPLOAD))
    suspects.passed(of_store(UPLOAD, "s3://a"))
    assert suspects.own() == []
    suspects.passed(UPLOAD)
    assert [row for row, _ in suspects.own()] == ["row"]
