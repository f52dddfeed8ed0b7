"""Batch directories made by hand: what the rooms that only read a ledger are tested on."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from opus_async.batch.ledger.schema import TABLES, VIEWS

START = 1_760_000_000.0
"""When the batches made here began, in seconds since the epoch."""
STAGES = ["bind", "prepare", "create", "start", "watch", "collect"]


def make_ledger(
    directory: Path,
    *,
    rows: Iterable[Mapping[str, Any]] = (),
    sessions: Iterable[Mapping[str, Any]] | None = None,
    samples: Iterable[Mapping[str, Any]] = (),
    facts: Mapping[str, Any] | None = None,
) -> Path:
    """A batch directory with a ledger, and a results.jsonl with a line for each row that has outputs.

    Args:
        directory: Made if it is not there.
        rows: Columns of table ``rows`` by name; what is left out gets a value that fits. Besides them
            ``cells`` (a mapping) and, for a completed row, ``outputs`` (a mapping, empty if left out).
            ``timings`` is a mapping.
        sessions: Columns of table ``sessions``, ``settings`` a mapping; by default one that ended well.
        samples: Fields of ``rows.Sample``, and ``at`` and ``session`` if they are not START + elapsed and 1.
        facts: Merged into table ``meta``: values are written as JSON.

    Returns:
        The directory.
    """
    directory.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(directory / "ledger.db")
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(TABLES + VIEWS)
        with connection, (directory / "results.jsonl").open("wb") as results:
            for name, value in (_facts(directory) | dict(facts or {})).items():
                _insert(connection, "meta", {"name": name, "value": json.dumps(value)})
            for index, row in enumerate(rows):
                _insert_row(connection, results, index, dict(row))
            for session in ({},) if sessions is None else sessions:
                _insert(connection, "sessions", _session(session))
            for sample in samples:
                _insert(connection, "samples", _sample(dict(sample)))
    finally:
        connection.close()
    return directory


def _facts(directory: Path) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "created_at": START,
        "fingerprint": {
            "workflow_id": "B9uGJfZ3CFwOdMKH",
            "platform": "opus",
            "host": "https://operator.opus.com",
        },
        "settings": {"workflow_id": "B9uGJfZ3CFwOdMKH", "max_in_flight": 500},
        "manifest": {
            "path": str(directory.parent / "manifest.csv"),
            "kind": "csv",
            "base": str(directory.parent),
        },
        "binding": [],
        "stages": STAGES,
    }


def _insert_row(connection: sqlite3.Connection, results: Any, index: int, given: dict[str, Any]) -> None:
    cells = given.pop("cells", {"Number": str(index)})
    outputs = given.pop("outputs", {})
    timings = given.pop("timings", {"watch": 2.5, "total": 3.0})
    state = given.get("state", "completed")
    ended = state in {"completed", "failed", "cancelled", "timed_out", "unknown"}
    ordered = state != "planned"
    row = {
        "id": index + 1,
        "position": index,
        "key": f"key-{index}",
        "digest": hashlib.sha256(str(index).encode()).hexdigest(),
        "state": state,
        "stage": "collect" if state == "completed" else "watch" if ordered else None,
        "remote_id": f"job-{index}" if ordered else None,
        "generation": "v0" if ordered else None,
        "status": state.upper() if ended and state != "unknown" else "IN_PROGRESS" if ordered else None,
        "orders": int(ordered),
        "attempts": int(ordered),
        "session": 1 if ordered else None,
        "started_at": START + index if ordered else None,
        "ordered_at": START + index + 0.5 if ordered else None,
        "ended_at": START + index + 3.0 if ended else None,
        "timings": json.dumps(timings) if ordered else None,
        "plan": 1,
    }
    if state == "completed":
        line = _line(row | given, outputs, timings)
        row |= {
            "result_offset": results.tell(),
            "result_length": len(line),
            "result_digest": hashlib.sha256(line).hexdigest(),
        }
        results.write(line)
    elif ended:
        row |= {
            "error": f"It ended as {state}.",
            "error_type": "JobFailed",
            "cause": f"the job ended as {state}",
        }
    row |= given
    _insert(connection, "rows", row)
    _insert(connection, "cells", {"row": row["id"], "cells": json.dumps(cells)})
    _insert(
        connection, "history", {"at": START + index, "session": 1, "row": row["id"], "state": row["state"]}
    )


def _line(row: Mapping[str, Any], outputs: Mapping[str, Any], timings: Mapping[str, float]) -> bytes:
    result = {
        "index": row["position"],
        "key": row["key"],
        "job_id": row["remote_id"],
        "status": row["status"],
        "outputs": outputs,
        "timings": timings,
    }
    return json.dumps(result, ensure_ascii=False).encode() + b"\n"


def _session(given: Mapping[str, Any]) -> dict[str, Any]:
    session = {
        "began_at": START,
        "ended_at": START + 60,
        "pid": 4711,
        "host": "workstation",
        "version": "0.1.0",
        "settings": {},
        "ended_because": "done",
        "exit_code": 0,
        "stray_shells": 0,
        "uploads_saved": 0,
        **given,
    }
    return session | {"settings": json.dumps(session["settings"])}


def _sample(given: dict[str, Any]) -> dict[str, Any]:
    at, session = given.pop("at", START + given["elapsed"]), given.pop("session", 1)
    data = {"in_flight": 0, "waiting": 0, "completed": 0, "not_completed": 0, "inside": {}, "requests": 0}
    data |= {"retries": 0, "throttled": 0, "uploaded_bytes": 0, "bottleneck": "", **given}
    return {"at": at, "session": session, "data": json.dumps(data)}


def _insert(connection: sqlite3.Connection, table: str, values: Mapping[str, Any]) -> None:
    marks = ", ".join("?" * len(values))
    connection.execute(f"INSERT INTO {table}({', '.join(values)}) VALUES({marks})", tuple(values.values()))
