"""What the tests of whole batches share: manifests, a quick client, and a look at what came of it."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from opus_async import Limits, RetryPolicy, Timeouts
from opus_async.batch import BatchObserver, ShutdownControl

TEXT = "T3xtOnlyWorkfl0w"
DOCUMENT = "D0cumentWorkfl0w"
REPORT = "Rep0rtWithFiles1"
QUICK = RetryPolicy(base=0.02, cap=0.2, max_elapsed=5, execute_grace=0.3)


def settings(**changes: Any) -> dict[str, Any]:
    """For a client that does not make a test wait."""
    return {
        "retry": QUICK,
        "limits": Limits(api_concurrency=32, upload_concurrency=16),
        "timeouts": Timeouts(connect=2, request=5, upload_stall=5),
        **changes,
    }


def texts(path: Path, rows: Iterable[str]) -> Path:
    """A CSV with one text a row."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["Text"])
        writer.writerows([text] for text in rows)
    return path


def documents(folder: Path, number: int, *, keys: bool = True) -> Path:
    """A CSV of documents with a file each."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / "manifest.csv"
    with manifest.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["key", "Document"] if keys else ["Document"])
        for index in range(number):
            (folder / f"{index}.txt").write_bytes(content(index))
            writer.writerow([f"K{index}", f"{index}.txt"] if keys else [f"{index}.txt"])
    return manifest


def content(index: int) -> bytes:
    return f"document {index}\n".encode() * (10 + index)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def lines(path: Path) -> list[dict[str, Any]]:
    """Of a JSON Lines file."""
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def ask(directory: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Ask the ledger, beside whoever works on it."""
    database = sqlite3.connect(f"file:{directory / 'ledger.db'}?mode=ro", uri=True)
    try:
        return database.execute(query, values).fetchall()
    finally:
        database.close()


def states(directory: Path) -> Mapping[str, int]:
    """State -> rows."""
    return dict(ask(directory, "SELECT state, count(*) FROM rows GROUP BY state"))


class Notes:
    """What a person would have been told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.control = ShutdownControl()

    @property
    def watching(self) -> BatchObserver:
        return BatchObserver(notice=self.told.append, control=self.control)

    def said(self, words: str) -> bool:
        return any(words in note for note in self.told)


async def until(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    """Wait, in short steps, until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"did not come true within {seconds} s: {condition}"
        await asyncio.sleep(0.005)


def recover(simulator: Any, job_id: str) -> None:
    """A person ran the failed node of this job again, and it went well."""
    job = simulator.world.jobs.find(job_id)
    job.run = replace(job.run, failing_node=None)
