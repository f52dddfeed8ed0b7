"""What V1 sends and refuses, and how the generations are told apart."""

from __future__ import annotations

import pytest

from opus_async.errors import (
    APIError,
    AuthenticationError,
    ConfigurationError,
    InvalidInputs,
    NotFound,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    ServerError,
    ValidationFailed,
)
from opus_async.models import JobStatus
from opus_async.opus.errors import RetiredPath
from opus_async.opus.protocol.api_messages import InitiateFields, PresignFields
from opus_async.opus.protocol.api_versions import api_versions
from opus_async.opus.protocol.requests import UNUSED_CALLBACK
from opus_async.opus.protocol.v0 import V0
from opus_async.opus.protocol.v1 import V1

UUID = "00000000-0000-4000-8000-000000000001"


@pytest.fixture
def v1():
    return V1()


def test_v1_workflow_request_uses_api_v1_path(v1):
    assert v1.workflow(UUID).path == f"/api/v1/workflow/{UUID}"
    assert v1.workflow("w", version=2, version_id=UUID).path.endswith(f"?version=2&workflowVersionId={UUID}")


def test_v1_initiate_request_sends_path_and_fields(v1):
    call = v1.initiate(
        InitiateFields(workflow_id="w", title="T", description="D", version_id=UUID, version_number=3)
    )
    assert (call.operation, call.method, call.path, call.repeatable) == (
        "initiate",
        "POST",
        "/api/v1/case",
        True,
    )
    assert call.body == {
        "workflowId": "w",
        "title": "T",
        "description": "D",
        "workflowVersionId": UUID,
        "workflowVersionNumber": 3,
    }
    assert v1.initiate(InitiateFields(workflow_id="w")).body["description"]


@pytest.mark.parametrize(
    "field",
    [
        {"reference_entity_id": UUID},
        {"ref_user_id": "u"},
        {"source": "api"},
        {"workspaces": "a,b"},
        {"initial_input": {"a": 1}},
        {"web_app_id": "x"},
    ],
)
def test_v1_initiate_request_refuses_v0_only_fields_by_name(v1, field):
    with pytest.raises(InvalidInputs, match=next(iter(field))):
        v1.initiate(InitiateFields(workflow_id="w", **field))


def test_v1_initiate_request_without_workflow_id_is_refused(v1):
    with pytest.raises(InvalidInputs, match="workflow_id"):
        v1.initiate(InitiateFields())


@pytest.mark.parametrize(
    ("body", "case_id"),
    [
        ({"caseId": UUID}, UUID),
        ({"caseId": 72964}, "72964"),
        ({"caseId": 9007199254740993123}, "9007199254740993123"),
        ({"data": {"caseId": "7"}}, "7"),
        ({"case_id": "8"}, "8"),
    ],
)
def test_trap_11_v1_initiate_response_gives_case_id_as_text_with_every_digit(v1, answer, body, case_id):
    assert v1.read_initiated(answer(body, status=201)) == case_id


@pytest.mark.parametrize("body", [{}, {"caseId": None}, {"caseId": ""}, {"caseId": True}, []])
def test_trap_11_v1_initiate_response_without_case_id_is_a_protocol_error(v1, answer, body):
    with pytest.raises(ProtocolError):
        v1.read_initiated(answer(body))


def test_v1_presign_request_sends_extension_name_scope_and_workflow(v1):
    call = v1.presign(PresignFields(extension="PDF", original_name="a.pdf", workflow_id="w"))
    assert call.path == "/api/v1/file/upload/presigned"
    assert call.body == {
        "fileExtension": ".pdf",
        "originalName": "a.pdf",
        "accessScope": "workspace",
        "workflowId": "w",
    }
    nameless = v1.presign(PresignFields(extension=".txt", workspace_id="s", access_scope="unlisted"))
    assert nameless.body["originalName"] == "file.txt"
    assert nameless.body["accessScope"] == "unlisted"
    assert nameless.body["workspaceId"] == "s"


def test_v1_presign_request_maps_organization_scope_to_workspace(v1):
    fields = PresignFields(extension=".txt", workflow_id="w", access_scope="organization")
    assert v1.presign(fields).body["accessScope"] == "workspace"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"workflow_id": "w", "access_scope": "all"}, "workspace, unlisted"),
        ({"workflow_id": "w", "access_scope": "user"}, "workspace, unlisted"),
        ({}, "workflow_id or workspace_id"),
    ],
)
def test_v1_presign_request_with_unsupported_scope_or_no_owner_is_refused(v1, fields, says):
    with pytest.raises(InvalidInputs, match=says):
        v1.presign(PresignFields(extension=".txt", **fields))


def test_v1_execute_request_sends_payload_and_callback_url_only_if_given(v1):
    payload = {"v": {"value": 1, "type": "float"}}
    call = v1.execute("a/b", payload)
    assert (call.path, call.body, call.repeatable) == (
        "/api/v1/case/a%2Fb/execute",
        {"payload": payload},
        False,
    )
    url = "https://me.example.com/x"
    assert v1.execute("1", payload, callback_url=url).body["callbackUrl"] == url
    assert V1(callback_url=url).execute("1", payload).body["callbackUrl"] == url
    assert V1(callback_url=url).execute("1", payload).secret == url
    assert url not in repr(V1(callback_url=url).execute("1", payload))


def test_trap_27_execute_request_without_callback_sends_placeholder_in_v0_and_nothing_in_v1(v1, v0):
    assert v0.execute("1", {}).body["callbackUrl"] == UNUSED_CALLBACK
    assert "callbackUrl" not in v1.execute("1", {}).body


@pytest.mark.parametrize("url", ["", "not a url", "http://me.example.com/x", "http://127.0.0.1/x"])
def test_trap_27_v1_execute_request_with_invalid_callback_url_is_refused(v1, url):
    with pytest.raises(ConfigurationError, match="callback URL"):
        v1.execute("1", {}, callback_url=url)


def test_v1_execute_request_refuses_workspaces(v1):
    with pytest.raises(InvalidInputs, match="workspaces"):
        v1.execute("1", {}, workspaces="a")


@pytest.mark.parametrize("operation", ["status", "results", "audit"])
def test_trap_12_v1_case_id_cannot_leave_its_path_segment(v1, operation):
    assert getattr(v1, operation)("../x?y").path == f"/api/v1/case/%2E%2E%2Fx%3Fy/{operation}"


def test_trap_15_v1_results_response_202_is_not_ready(v1, answer):
    assert v1.read_results(answer(b"", status=202)) is None
    assert v1.read_results(answer({"status": "IN_PROGRESS"}, status=202)) is None
    body = {"results": {"workflow_output_abc123def": {"value": "PASS", "type": "str", "displayName": "V"}}}
    assert v1.read_results(answer(body)).outputs == {"V": "PASS"}


def test_v1_reads_status_execute_and_audit_responses(v1, answer):
    assert v1.read_status(answer({"status": "in progress"})) == JobStatus.IN_PROGRESS
    v1.read_executed(answer({"success": True, "message": "ok"}))
    refused = {"success": False, "message": "Execution was not started", "error": {"reason": "quota"}}
    with pytest.raises(ValidationFailed, match="not started"):
        v1.read_executed(answer(refused))
    audit = v1.read_audit(answer({"runningNode": "A", "failedNodes": ["B"], "audit": None}))
    assert (audit.running_node, audit.failed_nodes) == ("A", ("B",))


# Retired paths


RETIRED = {
    "statusCode": 500,
    "message": "V1 workflow details are no longer supported",
    "path": "/workflow/x",
}


@pytest.mark.parametrize("generation", [V0, V1])
def test_trap_20_retired_workflow_path_offers_reference_path_for_a_uuid(generation, answer):
    with pytest.raises(RetiredPath) as caught:
        generation().read_workflow(answer(RETIRED, status=500), UUID)
    assert isinstance(caught.value, NotFound)
    call = generation().workflow_elsewhere(UUID, version=None, version_id=None)
    assert (call.method, call.path) == ("GET", f"/reference-workflow/v2/workflow-object/{UUID}")
    pinned = generation().workflow_elsewhere(UUID, version=2, version_id=None)
    assert pinned.path.endswith("?version=2")
    assert generation().workflow_elsewhere("B9uGJfZ3CFwOdMKH", version=None, version_id=None) is None


# Which generation answers


def test_api_versions_are_chosen_by_name():
    def names(api):
        return [dialect.name for dialect in api_versions(api, callback_url=None, plain_http=False)]

    assert (names("v0"), names("v1"), names("auto")) == (["v0"], ["v1"], ["v0", "v1"])
    with pytest.raises(ConfigurationError, match=r"'v2' is no generation of the API: .* 'v0', 'v1', 'auto'"):
        names("v2")


def test_api_versions_refuse_invalid_callback_url():
    for api in ("v0", "v1", "auto"):
        with pytest.raises(ConfigurationError, match="callback URL"):
            api_versions(api, callback_url="nonsense", plain_http=False)


NOWHERE = {"statusCode": 404, "message": "Cannot GET /job/0/status/opus-async-nowhere"}


@pytest.mark.parametrize(
    ("status", "body", "nowhere", "speaks"),
    [
        (404, {"statusCode": 404, "message": "Job not found"}, NOWHERE, True),
        (404, {"error": "Job not found"}, NOWHERE, True),
        (404, {"message": {"code": "NO_JOB"}}, NOWHERE, True),
        (404, {"statusCode": 404, "message": "Cannot get job 0: not found"}, NOWHERE, True),
        (404, {"statusCode": 404, "message": "Cannot GET /job/0/status"}, NOWHERE, False),
        (404, {"detail": "Not Found"}, {"detail": "Not Found"}, False),
        (404, {"message": "no Route matched"}, {"message": "no Route matched"}, False),
        (404, b"<pre>Cannot GET /job/0/status</pre>", NOWHERE, False),
        (404, b"<html>Not here</html>", NOWHERE, False),
        (404, b"", NOWHERE, False),
        (410, {"message": "gone"}, NOWHERE, False),
        (400, {"statusCode": 400, "message": ["id must be a UUID"]}, NOWHERE, True),
        (200, {"status": "PENDING"}, NOWHERE, True),
        (200, b"<!doctype html><title>Log in</title>", NOWHERE, False),
        (200, [1], NOWHERE, False),
        (405, {"message": "Method not allowed"}, NOWHERE, False),
        (302, b"", NOWHERE, False),
        (401, {"statusCode": 401, "message": "No auth cookie provided"}, NOWHERE, False),
    ],
)
@pytest.mark.parametrize("generation", [V0, V1])
def test_version_probe_tells_from_response_whether_server_speaks_this_version(  # noqa: PLR0917 - the columns of the table
    generation, answer, status, body, nowhere, speaks
):
    assert generation().matches(answer(body, status=status), answer(nowhere, status=404)) is speaks


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, AuthenticationError), (403, PermissionDenied), (429, RateLimited), (500, ServerError)],
)
def test_version_probe_raises_response_that_decides_nothing(v1, answer, status, error):
    said = answer({"statusCode": status, "message": "Cannot get status: down"}, status=status)
    with pytest.raises(error):
        v1.matches(said, answer(NOWHERE, status=404))


def test_version_probe_asks_for_status_of_job_0(v0, v1):
    assert (v0.probe().path, v1.probe().path) == ("/job/0/status", "/api/v1/case/0/status")
    assert v0.control_request().path == "/job/0/status/opus-async-nowhere"
    assert v0.probe().operation == "probe"


# What lies inside a 200


@pytest.mark.parametrize(
    "body",
    [
        {"statusCode": 202, "message": "Results are not ready"},
        {"message": "Results are not ready"},
        {"status": "IN_PROGRESS"},
        {"caseId": "1", "status": "pending", "results": None},
    ],
)
@pytest.mark.parametrize("generation", [V0, V1])
def test_trap_15_results_response_200_that_says_not_ready_is_not_read_as_empty_results(
    generation, answer, body
):
    assert generation().read_results(answer(body)) is None


def test_results_response_with_empty_field_does_not_hide_filled_one(v1, answer):
    body = {"jobResultsPayloadSchema": {}, "results": {"v": {"value": 1, "type": "int", "displayName": "N"}}}
    assert v1.read_results(answer(body)).outputs == {"N": 1}


@pytest.mark.parametrize("code", [401, 403])
def test_status_response_200_with_inner_401_or_403_is_not_an_authentication_error(v0, answer, code):
    with pytest.raises(APIError) as caught:
        v0.read_status(answer({"statusCode": code, "message": "upstream"}))
    assert caught.value.status == code
    assert not isinstance(caught.value, AuthenticationError | PermissionDenied)


@pytest.mark.parametrize(
    "body", [{"jobExecutionId": "7"}, {"id": "7"}, {"case": {"id": "7"}}, {"job": {"id": 7}}]
)
@pytest.mark.parametrize("generation", [V0, V1])
def test_initiate_response_is_read_with_id_field_of_the_other_api_version(generation, answer, body):
    assert generation().read_initiated(answer(body, status=201)) == "7"


def test_execute_response_with_retired_path_words_stays_a_server_error(v0, answer):
    with pytest.raises(ServerError):
        v0.read_executed(answer(RETIRED, status=500))
