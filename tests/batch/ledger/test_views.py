"""What users and their tools see of the file: views, comments, permissions, no secrets, query plans."""

from __future__ import annotations

import re
import sqlite3
import stat
from contextlib import closing

import pytest
from ledger_tools import Hands, complete, created, new_row, new_rows, not_completed, order, select, take
from ledgers import TABLES as TABLES_AGREED

from opus_async.batch.ledger import schema, work_queue
from opus_async.batch.rows import RowState
from opus_async.metrics.samples import Sample


def names(directory, table):
    with closing(sqlite3.connect(directory / "ledger.db")) as connection:
        return [column[0] for column in connection.execute(f"SELECT * FROM {table}").description]


@pytest.fixture
async def batch(tmp_path):
    """Two rows completed, one failed, one unknown, one planned; a sample."""
    hands = Hands()
    facts = {"stages": ["upload", "initiate", "watch"]}
    async with created(tmp_path, 5, facts=facts, clock=hands.clock()) as ledger:
        await ledger.begin_session({})
        rows = await take(ledger, 4)
        await complete(ledger, rows[0])
        await complete(ledger, rows[1])
        for row, state in zip(rows[2:], (RowState.FAILED, RowState.UNKNOWN), strict=True):
            await order(ledger, row)
            timings = {"upload": 0.75, "total": 0.75}
            await ledger.journal.finished(row.held, not_completed(state, remote_id="job", timings=timings))
        hands.go_on(4)
        ledger.sample(
            Sample(
                elapsed=4.0,
                in_flight=3,
                waiting=0,
                completed=2,
                not_completed=2,
                requests=40,
                retries=2,
                throttled=1,
                uploaded_bytes=12_345,
            )
        )
    return tmp_path


def test_ledger_view_status_counts_rows_per_state(batch):
    assert names(batch, "v_status") == ["state", "rows", "share"]
    assert select(batch, "SELECT * FROM v_status") == [
        ("completed", 2, 0.4),
        ("failed", 1, 0.2),
        ("planned", 1, 0.2),
        ("unknown", 1, 0.2),
    ]


def test_ledger_view_failures_lists_rows_with_reasons(batch):
    assert names(batch, "v_failures") == [
        *("position", "key", "state", "status", "stage", "error_type", "cause", "error", "remote_id")
    ]
    assert select(batch, "SELECT * FROM v_failures") == [
        (2, "key-2", "failed", "FAILED", "watch", "JobFailed", "the job is failed", "it is failed", "job"),
        (3, "key-3", "unknown", None, "watch", "JobFailed", "the job is unknown", "it is unknown", "job"),
    ]


def test_ledger_view_stage_seconds_summarises_time_per_stage(batch):
    assert names(batch, "v_stage_seconds") == ["stage", "rows", "total", "mean", "min", "max"]
    assert select(batch, "SELECT * FROM v_stage_seconds") == [
        ("upload", 4, 2.0, 0.5, 0.25, 0.75),
        ("watch", 2, 4.0, 2.0, 2.0, 2.0),
        ("total", 4, 6.5, 1.625, 0.75, 2.5),
    ]


def test_ledger_view_timeline_lists_samples(batch):
    assert names(batch, "v_timeline") == [
        *("at", "session", "elapsed", "in_flight", "waiting", "completed", "not_completed"),
        *("requests", "retries", "throttled", "uploaded_bytes"),
    ]
    assert select(batch, "SELECT * FROM v_timeline") == [
        ("2025-10-09T08:53:24Z", 1, 4.0, 3, 0, 2, 2, 40, 2, 1, 12_345)
    ]


async def test_ledger_views_of_empty_batch_are_empty(tmp_path):
    async with created(tmp_path):
        pass
    for view in ("v_status", "v_failures", "v_stage_seconds", "v_timeline"):
        assert select(tmp_path, f"SELECT * FROM {view}") == []


def test_ledger_schema_tables_and_views_have_comments(batch):
    told = dict(select(batch, "SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'view')"))
    tables = {name for name in told if not name.startswith("sqlite_")}
    assert {"v_status", "v_failures", "v_stage_seconds", "v_timeline", "rows", "meta"} <= tables
    assert [name for name in tables if "-- " not in told[name]] == []


def test_ledger_schema_tables_match_those_of_test_support():
    def shape(statements):
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.executescript(statements)
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            return {
                name: [column[1:3] for column in connection.execute(f"PRAGMA table_info({name})")]
                for (name,) in tables
                if not name.startswith("sqlite_")
            }

    assert shape(schema.TABLES) == shape(TABLES_AGREED)


async def test_ledger_files_are_private_to_owner(tmp_path):
    async with created(tmp_path, 1) as ledger:
        await ledger.begin_session({})
        await complete(ledger, (await take(ledger, 1))[0])
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(
        (".batch-1", ".lock", "ledger.db", "ledger.db-wal", "ledger.db-shm", "results.jsonl"), 0o600
    )


async def test_ledger_files_contain_no_url_query_if_none_was_given(tmp_path):
    rows = [new_row(0, cells={"Document": "a.pdf", "Link": "https://files.example/a.pdf"}), *new_rows(3)[1:]]
    async with created(tmp_path, rows, facts={"settings": {"rate": 5}}) as ledger:
        await ledger.begin_session({"rate": 5})
        ledger.journal.cache.put("sha256:ab", "https://files.example/b.pdf")
        ledger.keep_file("/a.pdf", 1, 2, 3, "ab")
        taken = await take(ledger, 3)
        await complete(ledger, taken[0])
        await order(ledger, taken[1])
        await ledger.journal.finished(taken[1].held, not_completed(RowState.FAILED))
        await ledger.journal.parked(taken[2].held, status="WAITING", poll_in=1, timings={})
        content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"https://files.example/b.pdf" in content
    assert re.findall(rb"https?://[!#-&(->@-~]*\?", content) == []  # a time, in binary, may lie behind one
    assert re.findall(rb"(?i)x-amz-|signature|x-service-key", content) == []


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (work_queue._NEXT_PLANNED, "rows_planned"),
        (work_queue._NEXT_DUE, "rows_to_look_at"),
        (work_queue._NEXT_POLL, "rows_to_look_at"),
    ],
)
def test_ledger_schema_lease_queries_use_index(batch, statement, index):
    values = [0] * statement.count("?")
    plan = " ".join(detail for *_, detail in select(batch, f"EXPLAIN QUERY PLAN {statement}", *values))
    assert index in plan
    assert "TEMP B-TREE" not in plan  # nothing is sorted
    assert "SCAN" not in plan or "LIMIT 1" in statement
