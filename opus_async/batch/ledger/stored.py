"""What a ledger holds, as a reader gives it: rows, sessions, samples, failures by reason. Frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opus_async.batch.ledger.schema import BY_PERSON
from opus_async.batch.rows import ENDED, RowState
from opus_async.metrics.samples import Sample

NOT_COMPLETED = ENDED - {RowState.COMPLETED}
"""States of rows that have an end and no result."""
DECIDED = "a person decided that it failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRow:
    """A row as it stands in the ledger.

    Attributes:
        id: The ledger's own number for it.
        index: Its place in the manifest, from 0.
        key: What names it.
        digest: SHA-256 in hex of what it asks for.
        state: Where it stands.
        stage: The platform's stage it is in, or ended in.
        remote_id: The platform's id of its job.
        generation: Of the platform's API, by which the id is known.
        status: The platform's last word on it.
        orders: How many orders to start it were made durable.
        attempts: How often it was taken up from the beginning.
        session: The session that last changed it.
        started_at: When it was first taken up; this and all other times in seconds since the epoch.
        ordered_at: When the order to start was about to leave.
        ended_at: When its end was known.
        look_at: When a parked row is to be polled again.
        waiting_since: Since when it waits for a person.
        timings: Seconds per stage, and ``total``.
        error: What went wrong.
        error_type: The name of the error's class.
        cause: The same for all rows that failed for the same reason.
        note: What a person, or the planning, left to say.
        decided_by: ``person`` where one said that it is completed or failed; else None.
        location: Where it stands in the manifest, in words (``line 18``); None where that is not known.
        result_offset: Where its line of ``results.jsonl`` begins, in bytes.
        result_length: Of that line in bytes, the line end included.
        result_digest: SHA-256 in hex of that line.
        plan: The planning that last saw it in the manifest.
        cells: Column -> value, as planned.
    """

    id: int
    index: int
    key: str
    digest: str | None
    state: RowState
    stage: str | None
    remote_id: str | None
    generation: str | None
    status: str | None
    orders: int
    attempts: int
    session: int | None
    started_at: float | None
    ordered_at: float | None
    ended_at: float | None
    look_at: float | None
    waiting_since: float | None
    timings: Mapping[str, float] = field(repr=False)
    error: str | None
    error_type: str | None
    cause: str | None
    note: str | None
    decided_by: str | None
    location: str | None
    result_offset: int | None
    result_length: int | None
    result_digest: str | None
    plan: int | None
    cells: Mapping[str, Any] = field(repr=False)

    @property
    def reason(self) -> str | None:
        """What went wrong; of a row that a person called failed, that this was so."""
        return failure_reason(self.state, self.decided_by, self.error)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSession:
    """One process that worked on the batch.

    Attributes:
        id: Its number, from 1.
        began_at: In seconds since the epoch.
        ended_at: In seconds since the epoch; None while it works, and for ever when it died.
        seen_at: Its end; where it recorded none, the last moment of which it left a trace: it began, took a
            sample, or changed a row.
        pid: Its process id.
        host: The machine it ran on.
        version: Of this package.
        settings: What it was told to do, without secrets.
        ended_because: Why it stopped.
        exit_code: The exit code of its command.
        stray_shells: Shells it made that were never started.
        uploads_saved: Files that needed no upload, because the same content was there.
    """

    id: int
    began_at: float
    ended_at: float | None
    seen_at: float
    pid: int | None
    host: str | None
    version: str | None
    settings: Mapping[str, Any]
    ended_because: str | None
    exit_code: int | None
    stray_shells: int
    uploads_saved: int


@dataclass(frozen=True, slots=True)
class StoredSample:
    """A sample, and when it was taken.

    Attributes:
        at: In seconds since the epoch.
        session: By which session.
        sample: How that one stood.
    """

    at: float
    session: int
    sample: Sample


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Rows that ended without completing for the same reason.

    Attributes:
        cause: The reason.
        count: How many they are.
        states: How many of them are in which state.
        examples: The first of them in manifest order.
        told: The cause as people read it.
    """

    cause: str
    count: int
    states: Mapping[RowState, int]
    examples: tuple[StoredRow, ...]
    told: str


def failure_reason(state: RowState, decided_by: str | None, error: str | None) -> str | None:
    """What went wrong with a row; of one that a person called failed, that this was so."""
    if state is not RowState.FAILED or decided_by != BY_PERSON:
        return error
    return f"{DECIDED}; until then: {error}" if error else DECIDED
