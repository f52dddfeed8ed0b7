"""A process that works on a ledger until it is killed: what the crash tests and the lock tests start.

python ledger_child.py work DIR    ends rows as fast as it can, and prints each that was acknowledged
python ledger_child.py hold DIR    opens the ledger, says so, and waits
python ledger_child.py fork DIR    opens the ledger, forks a child that outlives it, says its id, and waits
python ledger_child.py plan DIR    plans other rows than the ledger has, says how many, and waits
python ledger_child.py fill DIR N  may write files of N bytes at most, ends rows until it cannot, and says why
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
from pathlib import Path

from ledger_tools import completed, new_row, not_completed, order, take

from opus_async.batch.ledger import SqliteLedger
from opus_async.batch.rows import Row, RowState
from opus_async.errors import LedgerError

AT_ONCE = 100
PLANNED = 50_000
"""Enough for SQLite to write some of them to the file before they are confirmed."""


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def work(directory: Path) -> None:
    ledger = await SqliteLedger.open(directory)
    await ledger.begin_session({})
    say("working")

    async def worker() -> None:
        while rows := await take(ledger, 3):
            for row in rows:
                await one(ledger, row)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(worker())
    await ledger.end_session(ended_because="finished", exit_code=0, stray_shells=0, uploads_saved=0)
    await ledger.close()


async def one(ledger: SqliteLedger, row: Row) -> None:
    if row.state is RowState.PLANNED:
        await ledger.journal.begun(row.held)
        await ledger.journal.job_created(row.held, f"job-{row.key}", "v0")
        await ledger.ordering(row, f"job-{row.key}", "v0")
        say("ordering", row.key)
        await ledger.journal.start_accepted(row.held)
        await ledger.journal.status_seen(row.held, "IN_PROGRESS")
    if row.index % 5 == 4:
        await ledger.journal.finished(row.held, not_completed(RowState.FAILED))
        say("failed", row.key)
    else:
        await ledger.journal.finished(row.held, completed(row, {"Text": "x" * (row.index % 700)}))
        say("completed", row.key)


async def hold(directory: Path) -> None:
    await SqliteLedger.open(directory)
    say("holding")
    await asyncio.Event().wait()


async def fork(directory: Path) -> None:
    ledger = await SqliteLedger.open(directory)
    await ledger.begin_session({})
    await order(ledger, (await take(ledger, 1))[0])
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, lambda *_: sys.exit(0))  # ends as a program does, with all its clean-up
        signal.pause()
    say("forked", child)
    await asyncio.Event().wait()


async def replan(directory: Path) -> None:
    ledger = await SqliteLedger.open(directory)
    await ledger.begin_plan()
    for start in range(0, PLANNED, 500):
        await ledger.plan([new_row(index, f"other-{index}") for index in range(start, start + 500)])
    await ledger.end_plan()
    say("planned", ledger.counts().planned)
    await asyncio.Event().wait()


async def fill(directory: Path, largest: str) -> None:
    ledger = await SqliteLedger.open(directory)
    await ledger.begin_session({})
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(largest), int(largest)))
    try:
        while True:
            for row in await take(ledger, 5):
                await order(ledger, row)
                await ledger.journal.finished(row.held, completed(row, {"Text": "x" * 1000}))
                say("completed", row.key)
    except LedgerError as error:
        say("error", json.dumps([error.disk_full, str(error)]))
    await ledger.close()


if __name__ == "__main__":
    modes = {"work": work, "hold": hold, "fork": fork, "plan": replan, "fill": fill}
    asyncio.run(modes[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:]))
