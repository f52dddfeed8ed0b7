"""An answer that names a job, or a workflow, is believed about that one alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opus_async.errors import APIError, MixedUpAnswer, NotFound, ProtocolError
from opus_async.opus.protocol import job_management
from opus_async.opus.protocol.v0 import V0
from opus_async.opus.protocol.v1 import V1
from opus_async.wire.identity import is_same
from opus_async.wire.messages import ApiResponse

UUID = "00000000-0000-4000-8000-0000000000ab"
OTHER_UUID = "00000000-0000-4000-8000-0000000000ac"
OUTPUT = {"value": "PASS", "type": "str", "displayName": "Verdict"}
DIALECTS = {"v0": V0(), "v1": V1()}


def of_job(dialect: Any, operation: str, job_id: str, body: Any, status: int = 200, **headers: str) -> Any:
    """What the reader of a call about a job makes of an answer."""
    if operation == "execute":
        call, read = dialect.execute(job_id, {}), dialect.read_executed
    elif operation in {"status", "results", "audit"}:
        call, read = getattr(dialect, operation)(job_id), getattr(dialect, f"read_{operation}")
    elif operation == "job":
        call, read = job_management.detail(job_id), job_management.read_detail
    else:
        call, read = getattr(job_management, operation)(job_id), job_management.read_done
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read(ApiResponse(status=status, body=raw, headers=named, job_id=call.job_id))


OPERATIONS = ["execute", "status", "results", "audit"]
ANSWERS = {
    "execute": {"success": True, "message": "started"},
    "status": {"status": "IN_PROGRESS"},
    "results": {"status": "COMPLETED", "results": {"out": OUTPUT}},
    "audit": {"audit": {"nodes_execution_data": {}}},
    "job": {"status": "COMPLETED", "id": "2514"},
    "archive": {"success": True},
    "unarchive": {"success": True},
    "delete": {"success": True},
}
NAMES = ["jobExecutionId", "job_execution_id", "JobExecutionID", "job-execution-id", "caseId", "case_id"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
@pytest.mark.parametrize("operation", ANSWERS)
def test_identity_check_refuses_response_about_another_job(dialect, operation, name):
    body = ANSWERS[operation]
    of_job(dialect, operation, "2514", {**body, name: "2514"})
    of_job(dialect, operation, "2514", {**body, name: 2514})
    for other in ("2515", 2515, " 2515 "):
        with pytest.raises(MixedUpAnswer, match="about 2514, and the answer is about 2515") as caught:
            of_job(dialect, operation, "2514", {**body, name: other})
        assert caught.value.asked == "2514"
        assert caught.value.named == "2515"


@pytest.mark.parametrize("operation", ANSWERS)
def test_identity_check_refuses_error_response_about_another_job(operation):
    for status in (400, 404, 409, 500, 503):
        body = {"statusCode": status, "message": "no", "jobExecutionId": "2515"}
        with pytest.raises(MixedUpAnswer):
            of_job(V0(), operation, "2514", body, status)
        with pytest.raises(APIError):
            of_job(V0(), operation, "2514", {**body, "jobExecutionId": "2514"}, status)


def test_identity_check_refuses_refusal_in_2xx_body_about_another_job():
    for no in ({"success": False}, {"statusCode": 500, "message": "no"}, {"error": "no"}):
        with pytest.raises(MixedUpAnswer):
            of_job(V0(), "execute", "2514", {**no, "jobExecutionId": "2515"})


def test_identity_check_refuses_202_about_another_job():
    with pytest.raises(MixedUpAnswer):
        of_job(V1(), "results", "2514", {"caseId": "2515"}, 202)
    assert of_job(V1(), "results", "2514", {"caseId": "2514"}, 202) is None
    assert of_job(V1(), "results", "2514", b"", 202) is None


@pytest.mark.parametrize("operation", ["status", "results", "audit", "execute"])
@pytest.mark.parametrize("layer", ["data", "job", "case"])
def test_identity_check_finds_job_id_inside_wrapper_object(operation, layer):
    inner = {**ANSWERS[operation], "jobExecutionId": "2515"}
    with pytest.raises(MixedUpAnswer):
        of_job(V0(), operation, "2514", {"status": "COMPLETED", layer: inner})


@pytest.mark.parametrize("layer", ["job", "case"])
def test_identity_check_finds_own_id_of_nested_job_object(layer):
    with pytest.raises(MixedUpAnswer):
        of_job(V0(), "status", "2514", {"status": "PENDING", layer: {"id": 2515}})
    of_job(V0(), "status", "2514", {"status": "PENDING", layer: {"id": 77, "jobExecutionId": "2514"}})


@pytest.mark.parametrize(
    "results",
    [
        {"jobExecutionId": "2515", "out": OUTPUT},
        {"jobExecutionId": "2515", "jobResultsPayloadSchema": {"out": OUTPUT}},
        {"caseId": "2515", "out": OUTPUT},
    ],
)
def test_identity_check_finds_job_id_beside_outputs(results):
    with pytest.raises(MixedUpAnswer):
        of_job(V0(), "results", "2514", {"results": results})
    with pytest.raises(MixedUpAnswer):
        of_job(V0(), "results", "2514", {"data": {"results": results}})


@pytest.mark.parametrize(
    "body",
    [
        {"results": {"case_id": "C-17", "verdict": "PASS"}},
        {"results": {"jobExecutionId": {"value": "99", "type": "str"}, "out": OUTPUT}},
        {"jobResultsPayloadSchema": {"caseId": {"value": "99", "type": "str"}}},
        {"case_id": "C-17", "verdict": "PASS"},
        {"data": {"case_id": "C-17", "verdict": "PASS"}},
        {"id": "99", "status": "COMPLETED", "results": {"out": OUTPUT}},
        {"execution_id": UUID, "executionId": UUID, "jobId": "queue-1", "results": {"out": OUTPUT}},
        {"jobExecutionId": "2514", "caseId": UUID, "results": {"out": OUTPUT}},
        {"jobExecutionId": None, "results": {"out": OUTPUT}},
        [{"out": "PASS"}],
        {"results": {"id": "99", "job": {"id": "99"}, "out": OUTPUT}},
    ],
)
def test_identity_check_ignores_outputs_and_ids_of_other_kinds(body):
    of_job(V0(), "results", "2514", body)


def test_identity_check_ignores_job_ids_in_audit_nodes():
    node = {"execution_output": [{"jobExecutionId": "2515", "caseId": "2515"}], "jobExecutionId": "2515"}
    of_job(V0(), "audit", "2514", {"jobExecutionId": "2514", "audit": {"nodes_execution_data": {"n": node}}})


@pytest.mark.parametrize("name", ["X_Job_Execution_Id", "X_Case_Id"])
def test_identity_check_finds_job_id_in_header(name):
    of_job(V0(), "status", "2514", {"status": "PENDING"}, **{name.lower(): "2514"})
    with pytest.raises(MixedUpAnswer):
        of_job(V0(), "status", "2514", {"status": "PENDING"}, **{name.lower(): "2515"})


@pytest.mark.parametrize("prefix", ["", "/gateway"])
def test_identity_check_finds_job_id_in_path_of_error_body(prefix):
    def no(path: str) -> dict[str, Any]:
        return {"statusCode": 404, "message": "no such id", "path": prefix + path}

    for path in ("/job/2515/status", "/api/v1/case/2515/results?x=1", "/job/a%2Fb/audit"):
        with pytest.raises(MixedUpAnswer):
            of_job(V0(), "status", "2514", no(path), 404)
    for path in ("/job/2514/status", "/job/execute", "/job/search", "/api/v1", "/workflow/2515/status"):
        with pytest.raises(NotFound):
            of_job(V0(), "status", "2514", no(path), 404)


@pytest.mark.parametrize(
    ("named", "asked"),
    [
        ("a/b c", "a/b c"),
        ("a%2Fb%20c", "a/b c"),
        ("a/b", "a%2Fb"),
        (" 2514 ", "2514"),
        (UUID.upper(), UUID),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
    ],
)
def test_identity_check_equates_encodings_of_one_id(named, asked):
    assert is_same(named, asked)
    of_job(V0(), "status", asked, {"status": "PENDING", "jobExecutionId": named})


def test_identity_check_tells_similar_ids_apart():
    for named, asked in (("2514", "02514"), ("A1b2", "a1b2"), ("job-1", "job-11"), (UUID, OTHER_UUID)):
        assert not is_same(named, asked)


def test_identity_check_refuses_details_of_another_job():
    assert of_job(V0(), "job", "7", {"id": 7, "status": "COMPLETED"}).job_id == "7"
    for body in ({"id": 8}, {"data": {"id": 8}}, {"job": {"_id": "8"}}):
        with pytest.raises(MixedUpAnswer):
            of_job(V0(), "job", "7", body)


def test_identity_check_refuses_duplicate_response_that_names_the_original():
    assert (
        job_management.read_duplicate(ApiResponse(status=200, body=b'{"jobExecutionId": "8"}'), of="7") == "8"
    )
    with pytest.raises(ProtocolError, match="not its copy") as caught:
        job_management.read_duplicate(ApiResponse(status=200, body=b'{"jobExecutionId": 7}'), of="7")
    assert not caught.value.retryable


# Workflows


def of_workflow(asked: str, body: Any, dialect: Any = DIALECTS["v0"]) -> Any:
    call = dialect.workflow(asked, version=None, version_id=None)
    answer = ApiResponse(status=200, body=json.dumps(body).encode(), workflow_id=call.workflow_id)
    return dialect.read_workflow(answer, asked)


FLAT = {"name": "n", "jobPayloadSchema": {}}
GRAPH = {"name": "n", "workflowInputNodeId": "n1", "nodes": {"n1": {}}}


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
@pytest.mark.parametrize(
    ("asked", "other"), [(UUID, OTHER_UUID), ("A1b2C3d4E5f6G7h8", "A1b2C3d4E5f6G7h9")], ids=["uuid", "short"]
)
@pytest.mark.parametrize(
    "make",
    [
        lambda named: {**FLAT, "workflowId": named},
        lambda named: {**GRAPH, "workflow_id": named},
        lambda named: {**GRAPH, "id": named},
        lambda named: {"data": {**FLAT, "workflowId": named}},
        lambda named: {"workflow": {**GRAPH, "workflow_id": named}},
    ],
)
def test_identity_check_refuses_details_of_another_workflow(make, asked, other, dialect):
    of_workflow(asked, make(asked), dialect)
    with pytest.raises(MixedUpAnswer):
        of_workflow(asked, make(other), dialect)


@pytest.mark.parametrize(
    "body",
    [
        {**FLAT, "workflowId": UUID},
        {**FLAT, "id": "A1b2C3d4E5f6G7h9"},
        {**GRAPH, "id": "n"},
        {**FLAT, "workflowId": "A1b2C3d4E5f6G7h8", "referenceEntityId": "A1b2C3d4E5f6G7h9"},
    ],
)
def test_identity_check_ignores_workflow_ids_of_another_form_or_kind(body):
    of_workflow("A1b2C3d4E5f6G7h8", body)
