"""Lives of a batch that end at a given call: what the tests of recovery start, with killed_at.c preloaded.

python killed_child.py SCENARIO FOLDER

For n = 1, 2, ... a fork lives through the scenario in FOLDER/n/batch and is killed at its n-th call that
changes a file there, until one lives through all of it. FOLDER/n/calls has the calls, a line each.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from ledger_tools import complete, completed, created, new_rows, opened, order, plan, take

from opus_async.batch.ledger import SqliteLedger

MOST = 400
ROWS = 3


async def first_life(directory: Path) -> None:
    """Made, published, worked on, closed."""
    async with created(directory, ROWS) as ledger:
        await work(ledger)


async def broken_off(directory: Path) -> None:
    """As the first, but that it ends in the middle."""
    ledger = await SqliteLedger.create(directory, {})
    await plan(ledger, new_rows(ROWS))
    await ledger.publish()
    await ledger.begin_session({})
    one, two = await take(ledger, 2)
    await complete(ledger, one)
    await order(ledger, two)
    os._exit(0)


async def next_life(directory: Path) -> None:
    """Opened after that, worked on, closed."""
    async with opened(directory) as ledger:
        await work(ledger)


async def work(ledger) -> None:
    await ledger.begin_session({})
    one, two = await take(ledger, 2)
    for row in (one, two):
        if row.state == "planned":
            await complete(ledger, row)
        else:
            await ledger.journal.finished(row.held, completed(row))
    for row in await take(ledger, 1):
        await order(ledger, row)
    await ledger.end_session(ended_because="finished", exit_code=0, stray_shells=0, uploads_saved=0)


SCENARIOS = {"first life": (None, first_life), "next life": (broken_off, next_life)}


def live(scenario, directory: Path) -> int:
    """Live through one in a fork; returns how that ended."""
    child = os.fork()
    if child == 0:
        asyncio.run(scenario(directory))
        os._exit(0)
    return os.waitpid(child, 0)[1]


def main(name: str, folder: Path) -> None:
    before, scenario = SCENARIOS[name]
    for number in range(1, MOST):
        home = folder / str(number)
        home.mkdir()
        if before is not None:
            os.environ["KILL_IN"] = "nowhere"
            assert live(before, home / "batch") == 0
        log = os.open(home / "calls", os.O_WRONLY | os.O_CREAT)
        os.environ |= {"KILL_IN": "/batch", "KILL_AT": str(number), "KILL_LOG": str(log)}
        status = live(scenario, home / "batch")
        os.close(log)
        if status == 0:
            return
        if not os.WIFSIGNALED(status):
            sys.exit(f"life {number} ended with {status}")
    sys.exit("no life came to its end")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
