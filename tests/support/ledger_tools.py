"""What the tests of the ledger share: rows to plan, endings, a clock to turn, a look at the file itself."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from opus_async.batch.ledger import SqliteLedger
from opus_async.batch.ledger.clock import SteadyClock
from opus_async.batch.ports import IN_PROCESS, Planned
from opus_async.batch.rows import NewRow, Row, RowResult, RowState

START = 1_760_000_000.0
TIMINGS = {"upload": 0.25, "watch": 2.0, "total": 2.5}


class Hands:
    """The hands of two clocks: the one on the wall can be turned, the other only goes on."""

    def __init__(self) -> None:
        self.wall = START
        self.ticks = 50.0

    def clock(self) -> SteadyClock:
        return SteadyClock(lambda: self.wall, lambda: self.ticks)

    def go_on(self, seconds: float) -> None:
        self.wall += seconds
        self.ticks += seconds


def new_row(index: int, key: str | None = None, **given: Any) -> NewRow:
    """A row; its digest follows from its cells if none is given."""
    cells = given.pop("cells", {"Number": str(index)})
    digest = given.pop("digest", json.dumps(cells))
    return NewRow(
        index=index,
        key=f"key-{index}" if key is None else key,
        digest=digest,
        cells=cells,
        **({"key_given": True} | given),
    )


def new_rows(count: int) -> list[NewRow]:
    return [new_row(index) for index in range(count)]


async def plan(ledger: SqliteLedger, rows: Iterable[NewRow]) -> Planned:
    await ledger.begin_plan()
    await ledger.plan(list(rows))
    planned = await ledger.end_plan()
    await ledger.confirm_plan()
    return planned


@asynccontextmanager
async def created(
    directory: Path, rows: int | Sequence[NewRow] = 0, **given: Any
) -> AsyncIterator[SqliteLedger]:
    """A published ledger, with so many planned rows or with these."""
    ledger = await SqliteLedger.create(directory, given.pop("facts", {}), **given)
    try:
        await plan(ledger, new_rows(rows) if isinstance(rows, int) else rows)
        await ledger.publish()
        yield ledger
    finally:
        await ledger.close()


@asynccontextmanager
async def opened(directory: Path, **given: Any) -> AsyncIterator[SqliteLedger]:
    ledger = await SqliteLedger.open(directory, **given)
    try:
        yield ledger
    finally:
        await ledger.close()


def line_of(row: Row, outputs: Mapping[str, Any] | None = None) -> bytes:
    line = {"index": row.index, "key": row.key, "job_id": f"job-{row.key}", "status": "COMPLETED"}
    return json.dumps({**line, "outputs": dict(outputs or {}), "timings": TIMINGS}).encode() + b"\n"


def completed(row: Row, outputs: Mapping[str, Any] | None = None) -> RowResult:
    return RowResult(
        state=RowState.COMPLETED,
        status="COMPLETED",
        stage="results",
        remote_id=f"job-{row.key}",
        timings=TIMINGS,
        line=line_of(row, outputs),
    )


def not_completed(state: RowState, **given: Any) -> RowResult:
    ending: dict[str, Any] = {
        "status": None if state is RowState.UNKNOWN else state.upper(),
        "stage": "watch",
    }
    ending |= {"error": f"it is {state}", "error_type": "JobFailed", "cause": f"the job is {state}"}
    return RowResult(state=state, **(ending | given))


async def take(ledger: SqliteLedger, count: int) -> Sequence[Row]:
    """Rows for a worker of this process."""
    return await ledger.queue.lease(count, await ledger.queue.grant(IN_PROCESS))


async def order(ledger: SqliteLedger, row: Row, *, accepted: bool = True) -> None:
    """As far as the platform's acceptance, or as the loss of its answer."""
    await ledger.journal.begun(row.held)
    await ledger.journal.job_created(row.held, f"job-{row.key}", "v0")
    await ledger.ordering(row, f"job-{row.key}", "v0")
    if accepted:
        await ledger.journal.start_accepted(row.held)


async def complete(ledger: SqliteLedger, row: Row) -> None:
    await order(ledger, row)
    await ledger.journal.status_seen(row.held, "IN_PROGRESS")
    await ledger.journal.status_seen(row.held, "COMPLETED")
    await ledger.journal.finished(row.held, completed(row))


async def flushed(ledger: SqliteLedger) -> None:
    """What nobody waits for goes with what somebody waits for."""
    await ledger.row("")


def select(directory: Path, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """What any SQLite tool would see, while the ledger is open or not."""
    with closing(sqlite3.connect(directory / "ledger.db")) as connection:
        return connection.execute(statement, values).fetchall()


def columns(directory: Path, key: str, *names: str) -> tuple[Any, ...]:
    """Some columns of a row."""
    (found,) = select(directory, f"SELECT {', '.join(names)} FROM rows WHERE key = ?", key)
    return found


def results(directory: Path) -> list[dict[str, Any]]:
    """The lines of the results; not the last one where a killed process has not written all of it."""
    lines = (directory / "results.jsonl").read_bytes().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


CHILD = Path(__file__).with_name("ledger_child.py")


def start(*arguments: object) -> subprocess.Popen[bytes]:
    """A process of ``ledger_child.py``, in a group of its own."""
    path = os.pathsep.join((str(CHILD.parent), str(CHILD.parents[2])))
    return subprocess.Popen(
        [sys.executable, str(CHILD), *map(str, arguments)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,
    )
