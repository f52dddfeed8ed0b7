"""What a line of ``failures.jsonl`` tells of the job that its row had in an earlier batch.

Such a row is run as ``retry`` runs one: its earlier job is asked first, and only one that has ended badly, or
looks never started, gives way to a new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opus_async.batch.rows import UNBILLED, EarlierJob, RowState
from opus_async.batch.world import place_of, world_of
from opus_async.manifests import Record
from opus_async.manifests.problem import Problem
from opus_async.manifests.validation.row_check import RecordCheck
from opus_async.text import quoted

_STATES = {state.upper(): state for state in RowState}


def job_fields(job: EarlierJob) -> dict[str, Any]:
    """The fields of a line that describe a job; :func:`earlier_job` reads them."""
    return {"ordered": True, "digest": job.digest, "world": dict(job.world)}


def earlier_job(past: Mapping[str, Any] | None) -> EarlierJob | None:
    """The job that a row had, as its line tells; None where none was ordered, or it does not say where."""
    if past is None or past.get("ordered") is not True:
        return None
    remote_id, world, digest = past.get("job_id"), past.get("world"), past.get("digest")
    if isinstance(remote_id, int) and not isinstance(remote_id, bool):
        remote_id = str(remote_id)  # a table in between took it for a number
    state = _STATES.get(str(past.get("status")))
    if not (isinstance(remote_id, str) and remote_id.strip() and isinstance(world, dict) and state):
        return None
    return EarlierJob(
        remote_id=remote_id,
        world=world_of(world),
        digest=digest if isinstance(digest, str) else None,
        state=state,
    )


def possible_second_bill(past: Mapping[str, Any] | None, place: Mapping[str, Any]) -> str | None:
    """Why a row of an earlier batch may have been billed, or may be yet; None where that is disproved.

    Args:
        past: What its line tells of it; None for a row of no earlier batch.
        place: Where its jobs are made now: an earlier one can be asked only there.
    """
    if past is None:
        return None
    status = past.get("status")
    if _STATES.get(str(status)) not in UNBILLED:
        left = quoted(status) if status else "without a status"
        return f"an earlier batch left this row {left}: its job may have run, and be billed"
    job = earlier_job(past)
    if job is None and past.get("ordered", False) is not False:
        return "an earlier batch ordered its job, and the line does not tell any more which one it was"
    if job is not None and place_of(job.world) != place_of(place):
        return (
            f"its job of an earlier batch was ordered at {quoted(str(job.world['host']))} and cannot be "
            "asked here whether it ran after all"
        )
    return None


def second_bill_check(place: Mapping[str, Any]) -> RecordCheck:
    """A check that refuses rows of an earlier batch that may have cost something, or may yet.

    Args:
        place: As in :func:`possible_second_bill`.
    """

    def check(record: Record) -> Problem | None:
        doubt = possible_second_bill(record.past, place)
        if doubt is None:
            return None
        return Problem(
            message=doubt,
            cause="it is not proved that the row cost nothing so far",
            fix="look at its job first; --accept-second-bill runs such rows all the same",
            index=record.index,
            where=record.where,
        )

    return check
