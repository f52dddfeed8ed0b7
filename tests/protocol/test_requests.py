"""What V0 sends: every field of both generations of the docs, and nothing that would be refused."""

from __future__ import annotations

import re

import pytest

from opus_async.errors import ConfigurationError, InvalidInputs
from opus_async.opus.protocol.api_messages import InitiateFields, PresignFields
from opus_async.opus.protocol.files import EXTENSIONS
from opus_async.opus.protocol.requests import SOURCES, UNUSED_CALLBACK
from opus_async.opus.protocol.v0 import V0


def test_workflow_request_is_a_get_by_id(v0):
    call = v0.workflow("B9uGJfZ3CFwOdMKH")
    assert (call.operation, call.method, call.path) == ("workflow", "GET", "/workflow/B9uGJfZ3CFwOdMKH")
    assert call.body is None
    assert call.repeatable


def test_workflow_request_can_pin_version_by_number_and_id(v0):
    path = v0.workflow("w", version=3, version_id="00000000-0000-4000-8000-000000000001").path
    assert path == "/workflow/w?version=3&workflowVersionId=00000000-0000-4000-8000-000000000001"


def test_workflow_request_escapes_query_values(v0):
    assert v0.workflow("w", version_id="a&b=c d/").path == "/workflow/w?workflowVersionId=a%26b%3Dc%20d%2F"


@pytest.mark.parametrize(
    ("job_id", "segment"),
    [
        ("2514", "2514"),
        ("a/b", "a%2Fb"),
        ("a?b=c", "a%3Fb%3Dc"),
        ("a b", "a%20b"),
        ("a#b", "a%23b"),
        ("..", "%2E%2E"),
        (".", "%2E"),
        ("../x", "%2E%2E%2Fx"),
        ("a/../b", "a%2F%2E%2E%2Fb"),
        ("a.b", "a.b"),
        ("%2e%2e", "%252e%252e"),
        ("jöb", "j%C3%B6b"),
        ("1\r\nX-Evil: y", "1%0D%0AX-Evil%3A%20y"),
    ],
)
@pytest.mark.parametrize("operation", ["status", "results", "audit"])
def test_trap_12_job_id_cannot_leave_its_path_segment(v0, job_id, segment, operation):
    call = getattr(v0, operation)(job_id)
    assert call.path == f"/job/{segment}/{operation}"
    assert (call.operation, call.method, call.body, call.repeatable) == (operation, "GET", None, True)


def test_trap_12_workflow_id_cannot_leave_its_path_segment(v0):
    assert v0.workflow("../job/1?x").path == "/workflow/%2E%2E%2Fjob%2F1%3Fx"


@pytest.mark.parametrize("identifier", ["", "  ", "\ud800"])
def test_status_request_with_blank_or_invalid_job_id_is_refused(v0, identifier):
    with pytest.raises(InvalidInputs):
        v0.status(identifier)


def test_initiate_request_sends_default_title_and_description_and_no_other_field(v0):
    call = v0.initiate(InitiateFields(workflow_id="w"))
    assert (call.operation, call.method, call.path) == ("initiate", "POST", "/job/initiate")
    assert call.repeatable
    assert call.body == {
        "workflowId": "w",
        "title": "opus_async job",
        "description": "Started with opus_async",
    }


def test_initiate_request_sends_every_documented_field(v0):
    body = v0.initiate(
        InitiateFields(
            workflow_id="w",
            reference_entity_id="r",
            title="Invoice 17",
            description="March",
            version_id="v",
            version_number=3,
            ref_user_id="u",
            source="web-app",
            workspaces="a,b",
            initial_input={"quarter": "Q4", "fiscalYear": 2025},
            web_app_id="app",
        )
    ).body
    assert body == {
        "workflowId": "w",
        "referenceEntityId": "r",
        "workflowVersionId": "v",
        "workflowVersionNumber": 3,
        "title": "Invoice 17",
        "description": "March",
        "refUserId": "u",
        "source": "web-app",
        "workspaces": "a,b",
        "initialInput": {"quarter": "Q4", "fiscalYear": 2025},
        "webAppId": "app",
    }


def test_initiate_request_accepts_reference_entity_id_alone(v0):
    body = v0.initiate(InitiateFields(reference_entity_id="r")).body
    assert body["referenceEntityId"] == "r"
    assert "workflowId" not in body


@pytest.mark.parametrize("blank", ["", "   ", None])
def test_initiate_request_replaces_blank_title_and_description_by_defaults(v0, blank):
    body = v0.initiate(InitiateFields(workflow_id="w", title=blank, description=blank)).body
    assert body["title"]
    assert body["title"].strip()
    assert body["description"].strip()


def test_initiate_request_reports_every_problem_at_once(v0):
    with pytest.raises(InvalidInputs) as caught:
        v0.initiate(InitiateFields(source="cron", initial_input={"ids": {1, 2}}))
    assert len(caught.value.problems) == 3
    assert "workflow_id or reference_entity_id" in caught.value.problems[0]
    assert "email-agent" in caught.value.problems[1]
    assert ".ids" in caught.value.problems[2]


@pytest.mark.parametrize("source", SOURCES)
def test_initiate_request_accepts_every_documented_source(v0, source):
    assert v0.initiate(InitiateFields(workflow_id="w", source=source)).body["source"] == source


def test_initiate_request_replaces_lone_surrogate_in_title(v0):
    body = v0.initiate(InitiateFields(workflow_id="w", title="file \udcff")).body
    assert body["title"] == "file ?"


def test_presign_request_always_sends_extension_and_scope(v0):
    call = v0.presign(PresignFields(extension=".pdf"))
    assert (call.operation, call.method, call.path) == ("presign", "POST", "/job/file/upload")
    assert call.body == {"fileExtension": ".pdf", "accessScope": "organization"}


def test_presign_request_sends_name_workspace_and_workflow_if_given(v0):
    fields = PresignFields(
        extension=".png",
        access_scope="workspace",
        original_name="scan.png",
        workflow_id="w",
        workspace_id="s",
    )
    assert v0.presign(fields).body == {
        "fileExtension": ".png",
        "accessScope": "workspace",
        "originalName": "scan.png",
        "workspaceId": "s",
        "workflowId": "w",
    }


@pytest.mark.parametrize("scope", ["all", "user", "workspace", "organization"])
def test_presign_request_sends_every_documented_scope(v0, scope):
    fields = PresignFields(extension="pdf", access_scope=scope, workflow_id="w")
    assert v0.presign(fields).body["accessScope"] == scope


def test_presign_request_omits_scope_unlisted(v0):
    assert "accessScope" not in v0.presign(PresignFields(extension="pdf", access_scope="unlisted")).body


@pytest.mark.parametrize(
    "fields",
    [
        PresignFields(extension=".pdf", access_scope="world"),
        PresignFields(extension=".pdf", access_scope=""),
        PresignFields(extension=".pdf", access_scope="workspace"),
        PresignFields(extension=".exe"),
        PresignFields(extension="a.tar.gz"),
        PresignFields(extension=""),
    ],
)
def test_presign_request_with_invalid_scope_or_extension_is_refused(v0, fields):
    with pytest.raises(InvalidInputs):
        v0.presign(fields)


@pytest.mark.parametrize("written", ["PDF", ".pdf", "pdf", " .PDF "])
def test_trap_31_presign_request_sends_extension_in_lower_case_with_dot(v0, written):
    assert v0.presign(PresignFields(extension=written)).body["fileExtension"] == ".pdf"


@pytest.mark.parametrize("extension", sorted(EXTENSIONS))
def test_presign_request_accepts_every_documented_extension(v0, extension):
    assert v0.presign(PresignFields(extension=extension)).body["fileExtension"] == extension


def test_presign_request_replaces_lone_surrogate_in_file_name(v0):
    fields = PresignFields(extension=".pdf", original_name="scan\udcff.pdf")
    assert v0.presign(fields).body["originalName"] == "scan?.pdf"


def test_execute_request_is_not_repeatable_and_sends_id_payload_and_callback(v0):
    call = v0.execute("2514", {"v": {"value": 1, "type": "float", "displayName": "V"}})
    assert (call.operation, call.method, call.path) == ("execute", "POST", "/job/execute")
    assert not call.repeatable
    assert call.body == {
        "jobExecutionId": "2514",
        "jobPayloadSchemaInstance": {"v": {"value": 1, "type": "float", "displayName": "V"}},
        "callbackUrl": UNUSED_CALLBACK,
    }


def test_execute_request_sends_callback_url_and_workspaces_of_caller(v0):
    body = v0.execute("1", {}, callback_url="https://app.example.com/cb?x=1", workspaces="a,b").body
    assert body["callbackUrl"] == "https://app.example.com/cb?x=1"
    assert body["workspaces"] == "a,b"


def test_trap_27_execute_request_placeholder_callback_is_https_on_a_reserved_host(v0):
    assert re.fullmatch(r"https://[a-z.-]+\.invalid/\S*", v0.execute("1", {}).body["callbackUrl"])


def test_execute_request_placeholder_callback_can_be_configured():
    body = V0(callback_url="https://sink.example.com/").execute("1", {}).body
    assert body["callbackUrl"] == "https://sink.example.com/"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "  ",
        "not a url",
        "not-a-url",
        "http://",
        "https://",
        "https:///path",
        "http://app.example.com/cb",
        "http://10.0.0.1/cb",
        "ftp://app.example.com/cb",
        "//app.example.com/cb",
        "https://app.example.com:port/cb",
        "https://[::1/cb",
        "https://app.example.com/a b",
        "https://app.example.com/\n",
        "https://äpp.example.com/",
    ],
)
def test_trap_27_execute_request_with_invalid_callback_url_is_refused(v0, url):
    with pytest.raises(ConfigurationError, match="callback URL"):
        v0.execute("1", {}, callback_url=url)


@pytest.mark.parametrize(
    "url", ["http://localhost:8080/cb", "http://127.0.0.1/cb", "http://127.1.2.3/cb", "http://[::1]:1/cb"]
)
def test_execute_request_with_plain_http_callback_is_accepted_only_for_a_local_api(v0, url):
    assert V0(plain_http=True).execute("1", {}, callback_url=url).body["callbackUrl"] == url
    assert V0(plain_http=True, callback_url=url).execute("1", {}).body["callbackUrl"] == url
    with pytest.raises(ConfigurationError, match="must be https"):
        v0.execute("1", {}, callback_url=url)
    with pytest.raises(ConfigurationError, match="must be https"):
        V0(callback_url=url)


def test_execute_request_does_not_quote_refused_callback_url(v0):
    with pytest.raises(ConfigurationError) as caught:
        v0.execute("1", {}, callback_url="http://app.example.com/unguessable-secret")
    assert "unguessable-secret" not in str(caught.value)


def test_execute_request_with_blank_job_id_is_refused(v0):
    with pytest.raises(InvalidInputs, match="job id is empty"):
        v0.execute(" ", {})
