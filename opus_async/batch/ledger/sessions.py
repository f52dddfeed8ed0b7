"""Sessions in the ledger: their beginning and end, and samples every few seconds."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

from opus_async.batch.ledger.sqlite_text import dumps, encode
from opus_async.batch.ledger.store import Store
from opus_async.batch.ledger.transitions import When
from opus_async.metrics.samples import Sample

_BEGIN = "INSERT INTO sessions (began_at, pid, host, version, settings) VALUES (?, ?, ?, ?, ?)"
_END = """
UPDATE sessions SET ended_at = ?, ended_because = ?, exit_code = ?, stray_shells = ?, uploads_saved = ?
WHERE id = ?
"""
_SAMPLE = "INSERT INTO samples (at, session, data) VALUES (?, ?, ?)"
_SETTLE_AFTER = "SELECT settle_after FROM sessions ORDER BY id DESC LIMIT 1"
_KEEP_SETTLE_AFTER = "UPDATE sessions SET settle_after = max(coalesce(settle_after, 0), ?) WHERE id = ?"


class SessionEnd(NamedTuple):
    """How a session ended."""

    ended_because: str
    exit_code: int
    stray_shells: int
    uploads_saved: int


def begin(settings: Mapping[str, Any], at: float, store: Store) -> int:
    """Record that a session begins; returns its number."""
    version = import_module(__name__.partition(".")[0]).__version__  # by name: no step up to the package
    values = (at, os.getpid(), socket.gethostname(), version, dumps(settings))
    number = store.connection.execute(_BEGIN, values).lastrowid
    assert number is not None  # noqa: S101 - an INSERT has one
    store.session = number
    return number


def end(when: When, story: SessionEnd, store: Store) -> None:
    """Record how a session ended."""
    because, *numbers = story
    store.connection.execute(_END, (when.at, encode(because), *numbers, when.session))


def sampled(sample: Sample, when: When, store: Store) -> None:
    """Record how a session stands."""
    store.connection.execute(_SAMPLE, (when.at, when.session, dumps(sample.as_json())))


def settle_after(store: Store) -> float:
    """Seconds for which orders of the newest session may still be on their way, in processes of their own."""
    found = store.connection.execute(_SETTLE_AFTER).fetchone()
    return 0.0 if found is None or found[0] is None else found[0]


def keep_settle_after(seconds: float, store: Store) -> None:
    """Record for how many seconds orders of this session may be on their way when it is over."""
    store.connection.execute(_KEEP_SETTLE_AFTER, (seconds, store.session))
