"""The steps of a row, said in the writer thread; :mod:`opus_async.batch.ledger.steps` tells what each changes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from opus_async.batch.ledger.store import Store
from opus_async.batch.ledger.text import storable
from opus_async.batch.rows import Ending

_DOWNLOADED = "INSERT OR REPLACE INTO downloads (row, name, path, size, sha256) VALUES (?, ?, ?, ?, ?)"


class When(NamedTuple):
    """When something happened, and in which session; None between sessions."""

    at: float
    session: int | None


class Line(NamedTuple):
    """Where a line of ``results.jsonl`` stands."""

    offset: int
    length: int
    digest: str


class Look(NamedTuple):
    """What was seen of a row that waits for a person, and when to look again."""

    status: str
    at: float
    again: bool
    """Whether it was parked before."""


def begun(row: int, when: When, store: Store) -> None:
    """It is taken up: for the first time, or again after a death."""
    store.step({"kind": "begun", "row": row, "at": when.at, "session": when.session})


def created(row: int, remote_id: str, generation: str, store: Store) -> None:
    """It has a shell."""
    store.step({"kind": "created", "row": row, "remote_id": storable(remote_id), "generation": generation})


def ordering(row: int, remote_id: str, generation: str, when: When, store: Store) -> None:
    """Its order is about to leave."""
    store.step(
        {
            "kind": "ordering",
            "row": row,
            "at": when.at,
            "session": when.session,
            "remote_id": storable(remote_id),
            "generation": generation,
        }
    )


def running(row: int, when: When, store: Store) -> None:
    """The platform has accepted it."""
    store.step({"kind": "running", "row": row, "at": when.at, "session": when.session})


def goes_on(row: int, status: str, when: When, store: Store) -> None:
    """The person it waited for has done what was to do."""
    store.step(
        {"kind": "goes_on", "row": row, "at": when.at, "session": when.session, "status": storable(status)}
    )


def seen(row: int, status: str, store: Store) -> None:
    """The platform shows another status."""
    store.step({"kind": "seen", "row": row, "status": storable(status)})


def spent(row: int, timings: Mapping[str, float], store: Store) -> None:
    """So much time went into it."""
    store.step({"kind": "spent", "row": row, "timings": dict(timings)})


def parked(row: int, look: Look, timings: Mapping[str, float], when: When, store: Store) -> None:
    """It waits for a person."""
    store.step(
        {
            "kind": "parked_again" if look.again else "parked",
            "row": row,
            "at": when.at,
            "session": when.session,
            "status": storable(look.status),
            "look_at": look.at,
            "timings": dict(timings),
        }
    )


def ended(row: int, ending: Ending, when: When, store: Store) -> None:
    """It has ended; its line, if it has one, goes to the disk before this is recorded."""
    line = {} if ending.line is None else added(ending.line, store)._asdict()
    store.step(
        {
            "kind": "ended",
            "row": row,
            "at": when.at,
            "session": when.session,
            "state": ending.state,
            "stage": ending.stage,
            "status": storable(ending.status),
            "remote_id": storable(ending.remote_id),
            "timings": dict(ending.timings),
            "error": storable(ending.error),
            "error_type": ending.error_type,
            "cause": storable(ending.cause),
            **line,
        }
    )
    for file in ending.files:
        values = (row, storable(file.name), storable(file.path), file.size, file.sha256)
        store.connection.execute(_DOWNLOADED, values)


def added(line: bytes, store: Store) -> Line:
    """A line for ``results.jsonl``, on the disk before this group is recorded."""
    return Line(store.results.add(line), len(line), hashlib.sha256(line).hexdigest())
