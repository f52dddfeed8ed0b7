"""Calls about jobs that the vendor does not document and that working clients make (``/job/...``, v0 ids).

Read by their shape like everything else; what is missing is None.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from http import HTTPStatus
from typing import Any, NamedTuple

from opus_async.errors import InvalidInputs
from opus_async.input_problems import bad_argument
from opus_async.models import JobDetail, JobStatus
from opus_async.opus.protocol import identity_check, requests
from opus_async.opus.protocol.audit import audit_of
from opus_async.opus.protocol.outcomes import status_of
from opus_async.opus.protocol.responses import body_of_accepted, read_id
from opus_async.redaction import Mask
from opus_async.wire.identity import is_same
from opus_async.wire.messages import ApiRequest, ApiResponse
from opus_async.wire.requests import query
from opus_async.wire.responses import first_of, identifier, protocol_error, text
from opus_async.wire.timestamps import number, to_epoch

_IDS = ("jobExecutionId", "job_execution_id", "id", "_id")


class SearchFields(NamedTuple):
    """What a search can be narrowed by; None leaves it open.

    Attributes:
        workflow_id: Jobs of this workflow.
        status: One status. Clients disagree on how several are written, so several are several searches.
        query: Words to look for.
        start_date: The first day, or moment, of creation.
        end_date: The last.
    """

    workflow_id: str | None = None
    status: str | None = None
    query: str | None = None
    start_date: date | str | None = None
    end_date: date | str | None = None


class JobPage(NamedTuple):
    """One page of a search.

    Attributes:
        total: Jobs that match, as the platform counts them; None where it does not.
        entries: How many entries the page has, those that are no job included.
        jobs: Its jobs.
    """

    total: int | None
    entries: int
    jobs: tuple[JobDetail, ...]


def search(fields: SearchFields, *, offset: int, limit: int) -> ApiRequest:
    """Ask for the jobs that match, from ``offset`` on."""
    asked = query(
        workflowId=requests.workflow_named(fields.workflow_id),
        status=fields.status,
        query=fields.query,
        startDate=_day(fields.start_date),
        endDate=_day(fields.end_date),
        offset=offset,
        maxResults=limit,
    )
    return ApiRequest(operation="search", method="GET", path=f"/job/search{asked}")


def read_page(answer: ApiResponse) -> JobPage:
    """Read a page; an entry without an id is left out.

    Raises:
        APIError: The answer means no.
        ProtocolError: It is no JSON, or holds no list of jobs.
    """
    body = body_of_accepted(answer)
    places = [body, body.get("data")] if isinstance(body, dict) else [{"jobs": body}]
    for place in places:
        if isinstance(place, list):
            return JobPage(None, len(place), tuple(_details(place, answer.mask)))
        if not isinstance(place, dict):
            continue
        total = number(first_of(place, "totalCount", "total_count", "total"))
        listed = first_of(place, "jobs", "results", "items")
        if listed is None and total == 0:
            listed = []
        if isinstance(listed, list):
            jobs = tuple(_details(listed, answer.mask))
            return JobPage(None if total is None else int(total), len(listed), jobs)
    raise protocol_error(answer, "without a list of jobs")


def detail(job_id: str) -> ApiRequest:
    """Ask for what the platform keeps of a job."""
    return _of_job("job", "GET", job_id)


def read_detail(answer: ApiResponse) -> JobDetail:
    """Read a job's details.

    Raises:
        APIError: The answer means no.
        ProtocolError: It is no JSON, or no job.
    """
    body = body_of_accepted(answer)
    if isinstance(body, dict):
        for place in (body, body.get("data"), body.get("job")):
            found = _detail(place, answer.mask) if isinstance(place, dict) else None
            if found is not None:
                identity_check.check_id(answer, found.job_id)
                return found
    raise protocol_error(answer, "without a job's id")


def archive(job_id: str) -> ApiRequest:
    """Hide a job from the lists of jobs."""
    return _of_job("archive", "POST", job_id, "/archive")


def unarchive(job_id: str) -> ApiRequest:
    """Show an archived job in the lists again."""
    return _of_job("unarchive", "DELETE", job_id, "/archive")


def duplicate(job_id: str) -> ApiRequest:
    """Copy a job into a new one that is not started."""
    path = f"{_path(job_id)}/duplicate"
    return ApiRequest(
        operation="duplicate", method="GET", path=path, repeatable=False
    )  # each makes another one


def read_duplicate(answer: ApiResponse, *, of: str | None = None) -> str:
    """Read the id of the copy.

    Args:
        answer: The response.
        of: The job that was copied: to take it for its copy would run and bill it again.

    Raises:
        APIError: The answer means no.
        ProtocolError: There is no id of a copy in it.
    """
    copy = read_id(answer, *_IDS)
    if of is not None and is_same(copy, of):
        error = protocol_error(answer, "that names the job itself, and not its copy")
        error.retryable = False
        raise error
    return copy


def delete(job_id: str) -> ApiRequest:
    """Delete a job."""
    return _of_job("delete", "DELETE", job_id, "/delete")


def read_done(answer: ApiResponse) -> None:
    """Return if the response is a success, also an empty one; raise an APIError if it refuses."""
    if answer.status >= HTTPStatus.MULTIPLE_CHOICES or answer.body.strip():
        body_of_accepted(answer)


def _of_job(operation: str, method: str, job_id: str, rest: str = "") -> ApiRequest:
    path = f"{_path(job_id)}{rest}"
    return ApiRequest(operation=operation, method=method, path=path, job_id=requests.named(job_id, "job id"))


def _path(job_id: str) -> str:
    return f"/job/{requests.segment(job_id, 'job id')}"


def _day(moment: date | str | None) -> str | None:
    """Write a day or a moment in ISO 8601; None for none."""
    if moment is None:
        return None
    if isinstance(moment, date):  # a datetime is one, too
        return moment.isoformat()
    if to_epoch(moment) is None:
        raise InvalidInputs(
            [bad_argument(f"{moment!r} is no date: give a date, a datetime, or text like '2026-01-31'")]
        )
    return moment


def _details(entries: Iterable[Any], mask: Mask) -> Iterable[JobDetail]:
    for entry in entries:
        found = _detail(entry, mask) if isinstance(entry, dict) else None
        if found is not None:
            yield found


def _detail(entry: Mapping[str, Any], mask: Mask) -> JobDetail | None:
    job_id = identifier(first_of(entry, *_IDS))
    if job_id is None:
        return None
    workflow, workspace = (_named(entry.get(name)) for name in ("workflow", "workspace"))
    audit = entry.get("audit")
    status = first_of(entry, "status", "state")
    return JobDetail(
        job_id=job_id,
        status=status_of(status) if isinstance(status, str) else JobStatus("UNKNOWN", ""),
        title=text(first_of(entry, "title", "name")) or "",
        workflow_id=identifier(
            first_of(entry, "workflowId", "workflow_id") or first_of(workflow, "id", "workflowId")
        ),
        workflow_name=text(workflow.get("name")),
        workspace_id=identifier(first_of(entry, "workspaceId", "workspace_id") or workspace.get("id")),
        created_at=to_epoch(first_of(entry, "createdAt", "created_at")),
        finished_at=to_epoch(first_of(entry, "finishedAt", "finished_at")),
        builder_type=text(first_of(entry, "builderType", "builder_type")),
        audit=audit_of(audit, mask) if isinstance(audit, dict | list) else None,
        raw=entry,
    )


def _named(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
