"""A batch of one row whose process ends, as by a power cut, at one exact step: run by ``forking``.

Where the directory holds a batch, its rows are tried again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from batch_process import client

from opus_async.batch import retry_batch, run_batch
from opus_async.batch.ledger import SqliteLedger
from opus_async.batch.ledger.journal import SqliteJournal
from opus_async.opus.api import Api
from opus_async.opus.platform import OpusPlatform
from opus_async.testing import quick_polls

CRASHED = 77


def crash(*_: Any, **__: Any) -> None:
    os._exit(CRASHED)


def before(owner: type, name: str) -> None:
    setattr(owner, name, crash)


def after(owner: type, name: str, settle: float = 0.3) -> None:
    """End when it has returned and what it posted had time to reach the disk."""
    work: Callable[..., Awaitable[Any]] = getattr(owner, name)

    async def crashing(*args: Any, **kwargs: Any) -> Any:
        await work(*args, **kwargs)
        await asyncio.sleep(settle)
        crash()

    setattr(owner, name, crashing)


def before_ordering() -> None:
    async def crashing(*_: Any) -> None:
        await asyncio.sleep(0.3)  # what was posted of the shell reaches the disk
        crash()

    SqliteLedger.ordering = crashing  # type: ignore[method-assign]


STEPS: dict[str, Callable[[], None]] = {
    "before anything": lambda: before(OpusPlatform, "prepare"),
    "files are uploaded": lambda: after(OpusPlatform, "prepare"),
    "a shell exists, nobody knows": lambda: after(OpusPlatform, "create"),
    "a shell is known": before_ordering,
    "the intent is durable": lambda: after(SqliteLedger, "ordering", 0.0),
    "the order has left": lambda: after(OpusPlatform, "start", 0.0),
    "it is known to run": lambda: after(Api, "poll"),
    "results are here": lambda: after(OpusPlatform, "collect"),
    "the row has ended": lambda: after(SqliteJournal, "finished"),
    "the session has ended": lambda: after(SqliteLedger, "end_session"),
    "the ledger is closed": lambda: after(SqliteLedger, "close"),
}


RETRY_STEPS: dict[str, Callable[[], None]] = {
    "the row is planned anew": lambda: before(SqliteLedger, "begin_session"),
    "its job is about to be asked": lambda: before(Api, "poll"),
    "its job was asked": lambda: after(Api, "poll"),
    "its job gave way": lambda: before(OpusPlatform, "create"),
    "a new shell exists, nobody knows": lambda: after(OpusPlatform, "create"),
    "a new shell is known": before_ordering,
    "the new intent is durable": lambda: after(SqliteLedger, "ordering", 0.0),
    "the new order has left": lambda: after(OpusPlatform, "start", 0.0),
    "results of the old job are here": lambda: after(OpusPlatform, "collect"),
}


def main(step: str, manifest: str, directory: str, workflow_id: str) -> None:
    """Begin a batch, or retry the rows of one, and end at the step."""
    (STEPS | RETRY_STEPS)[step]()
    with quick_polls(0.05):
        asyncio.run(_run(manifest, Path(directory), workflow_id))


async def _run(manifest: str, directory: Path, workflow_id: str) -> None:
    async with client() as opus:
        if (directory / "ledger.db").exists():
            await retry_batch(opus, directory)
        else:
            await run_batch(opus, manifest, workflow_id=workflow_id, out=directory)
