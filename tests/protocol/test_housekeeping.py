"""The observed calls about jobs: what they send, and every shape of what comes back."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from opus_async.errors import InvalidInputs, NotFound, ProtocolError, ValidationFailed
from opus_async.models import JobStatus
from opus_async.opus.protocol import job_management
from opus_async.opus.protocol.job_management import SearchFields
from opus_async.wire.timestamps import to_epoch


def test_job_search_request_sends_filters_offset_and_limit():
    assert (
        job_management.search(SearchFields(), offset=0, limit=25).path == "/job/search?offset=0&maxResults=25"
    )
    fields = SearchFields(
        workflow_id="w",
        status="IN PROGRESS",
        query="a&b",
        start_date=date(2026, 1, 31),
        end_date=datetime(2026, 2, 1, 12, tzinfo=UTC),
    )
    path = job_management.search(fields, offset=50, limit=25).path
    assert path == (
        "/job/search?workflowId=w&status=IN%20PROGRESS&query=a%26b&startDate=2026-01-31"
        "&endDate=2026-02-01T12%3A00%3A00%2B00%3A00&offset=50&maxResults=25"
    )


def test_job_search_request_refuses_invalid_date():
    with pytest.raises(InvalidInputs, match="no date"):
        job_management.search(SearchFields(start_date="yesterday"), offset=0, limit=1)
    assert "2026-01-31" in job_management.search(SearchFields(end_date="2026-01-31"), offset=0, limit=1).path


@pytest.mark.parametrize(
    "body",
    [
        {"totalCount": 2, "jobs": [{"jobExecutionId": 1}, {"id": "2"}, {"title": "no id"}, None]},
        {"data": {"totalCount": "2", "jobs": [{"jobExecutionId": "1"}, {"_id": 2}]}},
        {"total": 2, "items": [{"id": 1}, {"id": 2}]},
    ],
)
def test_job_search_page_of_every_shape_is_read(answer, body):
    page = job_management.read_page(answer(body))
    assert page.total == 2
    assert [job.job_id for job in page.jobs] == ["1", "2"]


def test_job_search_page_as_bare_list_has_no_total(answer):
    page = job_management.read_page(answer([{"id": 1}]))
    assert (page.total, page.entries, len(page.jobs)) == (None, 1, 1)
    page = job_management.read_page(answer({"totalCount": 0, "jobs": None}))
    assert (page.total, page.entries, page.jobs) == (0, 0, ())


@pytest.mark.parametrize("body", [{}, {"jobs": None}, {"jobs": "none"}, 3, None])
def test_job_search_page_without_a_list_is_a_protocol_error(answer, body):
    with pytest.raises(ProtocolError):
        job_management.read_page(answer(body))


def test_job_details_response_is_read_with_all_fields(answer):
    body = {
        "id": 2514,
        "title": "Invoice 17",
        "status": "Completed ",
        "createdAt": "2026-01-01T00:00:00.000Z",
        "finishedAt": 1767225660000,
        "workflow": {"id": "w", "name": "Invoice check"},
        "workspace": {"id": "s"},
        "builderType": "OPUS_V2",
        "input": {"a": 1},
        "audit": {"nodes_execution_data": {"Input": {"execution_status": "COMPLETED"}}},
    }
    job = job_management.read_detail(answer(body))
    assert (job.job_id, job.title, job.status) == ("2514", "Invoice 17", JobStatus.COMPLETED)
    assert (job.workflow_id, job.workflow_name, job.workspace_id) == ("w", "Invoice check", "s")
    assert (job.created_at, job.finished_at) == (1767225600.0, 1767225660.0)
    assert job.builder_type == "OPUS_V2"
    assert job.audit.executed_nodes == ("Input",)
    assert job.raw == body


@pytest.mark.parametrize("wrapper", ["data", "job"])
def test_job_details_response_may_be_wrapped_and_sparse(answer, wrapper):
    job = job_management.read_detail(
        answer({wrapper: {"jobExecutionId": "7", "workflow": None, "audit": ""}})
    )
    assert (job.job_id, job.status, job.workflow_id, job.audit) == ("7", JobStatus.UNKNOWN, None, None)


def test_job_details_response_without_id_is_a_protocol_error(answer):
    with pytest.raises(ProtocolError, match="without a job's id"):
        job_management.read_detail(answer({"status": "COMPLETED"}))


def test_job_management_requests_keep_job_id_in_its_path_segment():
    for call in (
        job_management.detail,
        job_management.archive,
        job_management.unarchive,
        job_management.duplicate,
        job_management.delete,
    ):
        assert call("../x").path.startswith("/job/%2E%2E%2Fx")
    methods = [job_management.archive("1").method, job_management.unarchive("1").method]
    assert methods == ["POST", "DELETE"]
    assert job_management.delete("1").path == "/job/1/delete"


def test_job_management_response_is_success_if_empty_or_success_true(answer):
    job_management.read_done(answer(b"", status=204))
    job_management.read_done(answer({"success": True}))
    with pytest.raises(NotFound):
        job_management.read_done(answer({"message": "Job not found"}, status=404))
    with pytest.raises(ValidationFailed):
        job_management.read_done(answer({"success": False, "message": "locked"}))
    assert not job_management.duplicate("1").repeatable


def test_job_duplicate_response_gives_id_of_the_copy(answer):
    assert job_management.read_duplicate(answer({"jobExecutionId": 8})) == "8"
    with pytest.raises(ProtocolError):
        job_management.read_duplicate(answer({}))


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (1767225600000, 1767225600.0),
        (1767225600, 1767225600.0),
        ("1767225600000", 1767225600.0),
        ("2026-01-01T00:00:00Z", 1767225600.0),
        ("2026-01-01T01:00:00+01:00", 1767225600.0),
        ("2026-01-01", 1767225600.0),
        ("soon", None),
        (None, None),
        (True, None),
        (-5, None),
        ([], None),
        ("0001-01-01T00:00:00+23:59", None),
    ],
)
def test_timestamps_of_every_format_become_epoch_seconds(written, seconds):
    assert to_epoch(written) == seconds
