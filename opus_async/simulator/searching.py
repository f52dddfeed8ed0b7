"""Searches for jobs: a query decoded, and which jobs match it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from opus_async.simulator import traits
from opus_async.simulator.answers import timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opus_async.simulator.runs import Job

DEFAULT_RESULTS = 25
MOST_RESULTS = 100
STATUSES = ("PENDING", "IN_PROGRESS", "WAITING", "COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT")
"""What can be asked for; no job here ever has one of the last two."""
SEARCH_FIELDS = frozenset({"workflowId", "status", "offset", "maxResults", "query", "startDate", "endDate"})
_WHOLE = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Search:
    """One search, decoded.

    Attributes:
        workflow_id: The id or UUID of the workflow; empty for any.
        statuses: What the status must be one of; empty for any.
        text: What the title must hold, case folded.
        start: The earliest createdAt, as answers write it; empty for any.
        end: The latest one; empty for any.
        offset: How many of the newest jobs to leave out.
        max_results: How many jobs to show.
    """

    workflow_id: str
    statuses: frozenset[str]
    text: str
    start: str
    end: str
    offset: int
    max_results: int

    def finds(self, job: Job, now: float) -> bool:
        """Whether this search finds a job; it never finds an archived one."""
        workflow = job.workflow
        if job.archived:
            return False
        if self.workflow_id and self.workflow_id not in (workflow.workflow_id, workflow.reference_entity_id):
            return False
        if self.statuses and job.status(now) not in self.statuses:
            return False
        # Compared as it is shown: a createdAt from an answer finds its job. This text sorts like time.
        created = timestamp(job.created_at)
        if created < self.start or (self.end and created > self.end):
            return False
        return self.text in str(job.request.get("title") or "").casefold()


def read_search(given: Mapping[str, list[str]], active: frozenset[str]) -> tuple[Search, list[str]]:
    """Decode the query of a search; return it and what is wrong with it.

    Args:
        given: Parameter name to its values; the last one counts, except for `status`.
        active: The traits of the simulator.
    """
    problems: list[str] = []
    last = {name: values[-1] for name, values in given.items()}
    search = Search(
        workflow_id=last.get("workflowId", ""),
        statuses=_read_statuses(given.get("status", []), active),
        text=last.get("query", "").casefold(),
        start=_read_moment("startDate", last, problems),
        end=_read_moment("endDate", last, problems),
        offset=_read_whole("offset", last, 0, problems),
        max_results=_read_whole("maxResults", last, DEFAULT_RESULTS, problems),
    )
    if not search.statuses <= set(STATUSES):
        problems.append(f"each value in status must be one of the following values: {', '.join(STATUSES)}")
    if search.max_results > MOST_RESULTS:
        problems.append(f"maxResults must not be greater than {MOST_RESULTS}")
    return search, problems


def _read_statuses(given: list[str], active: frozenset[str]) -> frozenset[str]:
    """Return the statuses asked for: the parameter repeated, joined by commas, or both."""
    if traits.SEARCH_JOINED_ONLY in active:
        given = given[-1:]
    # Not split, a list that is joined by commas is no status, and is refused as one.
    splits = traits.SEARCH_REPEATED_ONLY not in active
    pieces = [piece for text in given for piece in (text.split(",") if splits else [text])]
    # Under `spaced_status` a status is shown with a space, so it can be asked for like that.
    return frozenset(piece.strip().replace(" ", "_") for piece in pieces)


def _read_whole(name: str, last: Mapping[str, str], default: int, problems: list[str]) -> int:
    if name not in last:
        return default
    if _WHOLE.fullmatch(last[name]):
        return int(last[name])
    problems.append(f"{name} must be an integer number of at least 0")
    return default


def _read_moment(name: str, last: Mapping[str, str], problems: list[str]) -> str:
    """Return a moment as answers write it; a date is its first moment, and without a zone it is UTC."""
    if name not in last:
        return ""
    try:
        moment = datetime.fromisoformat(last[name])
        return timestamp((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError, OSError):
        problems.append(f"{name} must be a valid ISO 8601 date string")
        return ""
