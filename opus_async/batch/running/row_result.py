"""Row results: made of a job's outcome, or of the error that came instead."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from opus_async.batch.rows import FetchedFile, Row, RowResult, RowState
from opus_async.errors import AmbiguousExecution, DeadlineExceeded, OpusError
from opus_async.metrics.failure_groups import group_key
from opus_async.outcome import JobOutcome
from opus_async.platform import Stages
from opus_async.stages import PAUSED

_STATES = {
    "FAILED": RowState.FAILED,
    "CANCELLED": RowState.CANCELLED,
    "TIMED_OUT": RowState.TIMED_OUT,
}
"""Of jobs that failed; of others with an error it is unknown what they gave."""

_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
"""Made once: ``json.dumps`` makes one for each line."""
_PARTS = 10_000
"""Of a second, to which timings are rounded: ``round(seconds, 4)`` takes twice the time."""


def from_outcome(
    row: Row, outcome: JobOutcome, *, stage: str, files: tuple[FetchedFile, ...] = ()
) -> RowResult:
    """The result of a row whose job reached a terminal status.

    One that completed and whose results could not be had is no failure, because it was billed: it is unknown
    what it gave until a later look.
    """
    timings = add_timings(row.timings, outcome.timings)
    if outcome.error is not None:
        state = _STATES.get(str(outcome.status), RowState.UNKNOWN)
        return _with_error(row, state, outcome.error, timings, job_id=outcome.job_id, status=outcome.status)
    return RowResult(
        state=RowState.COMPLETED,
        status=str(outcome.status),
        stage=stage,
        remote_id=outcome.job_id,
        timings=timings,
        line=result_line(row, outcome, timings, files),
        files=files,
    )


def from_error(row: Row, error: OpusError, *, ordered: bool, stages: Stages, status: str | None) -> RowResult:
    """The result of a row of whose job no terminal status is known.

    Args:
        row: The row.
        error: What came instead, with its stage.
        ordered: Whether the order to start may have left.
        stages: The platform's names.
        status: Its last status, where one was seen.
    """
    state = RowState.FAILED if _proved_unstarted(error, ordered, stages) else RowState.UNKNOWN
    return _with_error(row, state, error, row.timings, job_id=row.remote_id, status=status)


def _proved_unstarted(error: OpusError, ordered: bool, stages: Stages) -> bool:  # noqa: FBT001 - two facts of one row
    if not ordered:
        return True
    if isinstance(error, AmbiguousExecution | DeadlineExceeded) or type(error) is OpusError:
        return False  # the plain root is a surprise: nobody knows what came before it
    return error.stage in {stages.bind, stages.prepare, stages.create, stages.start}


def _with_error(
    row: Row,
    state: RowState,
    error: OpusError,
    timings: Mapping[str, float],
    *,
    job_id: str | None,
    status: str | None,
) -> RowResult:
    return RowResult(
        state=state,
        status=None if status is None else str(status),
        stage=error.stage,
        remote_id=error.job_id or job_id,
        timings=timings,
        error=error.message,
        error_type=type(error).__name__,
        cause=group_key(error),
        key=row.key,
        location=row.location,
    )


def add_timings(before: Mapping[str, float], now: Mapping[str, float]) -> dict[str, float]:
    """Seconds per stage over all the processes that worked on a row."""
    if not before:
        return {stage: round(seconds * _PARTS) / _PARTS for stage, seconds in now.items()}
    return {
        stage: round((before.get(stage, 0.0) + now.get(stage, 0.0)) * _PARTS) / _PARTS
        for stage in dict.fromkeys((*before, *now))
    }


def add_wait(timings: Mapping[str, float], waited: float) -> dict[str, float]:
    """Seconds per stage of a row that was parked, with the time for which nobody looked after it."""
    return {**timings, PAUSED: waited, "total": timings.get("total", 0.0) + waited}


def result_line(
    row: Row, outcome: JobOutcome, timings: Mapping[str, float], files: tuple[FetchedFile, ...] = ()
) -> bytes:
    """A completed row's line of ``results.jsonl``."""
    line: dict[str, Any] = {
        "index": row.index,
        "key": row.key,
        "job_id": outcome.job_id,
        "status": outcome.status,
        "outputs": dict(outcome.outputs),
        "timings": timings,
    }
    if files:
        line["files"] = [
            {"name": file.name, "path": file.path, "size": file.size, "sha256": file.sha256} for file in files
        ]
    try:
        return _JSON.encode(line).encode() + b"\n"
    except UnicodeEncodeError:  # half a character came over the wire: its escape is JSON, its bytes are not
        return json.dumps(line, allow_nan=False).encode() + b"\n"
