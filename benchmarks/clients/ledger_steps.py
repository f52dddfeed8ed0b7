"""All that a batch asks of its ledger, and nothing else; and the same steps written by bare sqlite3."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness.meter import Meter
from opus_async.batch.ledger import SqliteLedger
from opus_async.batch.ports import IN_PROCESS
from opus_async.batch.rows import NewRow, Row, RowResult, RowState

IN_FLIGHT = 500
CHUNK = 256
"""Rows that are planned at a time, and steps in a transaction of the bare side."""
SHARD = 128
STEPS = 6
"""Of a row, before its end: begun, shell, order, accepted, two statuses."""
TIMINGS = {"upload": 0.1, "initiate": 0.2, "execute": 0.12, "watch": 2.0, "results": 0.1, "total": 2.6}
OUTPUTS = {"Verdict": "approved", "Amount": 1234.5, "Reasons": ["complete", "signed", "within the limit"]}


async def ours(meter: Meter, count: int) -> dict[str, float]:
    """Plan so many rows, and take each through all its steps.

    Returns:
        CPU seconds: ``plan``; ``loop``, what the event loop's thread used; ``open``, for opening it again.
    """
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "batch"
        spent: dict[str, float] = {}
        with meter:
            began = time.thread_time()
            with _timed(spent, "plan"):
                ledger = await SqliteLedger.create(directory, {"fingerprint": {}})
                await _plan(ledger, count)
                await ledger.publish()
            await ledger.begin_session({})
            await _run(ledger)
            await ledger.close()
            spent["loop"] = time.thread_time() - began
        with _timed(spent, "open"):
            ledger = await SqliteLedger.open(directory)
            await ledger.begin_session({})
        assert not await ledger.queue.lease(SHARD, await ledger.queue.grant(IN_PROCESS))
        assert ledger.counts().completed == count
        await ledger.end_session(ended_because="done", exit_code=0, stray_shells=0, uploads_saved=0)
        await ledger.close()
    return spent


async def bare(meter: Meter, count: int) -> None:
    """Write as many rows and steps to a table of sqlite3, and a line of results for each row."""
    with tempfile.TemporaryDirectory() as folder, meter:
        database = sqlite3.connect(Path(folder) / "bare.db", isolation_level=None)
        database.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
            "CREATE TABLE rows (id INTEGER PRIMARY KEY, key TEXT, digest TEXT, cells TEXT, job TEXT,"
            " state INTEGER, timings TEXT) STRICT"
        )
        rows = [(row.index, row.key, row.digest, json.dumps(row.cells)) for row in _rows(0, count)]
        for some in _chunks(rows):
            database.execute("BEGIN")
            database.executemany("INSERT INTO rows (id, key, digest, cells) VALUES (?, ?, ?, ?)", some)
            database.execute("COMMIT")
        with (Path(folder) / "results.jsonl").open("wb") as results:
            for some in _chunks(rows):
                for state in range(STEPS):
                    database.execute("BEGIN")
                    database.executemany(
                        "UPDATE rows SET state = ?, job = ? WHERE id = ?",
                        [(state, f"job-{row[0]:08}", row[0]) for row in some],
                    )
                    database.execute("COMMIT")
                results.writelines(_line(row[0], row[1]) for row in some)
                database.execute("BEGIN")
                database.executemany(
                    "UPDATE rows SET state = 9, timings = ? WHERE id = ?",
                    [(json.dumps(TIMINGS), row[0]) for row in some],
                )
                database.execute("COMMIT")
        database.close()


@contextmanager
def _timed(spent: dict[str, float], name: str) -> Iterator[None]:
    began = time.process_time()
    yield
    spent[name] = time.process_time() - began


def _chunks(rows: Sequence[tuple[int, str, str, str]]) -> Iterator[Sequence[tuple[int, str, str, str]]]:
    return (rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK))


def _rows(start: int, end: int) -> list[NewRow]:
    """Rows with three columns."""
    return [
        NewRow(
            index=index,
            key=f"{index:064x}",
            digest=f"{index:064x}",
            cells={"Document": f"documents/{index}.pdf", "Amount": str(index), "Title": f"Invoice {index}"},
        )
        for index in range(start, end)
    ]


def _line(index: int, key: str) -> bytes:
    line = {"index": index, "key": key, "job_id": f"job-{index:08}", "status": "COMPLETED"}
    return json.dumps(line | {"outputs": OUTPUTS, "timings": TIMINGS}).encode() + b"\n"


async def _plan(ledger: SqliteLedger, count: int) -> None:
    await ledger.begin_plan()
    for start in range(0, count, CHUNK):
        await ledger.plan(_rows(start, min(count, start + CHUNK)))
    await ledger.end_plan()
    await ledger.confirm_plan()


async def _run(ledger: SqliteLedger) -> None:
    shard: list[Row] = []
    lease = await ledger.queue.grant(IN_PROCESS)

    async def worker() -> None:
        while True:
            if not shard:
                shard.extend(await ledger.queue.lease(SHARD, lease))
            if not shard:
                return
            await _steps(ledger, shard.pop())

    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(worker())


async def _steps(ledger: SqliteLedger, row: Row) -> None:
    job = f"job-{row.index:08}"
    await ledger.journal.begun(row.held)
    await ledger.journal.job_created(row.held, job, "v0")
    await ledger.journal.start_intent(row.held, job, "v0")
    await ledger.journal.start_accepted(row.held)
    await ledger.journal.status_seen(row.held, "IN_PROGRESS")
    await ledger.journal.status_seen(row.held, "COMPLETED")
    result = RowResult(
        state=RowState.COMPLETED,
        status="COMPLETED",
        stage="results",
        remote_id=job,
        timings=TIMINGS,
        line=_line(row.index, row.key),
    )
    await ledger.journal.finished(row.held, result)
