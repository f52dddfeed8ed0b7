"""``summary.json``: how a batch stands, for programs. Made anew from the ledger every time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opus_async.batch.choices import DIED, RUNNING
from opus_async.batch.ledger.lock import holder
from opus_async.batch.ledger.reader import LedgerReader
from opus_async.batch.ledger.stored import StoredSession
from opus_async.batch.outputs.table_writers import iso
from opus_async.disk import atomic_write
from opus_async.layout import SUMMARY


def summarise(directory: Path) -> dict[str, Any]:
    """How the batch in a directory stands.

    Returns:
        As JSON can hold it: ``total = completed + failed + cancelled + timed_out + unknown + in_flight +
        not_started``; ``waiting`` are those of the rows in flight that wait for a person;
        ``duplicate_uploads_saved``, ``stray_shells`` (jobs made and never started, at most: the answers that
        would tell were lost) and ``wall_seconds`` (the time that sessions worked) over all sessions; ``cost``
        (``price, billed_jobs, billed, billed_jobs_at_most, billed_at_most, in_flight_jobs, in_flight``), None
        without a price; ``attempts``, how often rows were taken up, over all rows; ``exit_code``
        and ``ended_because`` of the last session (``finished``; ``limit_reached`` or ``all_ordered`` where it
        went as far as it was to go and rows are left; ``died`` if it could not say, ``running`` while it
        runs);
        ``started_at`` and ``ended_at`` in ISO 8601, UTC, None for what is not; ``sessions``, oldest first.

    Raises:
        LedgerError: There is no ledger, or it cannot be read.
    """
    with LedgerReader(directory) as ledger:
        return summary_of(ledger)


def summary_of(ledger: LedgerReader) -> dict[str, Any]:
    """The same as :func:`summarise`, of a ledger that is open."""
    counts, sessions, attempts = ledger.counts(), ledger.sessions(), ledger.attempts()
    workflow_id, cost = ledger.meta.fingerprint.workflow_id, ledger.cost()
    told = _told(sessions, working=holder(ledger.directory) is not None)
    last = told[-1] if told else {"ended_at": None, "exit_code": None, "ended_because": None}
    return {
        "workflow_id": workflow_id,
        "total": counts.total,
        "completed": counts.completed,
        "failed": counts.failed,
        "cancelled": counts.cancelled,
        "timed_out": counts.timed_out,
        "unknown": counts.unknown,
        "in_flight": counts.in_flight,
        "waiting": counts.waiting,
        "not_started": counts.planned,
        "attempts": attempts,
        "duplicate_uploads_saved": sum(session.uploads_saved for session in sessions),
        "stray_shells": sum(session.stray_shells for session in sessions),
        "cost": cost and cost.as_json(),
        "wall_seconds": round(sum(session["seconds"] for session in told), 3),
        "started_at": told[0]["began_at"] if told else None,
        "ended_at": last["ended_at"],
        "exit_code": last["exit_code"],
        "ended_because": last["ended_because"],
        "sessions": told,
    }


def write(directory: Path) -> dict[str, Any]:
    """Write ``summary.json`` into the directory, whole or not at all; returns what it says.

    Raises:
        LedgerError: There is no ledger, or it cannot be read.
        OSError: The file cannot be written.
    """
    with LedgerReader(directory) as ledger:
        return write_from(ledger)


def write_from(ledger: LedgerReader) -> dict[str, Any]:
    """The same as :func:`write`, from a ledger that is open."""
    summary = summary_of(ledger)
    with atomic_write(ledger.directory / SUMMARY) as file:
        file.write(json.dumps(summary, indent=2, ensure_ascii=False).encode() + b"\n")
    return summary


def _told(sessions: Sequence[StoredSession], *, working: bool) -> list[dict[str, Any]]:
    """The sessions as JSON; of those that did not end, none but the last can be at work."""
    told = [_as_json(session) for session in sessions]
    if working and told and sessions[-1].ended_at is None:
        told[-1] |= {"ended_at": None, "ended_because": RUNNING}
    return told


def _as_json(session: StoredSession) -> dict[str, Any]:
    died = session.ended_at is None
    return {
        "began_at": iso(session.began_at),
        "ended_at": iso(session.seen_at),
        "seconds": round(session.seen_at - session.began_at, 3),
        "ended_because": DIED if died else session.ended_because,
        "exit_code": session.exit_code,
        "version": session.version,
    }
