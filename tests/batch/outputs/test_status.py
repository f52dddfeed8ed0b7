"""`batch status`: while it runs, when it has ended, after it died."""

from __future__ import annotations

import json
import os
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledgers import START, make_ledger

from opus_async.batch.ledger.lock import DirectoryLock
from opus_async.batch.outputs.export import export
from opus_async.batch.outputs.outlook import LOOKS_BACK
from opus_async.batch.outputs.status import as_json, commands, read_status
from opus_async.cli.batch.status_text import as_text
from opus_async.errors import LedgerError
from opus_async.metrics.bottleneck import Bottleneck, BottleneckKind
from opus_async.metrics.samples import Sample
from opus_async.metrics.throughput import Throughput

DECIDE_ALL = [f"resolve --as {decision} --all" for decision in ("done", "failed", "retry")]
OPEN = {"ended_at": None, "ended_because": None, "exit_code": None}


def steady(rate, *, seconds=300, every=5, **more):
    return [
        {"elapsed": float(at), "completed": round(rate * at), **more} for at in range(0, seconds + 1, every)
    ]


INSIDE = {"watch": 4, "collect": 1}


def seen_now(inside, *, ago=0.0):
    """What makes a sample that tells of rows in stages, and how long ago."""
    return {"at": time.time() - ago, "inside": inside}


def as_samples(pairs):
    return [
        Sample(elapsed=elapsed, in_flight=0, waiting=0, completed=done, not_completed=0)
        for elapsed, done in pairs
    ]


@pytest.fixture
def held(tmp_path):
    """A batch directory in which a process works."""
    lock = DirectoryLock(tmp_path)
    yield tmp_path
    lock.release()


def typed(status):
    """The commands of its next steps, without the name of the batch."""
    return [
        " ".join(command[:1] if command == ("doctor",) else command[1:2] + command[3:])
        for _, command in commands(status)
    ]


def test_batch_status_while_running_shows_stages_rate_and_time_left(held):
    rows = [{"state": "completed"}] * 30 + [{"state": "running"}] * 5 + [{"state": "planned"}] * 65
    rows.append({"state": "waiting", "waiting_since": START + 9})
    make_ledger(
        held,
        rows=rows,
        sessions=[{}, {**OPEN, "began_at": START}],
        samples=[
            {**sample, **seen_now(INSIDE, ago=300 - sample["elapsed"])}
            for sample in steady(2, bottleneck="uploads", session=2)
        ],
    )
    status = read_status(held)
    assert status.ended_because == "running"
    assert status.process is not None
    assert status.inside == INSIDE
    assert status.inside_at == pytest.approx(time.time(), abs=10)
    assert status.bottleneck == Bottleneck(BottleneckKind.TEXT, {"text": "uploads"})
    assert as_json(status)["bottleneck"] == "uploads"
    assert status.speed is not None
    assert status.speed.rate == pytest.approx(2)
    assert status.left is not None
    at_least, at_most = status.left.least, status.left.most
    assert at_most is not None
    assert at_least < 70 / 2 < at_most, "70 rows are left that wait for nobody"
    assert at_most < 2 * at_least
    assert [(row.key, row.waiting_since) for row in status.waiting] == [("key-100", START + 9)]
    assert status.steps == ()


def test_batch_status_rate_uses_last_minutes_of_last_session(held):
    slow = steady(1, seconds=600)
    fast = [
        {"elapsed": 600.0 + at, "completed": 600 + 10 * at, "session": 2}
        for at in range(5, int(LOOKS_BACK) + 1, 5)
    ]
    make_ledger(
        held, rows=[{"state": "planned"}], sessions=[{"began_at": START - 9}, OPEN], samples=[*slow, *fast]
    )
    status = read_status(held)
    assert status.speed is not None
    assert status.speed.rate == pytest.approx(10)


def test_batch_status_after_process_died_says_so_and_offers_resume(tmp_path):
    rows = [{"state": "completed"}, {"state": "running"}, {"state": "planned"}]
    make_ledger(tmp_path, rows=rows, sessions=[OPEN], samples=steady(2, inside={"watch": 1}))
    status = read_status(tmp_path)
    assert status.ended_because == "died"
    assert status.process is None
    assert status.speed is None
    assert status.left is None
    assert status.inside == {}, "nobody is in any stage any more"
    assert next(commands(status))[1] == ("batch", "resume", str(tmp_path))


def test_batch_status_of_completed_batch_offers_only_export(tmp_path):
    make_ledger(tmp_path, rows=[{}, {}])
    status = read_status(tmp_path)
    assert status.ended_because == "done"
    assert typed(status) == ["export --format csv"]


@pytest.mark.parametrize(
    ("states", "exit_code", "expected"),
    [
        (["planned"], 130, ["resume"]),
        (["ordering"], 3, ["resume"]),
        (["planned"], 4, ["doctor", "resume"]),
        (["failed"], 1, ["retry --only failed"]),
        (["timed_out"], 1, ["retry --only failed"]),
        (["cancelled", "failed"], 1, ["retry --only failed", "retry --only cancelled"]),
        (["unknown"], 5, ["resume", "resolve --as done", *DECIDE_ALL]),
        (["waiting", "completed"], 130, ["resume", "export --format csv"]),
        ([], 0, []),
    ],
)
def test_batch_status_next_steps_are_commands(tmp_path, states, exit_code, expected):
    rows = [{"state": state} | ({"status": None} if state == "unknown" else {}) for state in states]
    make_ledger(tmp_path, rows=rows, sessions=[{"exit_code": exit_code}])
    assert typed(read_status(tmp_path)) == expected


@pytest.mark.parametrize("status", ["IN_PROGRESS", "WAITING", "COMPLETED"])
def test_batch_status_offers_no_decision_that_is_refused_for_started_jobs(tmp_path, status):
    make_ledger(tmp_path, rows=[{"state": "unknown", "status": None}, {"state": "unknown", "status": status}])
    assert typed(read_status(tmp_path)) == ["resume", "resolve --as done", DECIDE_ALL[0]]


def test_batch_status_groups_failures_by_cause_with_one_example(tmp_path):
    rows = [{"state": "failed", "cause": "HTTP 500"}] * 3 + [{"state": "unknown", "cause": "no answer"}]
    make_ledger(tmp_path, rows=rows)
    groups = read_status(tmp_path).failures
    assert [(group.cause, group.count, len(group.examples)) for group in groups] == [
        ("HTTP 500", 3, 1),
        ("no answer", 1, 1),
    ]


def test_batch_status_before_first_session_offers_resume(tmp_path):
    make_ledger(tmp_path, rows=[{"state": "planned"}], sessions=[])
    status = read_status(tmp_path)
    assert status.session is None
    assert status.ended_because is None
    assert typed(status) == ["resume"]
    json.dumps(as_json(status))


def test_batch_status_during_planning_shows_process_and_no_next_steps(held):
    make_ledger(held, rows=[{"state": "planned"}], sessions=[])
    status = read_status(held)
    assert status.process is not None
    assert status.steps == ()


def test_batch_status_json_has_counts_process_rate_and_failures(held):
    rows = [{"state": "completed"}, {"state": "waiting", "waiting_since": START}]
    rows += [{"state": "failed", "cause": "HTTP 500"}, {"state": "unknown", "cause": "HTTP 500"}]
    make_ledger(held, rows=rows, sessions=[OPEN], samples=steady(2))
    told = json.loads(json.dumps(as_json(read_status(held)), allow_nan=False))
    assert told["total"] == 4
    assert told["completed"] == told["waiting"] == told["failed"] == told["unknown"] == 1
    assert told["process"]["alive"] is True
    assert told["ended_because"] == "running"
    assert told["rows_per_second"] == pytest.approx(2)
    assert (told["inside"], told["inside_at"]) == ({}, None)
    assert (told["waiting"], told["waiting_rows_shown"]) == (1, 1)
    (waiting,) = told["waiting_rows"]
    assert waiting | {"status": None} == {
        "index": 1,
        "location": None,
        "key": "key-1",
        "job_id": "job-1",
        "alias": None,
        "status": None,
        "since": "2025-10-09T08:53:20.000Z",
        "answer": None,
    }
    assert told["failures"][0] | {"examples": []} == {
        "cause": "HTTP 500",
        "told": "HTTP 500",
        "count": 2,
        "failed": 1,
        "unknown": 1,
        "examples": [],
    }
    assert told["next"] == []


@pytest.mark.parametrize(
    ("inside", "ago"),
    [({"watch": 4}, 60), ({"watch": 6}, 0), ({}, 0)],
    ids=["long ago", "more than can be at work", "nothing"],
)
def test_batch_status_hides_outdated_or_impossible_stage_counts(held, inside, ago):
    rows = [{"state": "running"}] * 3 + [{"state": "planned"}] * 2 + [{"state": "waiting"}]
    samples = [{"elapsed": 9.0, **seen_now(inside, ago=ago)}]
    make_ledger(held, rows=rows, sessions=[OPEN], samples=samples)
    status = read_status(held)
    assert (status.inside, status.inside_at) == ({}, None)


def test_batch_status_gives_no_time_left_if_all_open_rows_wait_for_people(held):
    rows = [{"state": "completed"}] * 9 + [{"state": "waiting", "waiting_since": START}] * 12
    make_ledger(held, rows=rows, sessions=[OPEN], samples=steady(2))
    status = read_status(held)
    assert status.speed is not None
    assert status.left is None
    said = as_text(status)
    assert "the rest waits for a person" in said
    assert " s left" not in said
    told = as_json(status)
    assert (told["waiting"], told["waiting_rows_shown"], len(told["waiting_rows"])) == (12, 10, 10)


def test_batch_status_gives_no_time_left_while_it_is_being_ended(held):
    ending = {"mode": "drain", "kind": "interrupted"}
    rows = [{"state": "completed"}] * 30 + [{"state": "running"}] * 5 + [{"state": "planned"}] * 65
    make_ledger(
        held,
        rows=rows,
        sessions=[OPEN],
        samples=[*steady(2), {"elapsed": 301.0, "completed": 602, "ending": ending}],
    )
    status = read_status(held)
    assert status.speed is not None
    assert status.left is None, "the rows that are planned are not begun"
    assert "interrupted; waiting for those near the end" in as_text(status)


def test_batch_status_tells_what_is_left_and_no_results_where_there_are_none(tmp_path):
    make_ledger(tmp_path, rows=[{"state": "running"}] * 2)
    (tmp_path / "results.jsonl").touch()
    said = as_text(read_status(tmp_path))
    assert "  go on with 2 rows that are left:\n" in said
    assert "Results:" not in said


def test_batch_status_tells_age_of_stage_counts(held):
    rows = [{"state": "running"}] * 3 + [{"state": "planned"}] * 2
    make_ledger(held, rows=rows, sessions=[OPEN], samples=[{"elapsed": 9.0, **seen_now(INSIDE, ago=2)}])
    assert re.search(
        r"^  by stage, [2-9] s ago: 4 in watch, 1 in collect$", as_text(read_status(held)), re.MULTILINE
    )


def test_batch_status_does_not_point_to_outdated_report(tmp_path):
    make_ledger(tmp_path, rows=[{}, {"state": "failed"}, {"state": "running"}], sessions=[OPEN])
    report = tmp_path / "report.html"
    for name in ("report.html", "failures.jsonl"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (START - 60, START - 60))
    said = as_text(read_status(tmp_path))
    assert said.count(f"'opus-async batch report {tmp_path}' makes it anew") == 2
    assert str(report) not in said
    os.utime(report, (START + 60, START + 60))
    assert re.search(rf"^Report: +{re.escape(str(report))}$", as_text(read_status(tmp_path)), re.MULTILINE)


def test_batch_status_shows_full_error_if_all_rows_of_a_cause_share_it(tmp_path):
    same = {"state": "unknown", "cause": "No outcome after … s", "error": "No outcome after 30 s"}
    other = {"state": "failed", "cause": "HTTP …", "error": "HTTP 500"}
    make_ledger(tmp_path, rows=[same, same, other, {**other, "error": "HTTP 502"}])
    assert [group.told for group in read_status(tmp_path).failures] == ["HTTP …", "No outcome after 30 s"]
    said = as_text(read_status(tmp_path))
    assert "  2 x No outcome after 30 s\n      e.g. key-0, job job-0\n" in said
    assert "  2 x HTTP …\n      e.g. key-2, job job-2: HTTP 500\n" in said


def test_batch_status_and_export_mark_rows_resolved_as_failed_by_a_person(tmp_path):
    row = {"state": "failed", "cause": "no answer", "error": "no answer in 9 s"}
    make_ledger(tmp_path, rows=[row, {**row, "decided_by": "person"}, {**row, "state": "unknown"}])
    first, second = read_status(tmp_path).failures
    assert (first.cause, first.count) == ("no answer", 2)
    assert (second.cause, second.count) == ("a person decided that it failed", 1)
    reason = "a person decided that it failed; until then: no answer in 9 s"
    assert [each["error"] for each in as_json(read_status(tmp_path))["failures"][1]["examples"]] == [reason]
    export(tmp_path, "jsonl")
    lines = (tmp_path / "export.jsonl").read_bytes().splitlines()
    assert [json.loads(line)["error"] for line in lines] == ["no answer in 9 s", reason, "no answer in 9 s"]


def test_batch_status_without_batch_is_refused(tmp_path):
    with pytest.raises(LedgerError, match="There is no batch"):
        read_status(tmp_path)


# The rate


def test_throughput_range_narrows_with_more_completions():
    few = Throughput.of(as_samples([(0, 0), (50, 6), (100, 12)]))
    many = Throughput.of(as_samples([(0, 0), (50, 6000), (100, 12000)]))
    assert few is not None
    assert many is not None
    assert (few.high - few.low) / few.rate > 1
    assert (many.high - many.low) / many.rate < 0.1


def test_throughput_range_widens_with_fluctuation():
    calm = Throughput.of(as_samples([(10 * at, 1000 * at) for at in range(11)]))
    restless = Throughput.of(as_samples([(10 * at, 2000 * min(at, 5)) for at in range(11)]))
    assert calm is not None
    assert restless is not None
    assert restless.high - restless.low > 2 * (calm.high - calm.low)


@pytest.mark.parametrize("pairs", [[], [(0, 0)], [(0, 0), (0, 50)], [(0, 10), (60, 10)], [(0, 10), (60, 12)]])
def test_throughput_without_enough_data_is_none(pairs):
    assert Throughput.of(as_samples(pairs)) is None


@given(st.lists(st.tuples(st.floats(0.001, 1e5), st.integers(0, 10_000)), min_size=2, max_size=40))
def test_throughput_rate_lies_within_its_range(steps):
    elapsed, done, pairs = 0.0, 0, []
    for seconds, ended in steps:
        elapsed, done = elapsed + seconds, done + ended
        pairs.append((elapsed, done))
    speed = Throughput.of(as_samples(pairs))
    if speed is not None:
        assert 0 <= speed.low <= speed.rate <= speed.high
