"""The statuses of runs and of background jobs, and what a pause waits for."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from opus_async.models import JobStatus
from opus_async.operativus.models import Run

_WORDS: Mapping[str, JobStatus] = {
    "queued": JobStatus.PENDING,
    "running": JobStatus.IN_PROGRESS,
    "completed": JobStatus.COMPLETED,
    "failed": JobStatus.FAILED,
    "paused": JobStatus.WAITING,
    # known from the source of the server only
    "pending": JobStatus.PENDING,
    "created": JobStatus.PENDING,
    "processing": JobStatus.IN_PROGRESS,
    "awaiting_route_selection": JobStatus.WAITING,
    "awaiting_human_review": JobStatus.WAITING,
    "cancelled": JobStatus.CANCELLED,
    "canceled": JobStatus.CANCELLED,
    "dlq": JobStatus.FAILED,  # the dead letter queue, where the job of a failed run goes
    # their places are inferred
    "approved": JobStatus.IN_PROGRESS,
    "rejected": JobStatus.FAILED,
    "expired": JobStatus.FAILED,
}
_GAPS = re.compile(r"[\s_-]+")


class Pause(enum.Enum):
    """What a paused run waits for, which decides how it goes on."""

    PERSON = "person"
    """A text: ``resume``."""
    ROUTE = "route"
    """A choice of the way: ``continue``. A ``resume`` would simply go on with the steps that follow."""
    REVIEW = "review"
    """Either of them: ``continue`` where it has route options, ``resume`` otherwise."""


_PAUSES: Mapping[str, Pause] = {
    "paused": Pause.PERSON,
    "awaiting_route_selection": Pause.ROUTE,
    "awaiting_human_review": Pause.REVIEW,
}


@lru_cache(maxsize=256)  # thousands of rows say the same few words; bounded, since the wire chooses them
def status_of(word: str) -> JobStatus:
    """The status that a word means, of a run or a job; ``UNKNOWN``, with the word kept, for any other."""
    known = _WORDS.get(_folded(word), JobStatus.UNKNOWN)
    return JobStatus(str(known), word)


def is_open(status: JobStatus) -> bool:
    """Whether the server may still change it by itself: not over, and not paused. An unknown one is open."""
    return not status.is_terminal and status != JobStatus.WAITING


def pause_of(status: JobStatus) -> Pause | None:
    """What a paused run waits for; None for one that is not paused."""
    return _PAUSES.get(_folded(status.raw)) if status == JobStatus.WAITING else None


def run_of_session(runs: Sequence[Run]) -> Run | None:
    """The run of a session that tells how it stands: the newest that is open, otherwise the newest.

    A server starts a run that takes longer than a quarter of an hour again, in the same session: the session
    is over when none of its runs is open.

    Args:
        runs: Of one session, newest first, as they are listed.
    """
    return next((run for run in runs if is_open(run.status)), runs[0] if runs else None)


def _folded(word: str) -> str:
    return _GAPS.sub("_", word.strip().lower())
