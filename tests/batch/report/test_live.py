"""The live page of a batch: when it is rendered again, and what it shows before and after."""

from __future__ import annotations

import os
import time

import pytest
from ledgers import make_ledger

from opus_async.batch.report import live
from opus_async.batch.report.live import LiveBatch
from opus_async.reporting.parts import Page


def head(html):
    return Page.of(html).parts["header"]


@pytest.fixture
def batch(tmp_path):
    return make_ledger(tmp_path / "march", rows=[{}, {"state": "planned"}])


def test_batch_without_a_ledger_tells_what_is_done_for_it(tmp_path):
    doing = ""
    shown = LiveBatch(tmp_path / "march", lambda: doing)
    assert "Preparing" in head(shown.capture()())
    assert "About to begin." in head(shown.capture()())
    before, doing = shown.version(), "10,000 rows planned"
    assert shown.version() != before
    assert "10,000 rows planned." in head(shown.capture()())


def test_batch_that_ended_without_a_ledger_says_so(tmp_path):
    page = head(LiveBatch(tmp_path / "march", lambda: "reading the workflow").final()())
    assert "Ended" in page
    assert "It ended before its rows were planned." in page


def test_batch_with_a_ledger_is_shown_as_in_its_report(batch):
    page = LiveBatch(batch).capture()().decode()
    assert "1\N{NO-BREAK SPACE}of 2\N{NO-BREAK SPACE}rows completed" in page
    assert "It follows the batch while it is open." in page
    assert page.count("<script>") == 1


@pytest.mark.parametrize("name", ["ledger.db", "ledger.db-wal", ".lock"])
def test_version_changes_when_a_file_is_written(batch, name):
    shown = LiveBatch(batch)
    before = shown.version()
    (batch / name).write_bytes(b"x")
    assert shown.version() != before


def test_version_changes_once_more_when_it_is_quiet(batch, monkeypatch):
    shown = LiveBatch(batch)
    now = time.time_ns()
    for path in batch.iterdir():
        os.utime(path, ns=(now, now))
    monkeypatch.setattr(live.time, "time_ns", lambda: now + 1)
    fresh = shown.version()
    monkeypatch.setattr(live.time, "time_ns", lambda: now + 2_000_000_000)
    quiet = shown.version()
    assert quiet != fresh
    monkeypatch.setattr(live.time, "time_ns", lambda: now + 9_000_000_000)
    assert shown.version() == quiet
