"""Ledgers of earlier releases: read as they are, and brought up when they are opened for writing."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from ledger_tools import columns, completed, created, new_row, not_completed, opened, order, select, take

from opus_async.batch.ledger.reader import LedgerReader
from opus_async.batch.ports import LeaseTerms
from opus_async.batch.rows import RowState
from opus_async.layout import LEDGER, RESULTS

_HAS_COLUMN = "SELECT count(*) FROM pragma_table_info('rows') WHERE name = 'decided_by'"


async def _decided_without_the_column(folder):
    """A ledger of the first release with schema 2: a person's decisions stand in notes alone."""
    async with created(folder, 4) as ledger:
        await ledger.begin_session({})
        for row in await take(ledger, 4):
            await order(ledger, row, accepted=row.index == 0)
            result = not_completed(RowState.UNKNOWN) if row.index else completed(row)
            await ledger.journal.finished(row.held, result)
        await ledger.resolve("done", keys=["key-1"])
        await ledger.resolve("failed", keys=["key-2"])
    with closing(sqlite3.connect(folder / LEDGER, isolation_level=None)) as database:
        database.execute("ALTER TABLE rows DROP COLUMN decided_by")


DECISIONS = {"key-0": None, "key-1": "person", "key-2": "person", "key-3": None}


async def test_ledger_reader_shows_decisions_of_ledger_without_decided_by_column(tmp_path):
    await _decided_without_the_column(tmp_path)
    with LedgerReader(tmp_path) as ledger:
        rows = {row.key: row for row in ledger.rows()}
        causes = {group.cause for group in ledger.failures_by_cause()}
    assert {key: row.decided_by for key, row in rows.items()} == DECISIONS
    assert rows["key-2"].reason.startswith("a person decided that it failed; until then: ")
    assert rows["key-3"].reason == rows["key-3"].error
    assert "a person decided that it failed" in causes
    assert select(tmp_path, _HAS_COLUMN) == [(0,)], "reading changes nothing"


@pytest.mark.parametrize("dropped", [["location"], ["decided_by", "location"]])
async def test_ledger_reader_reads_rows_of_ledger_without_location_column(tmp_path, dropped):
    async with created(tmp_path, [new_row(0, location="line 2")]):
        pass
    with LedgerReader(tmp_path) as ledger:
        assert [row.location for row in ledger.rows()] == ["line 2"]
    with closing(sqlite3.connect(tmp_path / LEDGER, isolation_level=None)) as database:
        for column in dropped:
            database.execute(f"ALTER TABLE rows DROP COLUMN {column}")
    with LedgerReader(tmp_path) as ledger:
        assert [(row.key, row.location, row.decided_by) for row in ledger.rows()] == [("key-0", None, None)]


async def test_migration_fills_decided_by_column_from_notes(tmp_path):
    await _decided_without_the_column(tmp_path)
    async with opened(tmp_path):
        pass
    assert {key: columns(tmp_path, key, "decided_by")[0] for key in DECISIONS} == DECISIONS
    async with opened(tmp_path):  # and a second time there is nothing to add
        pass


@pytest.mark.parametrize("older", [True, False])
async def test_migration_row_resolved_as_done_is_unknown_again_if_result_line_is_lost(tmp_path, older):
    await _decided_without_the_column(tmp_path)
    if not older:
        async with opened(tmp_path):
            pass
    (tmp_path / RESULTS).write_bytes(b"")
    async with opened(tmp_path):
        pass
    assert columns(tmp_path, "key-0", "state", "decided_by") == ("running", None), "its job is asked"
    assert columns(tmp_path, "key-1", "state", "decided_by") == ("unknown", None), "its end was only said"
    assert columns(tmp_path, "key-1", "note") == ("its line was missing from results.jsonl",)


async def test_migration_adds_settle_after_column_to_sessions(tmp_path):
    async with created(tmp_path, 1) as ledger:
        await ledger.begin_session({})
    with closing(sqlite3.connect(tmp_path / LEDGER, isolation_level=None)) as database:
        database.execute("ALTER TABLE sessions DROP COLUMN settle_after")
    async with opened(tmp_path) as ledger:
        await ledger.begin_session({})
        await ledger.queue.grant(LeaseTerms(owner="worker", settle_after=7.0))
    assert select(tmp_path, "SELECT settle_after FROM sessions ORDER BY id") == [(None,), (7.0,)]


async def test_migration_gives_old_ledger_all_columns_of_a_new_one(tmp_path):
    async with created(tmp_path / "old", 2), created(tmp_path / "new", 1):
        pass
    dropped = {"rows": ["decided_by", "location"], "sessions": ["settle_after"], "jobs": ["alias"]}
    with closing(sqlite3.connect(tmp_path / "old" / LEDGER, isolation_level=None)) as database:
        for table, columns_ in dropped.items():
            for column in columns_:
                database.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    async with opened(tmp_path / "old") as ledger:
        await ledger.begin_session({})
        assert len(await take(ledger, 2)) == 2

    def columns_of(directory):
        tables = select(directory, "SELECT name FROM sqlite_schema WHERE type = 'table'")
        return {
            table: {name for (name,) in select(directory, f"SELECT name FROM pragma_table_info('{table}')")}
            for (table,) in tables
        }

    assert columns_of(tmp_path / "old") == columns_of(tmp_path / "new")
