"""A look at a ledger: all that is in it, beside its writer and after its death; and what is refused."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from ledgers import START, make_ledger

from opus_async.batch import ports
from opus_async.batch.ledger import SqliteLedger, lock
from opus_async.batch.ledger.lock import DirectoryLock, Process, holder
from opus_async.batch.ledger.reader import LedgerReader
from opus_async.batch.rows import NewRow, RowResult, RowState
from opus_async.errors import LedgerError
from opus_async.layout import LEDGER, RESULTS
from opus_async.metrics.counts import Counts
from opus_async.metrics.samples import Sample

STATES = [
    "completed",
    "failed",
    "planned",
    "cancelled",
    "running",
    "timed_out",
    "unknown",
    "waiting",
    "ordering",
    "completed",
]


def failed(cause, **more):
    return {"state": "failed", "cause": cause, **more}


def test_ledger_reader_rows_come_in_manifest_order_with_all_fields(tmp_path):
    rows = [{"position": 2, "key": "last"}, {"position": 0, "key": "first"}, {"position": 1, "key": "middle"}]
    make_ledger(tmp_path, rows=rows)
    with LedgerReader(tmp_path) as ledger:
        views = list(ledger.rows())
    assert [(view.index, view.key) for view in views] == [(0, "first"), (1, "middle"), (2, "last")]
    first = views[0]
    assert first.state is RowState.COMPLETED
    assert first.remote_id == "job-1"
    assert first.status == "COMPLETED"
    assert first.started_at == START + 1
    assert first.ended_at == START + 4
    assert first.timings == {"watch": 2.5, "total": 3.0}
    assert first.cells == {"Number": "1"}
    assert (first.orders, first.attempts, first.session, first.plan) == (1, 1, 1, 1)


def test_ledger_reader_filters_rows_by_state(tmp_path):
    make_ledger(tmp_path, rows=[{"state": state} for state in STATES])
    with LedgerReader(tmp_path) as ledger:
        chosen = ledger.rows([RowState.COMPLETED, RowState.UNKNOWN])
        assert [row.index for row in chosen] == [0, 6, 9]
        assert list(ledger.rows([])) == []
        assert len(list(ledger.rows())) == len(STATES)


def test_ledger_reader_counts_and_attempts_cover_all_rows(tmp_path):
    make_ledger(tmp_path, rows=[{"state": state, "attempts": 2} for state in STATES])
    with LedgerReader(tmp_path) as ledger:
        assert ledger.counts() == Counts(
            completed=2,
            failed=1,
            planned=1,
            cancelled=1,
            running=1,
            timed_out=1,
            unknown=1,
            waiting=1,
            ordering=1,
        )
        assert ledger.attempts() == 2 * len(STATES)


def test_ledger_reader_reads_ledger_without_rows(tmp_path):
    make_ledger(tmp_path, sessions=[])
    with LedgerReader(tmp_path) as ledger:
        assert ledger.counts() == Counts()
        assert ledger.attempts() == 0
        assert list(ledger.rows()) == []
        assert ledger.sessions() == ()
        assert list(ledger.samples()) == []
        assert ledger.failures_by_cause() == ()


def test_ledger_reader_returns_stored_facts(tmp_path):
    make_ledger(tmp_path, facts={"stages": ["bind", "watch"], "constants": {"Threshold": 0.8}})
    with LedgerReader(tmp_path) as ledger:
        assert ledger.meta.stages == ("bind", "watch")
        assert ledger.meta.constants == {"Threshold": 0.8}
        assert ledger.meta.created_at == START


def test_ledger_reader_session_seen_at_is_its_end_last_sample_or_begin(tmp_path):
    sessions = [
        {"ended_at": START + 60},
        {"began_at": START + 100, "ended_at": None, "ended_because": None, "exit_code": None},
        {"began_at": START + 500, "ended_at": None, "stray_shells": None, "settings": {"rate": 2}},
        {"began_at": START + 600, "ended_at": None, "ended_because": None, "exit_code": None},
    ]
    make_ledger(
        tmp_path,
        rows=[{}],
        sessions=sessions,
        samples=[
            {"elapsed": 5, "at": START + 130, "session": 2},
            {"elapsed": 9, "at": START + 134, "session": 2},
        ],
    )
    with closing(sqlite3.connect(tmp_path / LEDGER)) as writer, writer:
        writer.execute("INSERT INTO history(at, session, row, state) VALUES (?, 4, 1, 'x')", [START + 650])
    with LedgerReader(tmp_path) as ledger:
        ended, died, just_begun, changed = ledger.sessions()
    assert ended.seen_at == START + 60
    assert died.seen_at == START + 134
    assert died.ended_at is None
    assert just_begun.seen_at == START + 500
    assert just_begun.stray_shells == 0
    assert just_begun.settings == {"rate": 2}
    assert changed.seen_at == START + 650


def test_ledger_reader_samples_are_ordered_and_unknown_fields_ignored(tmp_path):
    make_ledger(
        tmp_path,
        samples=[
            {"elapsed": 5.0, "completed": 3, "inside": {"watch": 7}, "invented_later": 1},
            {"elapsed": 10.0, "completed": 9},
        ],
    )
    with LedgerReader(tmp_path) as ledger:
        first, second = ledger.samples()
        assert [each.at for each in ledger.samples(START + 6)] == [START + 10]
    assert (first.at, first.session, first.sample.completed) == (START + 5, 1, 3)
    assert first.sample.inside == {"watch": 7}
    assert second.sample.completed == 9


def test_ledger_reader_groups_failures_by_cause_most_frequent_first(tmp_path):
    rows = [
        failed("HTTP 500"),
        failed("storage", state="unknown"),
        {"state": "completed"},
        failed("storage"),
        failed("storage"),
        failed(None, error_type="OddError"),
        failed(None, error_type=None),
    ]
    make_ledger(tmp_path, rows=rows)
    with LedgerReader(tmp_path) as ledger:
        groups = ledger.failures_by_cause(2)
    assert [(group.cause, group.count) for group in groups] == [
        ("storage", 3),
        ("HTTP 500", 1),
        ("OddError", 1),
        ("no reason was recorded", 1),
    ]
    assert groups[0].states == {RowState.UNKNOWN: 1, RowState.FAILED: 2}
    assert [row.index for row in groups[0].examples] == [1, 3]


# results.jsonl


def test_ledger_reader_result_is_the_recorded_line(tmp_path):
    make_ledger(
        tmp_path, rows=[{"outputs": {"Verdict": "grün"}}, {"state": "failed"}, {"outputs": {"Sum": 2}}]
    )
    with LedgerReader(tmp_path) as ledger:
        first, failed_row, third = ledger.rows()
        assert ledger.result_of(third)["outputs"] == {"Sum": 2}
        assert ledger.result_of(first)["outputs"] == {"Verdict": "grün"}
        assert ledger.result_of(failed_row) is None


@pytest.mark.parametrize("written", [r'"\ud800"', "[" * 500 + "]" * 500], ids=["half", "deep"])
def test_ledger_reader_reads_half_surrogates_and_deep_values_of_results(tmp_path, written):
    make_ledger(tmp_path, rows=[{"outputs": {"A": ""}}])
    line = (tmp_path / RESULTS).read_bytes().replace(b'""', written.encode())
    (tmp_path / RESULTS).write_bytes(line)
    with closing(sqlite3.connect(tmp_path / LEDGER)) as connection, connection:
        place = (len(line), hashlib.sha256(line).hexdigest())
        connection.execute("UPDATE rows SET result_length = ?, result_digest = ?", place)
    with LedgerReader(tmp_path) as ledger:
        (row,) = ledger.rows()
        assert ledger.result_of(row)["outputs"] == {"A": json.loads(written)}


@pytest.mark.parametrize("damage", ["edited", "cut", "gone"])
def test_ledger_reader_refuses_damaged_result_line(tmp_path, damage):
    make_ledger(tmp_path, rows=[{"outputs": {"Verdict": "yes"}}])
    path = tmp_path / RESULTS
    if damage == "gone":
        path.unlink()
    else:
        line = path.read_bytes()
        path.write_bytes(line.replace(b"yes", b"not") if damage == "edited" else line[:20])
    with LedgerReader(tmp_path) as ledger:
        (row,) = ledger.rows()
        with pytest.raises(LedgerError, match=r"results\.jsonl") as caught:
            ledger.result_of(row)
    assert damage == "gone" or "batch resume" in str(caught.value)


def test_ledger_reader_refuses_result_line_of_another_row(tmp_path):
    make_ledger(tmp_path, rows=[{}, {}])
    connection = sqlite3.connect(tmp_path / LEDGER)
    with connection:
        places = "result_offset, result_length, result_digest"
        connection.execute(
            f"UPDATE rows SET ({places}) = (SELECT {places} FROM rows WHERE id = 1) WHERE id = 2"
        )
    connection.close()
    with LedgerReader(tmp_path) as ledger:
        first, second = ledger.rows()
        assert ledger.result_of(first)["key"] == "key-0"
        with pytest.raises(LedgerError):
            ledger.result_of(second)


# Beside a writer, and after its death


def test_ledger_reader_snapshot_is_stable_while_writer_writes(tmp_path):
    make_ledger(tmp_path, rows=[{"state": "running"}, {"state": "running"}])
    writer = sqlite3.connect(tmp_path / LEDGER, isolation_level=None)
    with LedgerReader(tmp_path) as ledger:
        with ledger.snapshot():
            assert ledger.counts().running == 2
            writer.execute("UPDATE rows SET state = 'failed' WHERE id = 1")
            assert ledger.counts().running == 2
            assert [row.state for row in ledger.rows()] == ["running", "running"]
        assert ledger.counts().running == 1
    writer.close()


def test_ledger_reader_streams_rows_from_one_snapshot(tmp_path):
    make_ledger(tmp_path, rows=[{"state": "planned"} for _ in range(500)])
    writer = sqlite3.connect(tmp_path / LEDGER, isolation_level=None)
    with LedgerReader(tmp_path) as ledger:
        rows = ledger.rows()
        assert next(rows).state is RowState.PLANNED
        writer.execute("UPDATE rows SET state = 'failed'")
        assert {row.state for row in rows} == {RowState.PLANNED}
        assert {row.state for row in ledger.rows()} == {RowState.FAILED}
    writer.close()


def test_ledger_reader_does_not_block_writer(tmp_path):
    make_ledger(tmp_path, rows=[{"state": "planned"} for _ in range(500)])
    writer = sqlite3.connect(tmp_path / LEDGER, timeout=0, isolation_level=None)
    with LedgerReader(tmp_path) as ledger:
        next(ledger.rows())
        writer.execute("BEGIN EXCLUSIVE")
        assert ledger.counts().planned == 500
        writer.execute("DELETE FROM rows")
        writer.execute("COMMIT")
        assert ledger.counts().total == 0
    writer.close()


DIES = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA wal_autocheckpoint = 0")
connection.execute("UPDATE rows SET state = 'failed'")
connection.execute("BEGIN")
connection.execute("UPDATE rows SET state = 'unknown'")
os._exit(1)
"""


def test_ledger_reader_reads_commits_of_dead_writer_and_changes_no_file(tmp_path):
    make_ledger(tmp_path, rows=[{"state": "running"}])
    subprocess.run([sys.executable, "-c", DIES, str(tmp_path / LEDGER)], check=False, timeout=60)
    log = tmp_path / f"{LEDGER}-wal"
    (tmp_path / f"{LEDGER}-shm").unlink()  # as after a power loss
    before = log.read_bytes(), (tmp_path / LEDGER).read_bytes()
    assert before[0]
    with LedgerReader(tmp_path) as ledger:
        assert [row.state for row in ledger.rows()] == ["failed"]
    assert (log.read_bytes(), (tmp_path / LEDGER).read_bytes()) == before


def test_ledger_reader_is_read_only(tmp_path):
    make_ledger(tmp_path, rows=[{}])
    with LedgerReader(tmp_path) as ledger, pytest.raises(sqlite3.OperationalError, match="readonly"):
        ledger._connection.execute("DELETE FROM rows")


def test_ledger_reader_accepts_any_directory_name(tmp_path):
    directory = make_ledger(tmp_path / "50% of #1? grün & mode=rw", rows=[{}])
    with LedgerReader(directory) as ledger:
        assert ledger.counts().completed == 1


# What is refused


def test_ledger_reader_without_batch_names_batch_run_command(tmp_path):
    with pytest.raises(LedgerError, match="There is no batch in") as caught:
        LedgerReader(tmp_path)
    assert "opus-async batch run" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_ledger_reader_reports_unfinished_planning(tmp_path):
    (tmp_path / f"{LEDGER}.new").touch()
    with pytest.raises(LedgerError, match="never planned to its end"):
        LedgerReader(tmp_path)


def test_ledger_reader_refuses_file_that_is_no_ledger(tmp_path):
    (tmp_path / LEDGER).write_bytes(b"no database at all " * 100)
    with pytest.raises(LedgerError, match=r"ledger\.db"):
        LedgerReader(tmp_path)
    (tmp_path / LEDGER).unlink()
    sqlite3.connect(tmp_path / LEDGER).close()
    with pytest.raises(LedgerError, match=r"ledger\.db"):
        LedgerReader(tmp_path)


def test_ledger_reader_refuses_newer_schema_version(tmp_path):
    make_ledger(tmp_path, facts={"schema_version": 1000})
    with pytest.raises(LedgerError, match="newer version"):
        LedgerReader(tmp_path)


@pytest.mark.parametrize("damage", ["state = 'invented'", "timings = 'no JSON'"])
def test_ledger_reader_malformed_row_raises_ledger_error(tmp_path, damage):
    make_ledger(tmp_path, rows=[{}])
    connection = sqlite3.connect(tmp_path / LEDGER)
    with connection:
        connection.execute(f"UPDATE rows SET {damage}")
    connection.close()
    with LedgerReader(tmp_path) as ledger, pytest.raises(LedgerError, match="cannot read"):
        list(ledger.rows())


# Who works on it


def test_lock_holder_is_none_without_lock_or_after_release(tmp_path):
    assert holder(tmp_path) is None
    DirectoryLock(tmp_path).release()
    assert holder(tmp_path) is None


def test_lock_holder_is_the_process_with_the_lock(tmp_path):
    lock = DirectoryLock(tmp_path)
    process = holder(tmp_path)
    lock.release()
    assert process is not None
    assert (process.pid, process.host, process.alive) == (os.getpid(), socket.gethostname(), True)


def test_lock_holder_is_none_after_its_process_died(tmp_path):
    dies = "import os, sys, pathlib; from opus_async.batch.ledger.lock import DirectoryLock as Lock; "
    dies += "lock = Lock(pathlib.Path(sys.argv[1])); os._exit(1)"
    subprocess.run([sys.executable, "-c", dies, str(tmp_path)], check=False, timeout=60)
    assert json.loads((tmp_path / ".lock").read_bytes())["pid"]
    assert holder(tmp_path) is None


def test_lock_holder_is_none_if_its_pid_was_reused(tmp_path):
    told = {"pid": os.getpid(), "host": socket.gethostname(), "since": START}
    (tmp_path / ".lock").write_text(json.dumps(told))
    assert holder(tmp_path) is None


def test_lock_holder_on_another_host_is_alive_while_lock_is_held(tmp_path):
    lock = DirectoryLock(tmp_path)
    (tmp_path / ".lock").write_text(json.dumps({"pid": 1, "host": "elsewhere.invalid", "since": START}))
    process = holder(tmp_path)
    lock.release()
    assert process == Process(pid=1, host="elsewhere.invalid", since=START, alive=True)


def _refused(*_):
    raise OSError(errno.ENOTSUP, "not supported")


@pytest.fixture(params=[_refused, None], ids=["refused by the file system", "not on this system"])
def _no_locks(request, monkeypatch):
    monkeypatch.setattr(lock, "flock", request.param)


@pytest.mark.usefixtures("_no_locks")
@pytest.mark.parametrize(
    ("host", "lives", "expected"),
    [("here", True, [True]), ("here", False, []), ("elsewhere.invalid", True, [None])],
)
def test_lock_holder_without_flock_is_judged_by_pid(tmp_path, host, lives, expected):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait(60)
    told = {
        "pid": os.getpid() if lives else gone.pid,
        "host": socket.gethostname() if host == "here" else host,
    }
    (tmp_path / ".lock").write_text(json.dumps(told))
    process = holder(tmp_path)
    assert ([process.alive] if process else []) == expected


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": null, "host": "here"}', '{"pid": "x"}', "7"])
def test_lock_holder_of_malformed_lock_file_is_none(tmp_path, text):
    (tmp_path / ".lock").write_text(text)
    assert holder(tmp_path) is None


# What the real writer writes


def new_row(index):
    return NewRow(
        index=index, key=f"k{index}", digest=str(index), cells={"Number": index, "Größe": ["a", "b"]}
    )


async def test_ledger_reader_reads_what_ledger_writes_during_and_after_session(tmp_path):
    writing = await SqliteLedger.create(tmp_path, {"stages": ["bind", "watch"]})
    try:
        await writing.begin_plan()
        await writing.plan([new_row(2), new_row(0), new_row(1)])
        await writing.end_plan()
        await writing.confirm_plan()
        await writing.publish()
        session = await writing.begin_session({"max_in_flight": 5})
        first, second = await writing.queue.lease(2, await writing.queue.grant(ports.IN_PROCESS))
        await writing.journal.begun(first.held)
        await writing.ordering(first, "job 1", "v0")
        line = json.dumps({"key": first.key, "outputs": {"Verdict": "grün"}}).encode() + b"\n"
        await writing.journal.finished(
            first.held,
            RowResult(
                state=RowState.COMPLETED,
                status="COMPLETED",
                remote_id="job 1",
                timings={"total": 2.0},
                line=line,
            ),
        )
        await writing.journal.finished(
            second.held, RowResult(state=RowState.FAILED, error="no", error_type="JobFailed", cause="no")
        )
        writing.sample(Sample(elapsed=1.0, in_flight=1, waiting=0, completed=1, not_completed=1))
        with LedgerReader(tmp_path) as ledger:
            assert ledger.counts() == writing.counts() == Counts(completed=1, failed=1, planned=1)
            one, two, three = ledger.rows()
            assert ledger.result_of(one)["outputs"] == {"Verdict": "grün"}
        assert holder(tmp_path).pid == os.getpid()
        await writing.end_session(ended_because="finished", exit_code=1, stray_shells=2, uploads_saved=3)
    finally:
        await writing.close()
    assert holder(tmp_path) is None
    assert [row.key for row in (one, two, three)] == ["k0", "k1", "k2"]
    assert one.cells == {"Number": 0, "Größe": ["a", "b"]}
    assert one.timings == {"total": 2.0}
    assert (two.error, two.cause, two.remote_id) == ("no", "no", None)
    with LedgerReader(tmp_path) as ledger:
        (told,) = ledger.sessions()
        (sample,) = ledger.samples()
        assert ledger.meta.stages == ("bind", "watch")
    assert (told.id, told.ended_because, told.stray_shells, told.uploads_saved) == (session, "finished", 2, 3)
    assert told.settings == {"max_in_flight": 5}
    assert (sample.session, sample.sample.not_completed) == (session, 1)


def test_ledger_reader_tells_second_id_of_a_job_where_the_ledger_has_one(tmp_path):
    make_ledger(tmp_path, rows=[{"state": "waiting"}, {"state": "planned", "remote_id": None}])
    with closing(sqlite3.connect(tmp_path / LEDGER)) as connection, connection:
        connection.execute("INSERT INTO worlds VALUES (1, 1, '{}')")
        (job,) = connection.execute("SELECT remote_id FROM rows WHERE id = 1").fetchone()
        connection.execute(
            "INSERT INTO jobs (remote_id, place, world, row, alias) VALUES (?, 1, 1, 1, 'run-1')", (job,)
        )
    with LedgerReader(tmp_path) as ledger:
        assert [ledger.alias_of(row) for row in ledger.rows()] == ["run-1", None]
    with closing(sqlite3.connect(tmp_path / LEDGER)) as connection, connection:
        connection.execute("ALTER TABLE jobs DROP COLUMN alias")  # as an older release made it
    with LedgerReader(tmp_path) as ledger:
        assert [ledger.alias_of(row) for row in ledger.rows()] == [None, None]
