"""The end of a session: three files from one look at the ledger, each for itself."""

from __future__ import annotations

import pytest
from ledgers import make_ledger

from opus_async.batch.running.session import write_reports

FILES = {"failures": "failures.jsonl", "summary": "summary.json", "report": "report.html"}


@pytest.mark.parametrize("name", FILES)
def test_report_that_cannot_be_written_is_told_and_does_not_keep_others_from_it(tmp_path, name):
    make_ledger(tmp_path, rows=[{}, {"state": "failed"}])
    (tmp_path / FILES[name]).mkdir()
    told = []
    summary = write_reports(tmp_path, told.append)
    (said,) = told
    assert said.startswith(f"{name} could not be written: ")
    assert (summary is None) == (name == "summary")
    assert [file for file in FILES.values() if not (tmp_path / file).is_file()] == [FILES[name]]


def test_reports_of_a_ledger_that_cannot_be_opened_are_told_one_by_one(tmp_path):
    told = []
    assert write_reports(tmp_path, told.append) is None
    assert [said.partition(": ")[0] for said in told] == [f"{name} could not be written" for name in FILES]
    assert not list(tmp_path.iterdir())
