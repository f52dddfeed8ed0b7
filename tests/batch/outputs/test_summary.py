"""`summary.json`: sums that hold, whatever the sessions went through."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledgers import START, make_ledger

from opus_async.batch.ledger.lock import DirectoryLock
from opus_async.batch.outputs.summary import summarise, write
from opus_async.batch.rows import RowState
from opus_async.errors import LedgerError
from opus_async.layout import SUMMARY

DIED = {
    "ended_at": None,
    "ended_because": None,
    "exit_code": None,
    "stray_shells": None,
    "uploads_saved": None,
}


def test_summary_json_has_all_documented_fields(tmp_path):
    states = ["completed", "completed", "failed", "cancelled", "timed_out", "unknown"]
    states += ["ordering", "running", "waiting", "planned", "planned"]
    sessions = [
        {"ended_at": START + 10, "ended_because": "interrupted", "exit_code": 130, "uploads_saved": 2},
        {
            "began_at": START + 100,
            "ended_at": START + 120.5,
            "exit_code": 5,
            "stray_shells": 3,
            "uploads_saved": 1,
        },
    ]
    make_ledger(tmp_path, rows=[{"state": state} for state in states], sessions=sessions)
    summary = write(tmp_path)
    assert json.loads((tmp_path / SUMMARY).read_bytes()) == summary
    told = summary.pop("sessions")
    assert summary == {
        "workflow_id": "B9uGJfZ3CFwOdMKH",
        "total": 11,
        "completed": 2,
        "failed": 1,
        "cancelled": 1,
        "timed_out": 1,
        "unknown": 1,
        "in_flight": 3,
        "waiting": 1,
        "not_started": 2,
        "attempts": 9,
        "duplicate_uploads_saved": 3,
        "stray_shells": 3,
        "cost": None,
        "wall_seconds": 30.5,
        "started_at": "2025-10-09T08:53:20.000Z",
        "ended_at": "2025-10-09T08:55:20.500Z",
        "exit_code": 5,
        "ended_because": "done",
    }
    assert [(each["ended_because"], each["exit_code"], each["seconds"]) for each in told] == [
        ("interrupted", 130, 10),
        ("done", 5, 20.5),
    ]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from(sorted(RowState)), max_size=30))
def test_summary_json_row_counts_add_up_to_total(tmp_path_factory, states):
    directory = make_ledger(
        tmp_path_factory.mktemp("batch"), rows=[{"state": state.value} for state in states]
    )
    summary = summarise(directory)
    parts = ("completed", "failed", "cancelled", "timed_out", "unknown", "in_flight", "not_started")
    assert summary["total"] == sum(summary[part] for part in parts) == len(states)


def test_summary_json_counts_time_of_died_session_until_last_sample(tmp_path):
    sessions = [DIED, {"began_at": START + 1000, "ended_at": START + 1010}]
    make_ledger(tmp_path, rows=[{}], sessions=sessions, samples=[{"elapsed": 42.0}])
    summary = summarise(tmp_path)
    assert summary["wall_seconds"] == 52
    assert summary["sessions"][0]["ended_because"] == "died"
    assert summary["sessions"][0]["exit_code"] is None
    assert (summary["ended_because"], summary["exit_code"]) == ("done", 0)


def test_summary_json_says_if_last_session_died(tmp_path):
    make_ledger(tmp_path, sessions=[{}, {"began_at": START + 100, **DIED}])
    summary = summarise(tmp_path)
    assert summary["ended_because"] == "died"
    assert summary["exit_code"] is None
    assert summary["stray_shells"] == 0


def test_summary_json_says_running_while_locked_and_died_for_earlier_session(tmp_path):
    make_ledger(tmp_path, sessions=[DIED, DIED])
    lock = DirectoryLock(tmp_path)
    summary = summarise(tmp_path)
    lock.release()
    assert [each["ended_because"] for each in summary["sessions"]] == ["died", "running"]
    assert summary["ended_because"] == "running"
    assert summary["ended_at"] is None


def test_summary_json_before_first_session_has_no_times(tmp_path):
    make_ledger(tmp_path, rows=[{"state": "planned"}], sessions=[])
    summary = summarise(tmp_path)
    assert summary["not_started"] == summary["total"] == 1
    assert summary["started_at"] is summary["ended_because"] is summary["exit_code"] is None
    assert summary["wall_seconds"] == 0


def test_summary_json_keeps_old_file_if_ledger_cannot_be_read(tmp_path):
    make_ledger(tmp_path, rows=[{}])
    write(tmp_path)
    before = (tmp_path / SUMMARY).read_bytes()
    (tmp_path / "ledger.db").write_bytes(b"no ledger any more" * 1000)
    with pytest.raises(LedgerError):
        write(tmp_path)
    assert (tmp_path / SUMMARY).read_bytes() == before
    assert not list(tmp_path.glob(".*part"))
