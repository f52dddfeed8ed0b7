"""What each call sends, field by field, and what it makes of the documented answer. No socket is opened."""

from __future__ import annotations

import json

import pytest
from aioresponses import aioresponses
from client_tools import KEY, TEXT, settings
from yarl import URL

from opus_async import ConfigurationError, InvalidInputs, JobStatus, OpusClient, ValidationFailed


@pytest.fixture(params=["v0", "v1"])
def api(request):
    return request.param


HOST = "https://operator.opus.com"
UNUSED = "https://callback.opus-async.invalid/unused"


@pytest.fixture
def wire():
    with aioresponses() as mock:
        yield mock


@pytest.fixture
async def opus(wire):
    async with OpusClient(KEY, **settings()) as client:
        yield client


def sent(wire, method, path):
    """The headers and the JSON of the one request there was."""
    [[request]] = [
        calls for (verb, url), calls in wire.requests.items() if (verb, url) == (method, URL(HOST + path))
    ]
    body = request.kwargs.get("data")
    if hasattr(body, "_data"):
        body = body._data
    headers = {name: value for name, value in request.kwargs["headers"].items() if name != "User-Agent"}
    return headers, None if body is None else json.loads(body)


async def test_workflows_get_sends_key_and_reads_inputs(wire, opus):
    schema = {"workflow_input_a": {"variable_name": "workflow_input_a", "display_name": "A", "type": "str"}}
    wire.get(f"{HOST}/workflow/{TEXT}", payload={"workflowId": TEXT, "name": "N", "jobPayloadSchema": schema})
    workflow = await opus.workflows.get(TEXT)
    headers, body = sent(wire, "GET", f"/workflow/{TEXT}")
    assert headers == {"x-service-key": KEY, "Accept": "application/json"}
    assert body is None
    assert workflow.inputs["workflow_input_a"].display_name == "A"


async def test_workflows_get_sends_version_and_version_id(wire, opus):
    version_id = "00000000-0000-4000-8000-000000000001"
    path = f"/workflow/{TEXT}?version=3&workflowVersionId={version_id}"
    wire.get(HOST + path, payload={"workflowId": TEXT, "jobPayloadSchema": {}})
    await opus.workflows.get(TEXT, version=3, version_id=version_id)
    sent(wire, "GET", path)


async def test_jobs_initiate_sends_every_documented_field(wire, opus):
    wire.post(f"{HOST}/job/initiate", status=201, payload={"jobExecutionId": "2514"})
    job_id = await opus.jobs.initiate(
        TEXT,
        reference_entity_id="00000000-0000-4000-8000-000000000002",
        title="T",
        description="D",
        version_id="00000000-0000-4000-8000-000000000001",
        version_number=7,
        ref_user_id="u1",
        source="web-app",
        workspaces="w1,w2",
        initial_input={"a": [1, None]},
        web_app_id="app",
    )
    assert job_id == "2514"
    headers, body = sent(wire, "POST", "/job/initiate")
    assert headers == {"x-service-key": KEY, "Accept": "application/json", "Content-Type": "application/json"}
    assert body == {
        "workflowId": TEXT,
        "referenceEntityId": "00000000-0000-4000-8000-000000000002",
        "title": "T",
        "description": "D",
        "workflowVersionId": "00000000-0000-4000-8000-000000000001",
        "workflowVersionNumber": 7,
        "refUserId": "u1",
        "source": "web-app",
        "workspaces": "w1,w2",
        "initialInput": {"a": [1, None]},
        "webAppId": "app",
    }


async def test_jobs_initiate_with_workflow_only_sends_default_title_and_description(wire, opus):
    wire.post(f"{HOST}/job/initiate", status=201, payload={"jobExecutionId": 72964})
    assert await opus.jobs.initiate(TEXT) == "72964"
    _, body = sent(wire, "POST", "/job/initiate")
    assert set(body) == {"workflowId", "title", "description"}
    assert all(body.values())


@pytest.mark.parametrize(
    ("fields", "words"), [({}, "workflow_id or reference"), ({"workflow_id": TEXT, "source": "x"}, "source")]
)
async def test_jobs_initiate_refuses_invalid_fields_before_sending(wire, opus, fields, words):
    with pytest.raises(InvalidInputs, match=words):
        await opus.jobs.initiate(**fields)
    assert not wire.requests


PAYLOAD = {"workflow_input_a": {"value": "x", "type": "str", "displayName": "A"}}


async def test_jobs_execute_sends_every_documented_field(wire, opus):
    wire.post(f"{HOST}/job/execute", status=201, payload={"success": True, "jobExecutionId": "2514"})
    await opus.jobs.execute("2514", PAYLOAD, callback_url="https://app.example.com/opus", workspaces="w1")
    headers, body = sent(wire, "POST", "/job/execute")
    assert headers["x-service-key"] == KEY
    assert body == {
        "jobExecutionId": "2514",
        "jobPayloadSchemaInstance": PAYLOAD,
        "callbackUrl": "https://app.example.com/opus",
        "workspaces": "w1",
    }


async def test_jobs_execute_without_callback_sends_placeholder_url(wire, opus):
    wire.post(f"{HOST}/job/execute", status=201, payload={"success": True})
    await opus.jobs.execute("2514", PAYLOAD)
    _, body = sent(wire, "POST", "/job/execute")
    assert body == {"jobExecutionId": "2514", "jobPayloadSchemaInstance": PAYLOAD, "callbackUrl": UNUSED}


async def test_jobs_execute_sends_callback_of_client_or_else_of_environment(wire, monkeypatch):
    wire.post(f"{HOST}/job/execute", status=201, payload={"success": True}, repeat=True)
    monkeypatch.setenv("OPUS_CALLBACK_URL", "https://app.example.com/environment")
    for callback, expected in (
        (None, "https://app.example.com/environment"),
        ("https://app.example.com/argument", "https://app.example.com/argument"),
    ):
        async with OpusClient(KEY, callback=callback) as opus:
            await opus.jobs.execute("2514", PAYLOAD)
        [calls] = wire.requests.values()
        assert json.loads(calls[-1].kwargs["data"])["callbackUrl"] == expected


@pytest.mark.parametrize("callback", ["", "not a url", "http://app.example.com/x"])
async def test_trap_27_invalid_callback_url_is_refused_before_sending(wire, opus, callback):
    with pytest.raises(ConfigurationError, match="callback URL"):
        await opus.jobs.execute("2514", PAYLOAD, callback_url=callback)
    assert not wire.requests
    with pytest.raises(ConfigurationError, match="callback URL"):
        OpusClient(KEY, callback=callback)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("IN PROGRESS", "IN_PROGRESS"),
        ("Completed ", "COMPLETED"),
        ("stopped", "CANCELLED"),
        ("BRAND_NEW", "UNKNOWN"),
    ],
)
async def test_jobs_status_reads_status_word(wire, opus, word, status):
    wire.get(f"{HOST}/job/2514/status", payload={"status": word})
    seen = await opus.jobs.status("2514")
    assert (seen, seen.raw) == (JobStatus(status), word)
    assert sent(wire, "GET", "/job/2514/status")[1] is None


async def test_jobs_results_reads_outputs(wire, opus):
    output = {"value": "PASS", "type": "str", "displayName": "Verdict"}
    wire.get(f"{HOST}/job/2514/results", payload={"jobResultsPayloadSchema": {"workflow_output_a": output}})
    assert (await opus.jobs.results("2514")).outputs == {"Verdict": "PASS"}


async def test_jobs_audit_reads_executed_nodes(wire, opus):
    wire.get(
        f"{HOST}/job/2514/audit", payload={"executed_nodes": ["Input"], "failed_nodes": [], "audit": None}
    )
    assert (await opus.jobs.audit("2514")).executed_nodes == ("Input",)


async def test_upload_presign_sends_every_documented_field(wire, opus):
    # A file's body never runs under aioresponses: the answer is a no, and the PUT is tested on real sockets.
    wire.post(f"{HOST}/job/file/upload", status=400, payload={"statusCode": 400, "message": ["a reason"]})
    with pytest.raises(ValidationFailed, match="a reason"):
        await opus.files.upload(
            b"%PDF", filename="Invoice 17.PDF", access_scope="workspace", workspace_id="w1", workflow_id=TEXT
        )
    _, body = sent(wire, "POST", "/job/file/upload")
    assert body == {
        "fileExtension": ".pdf",
        "accessScope": "workspace",
        "originalName": "Invoice 17.PDF",
        "workspaceId": "w1",
        "workflowId": TEXT,
    }


async def test_trap_12_ids_stay_one_segment_of_the_path(wire, opus):
    wire.get(URL(f"{HOST}/job/a%2Fb%3Fc%20%2E%2E/status", encoded=True), payload={"status": "PENDING"})
    assert await opus.jobs.status("a/b?c ..") == JobStatus.PENDING


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            {"statusCode": 400, "message": ["callbackUrl must be a URL address", "b"]},
            "callbackUrl must be a URL address; b",
        ),
        ({"message": {"code": "X"}}, "X"),
        ({"error": "something"}, "something"),
        ("", "refused"),
        ([], "refused"),
    ],
)
async def test_trap_2_a_refusal_in_any_form_is_readable(wire, opus, body, words):
    wire.post(f"{HOST}/job/initiate", status=400, payload=body)
    with pytest.raises(ValidationFailed) as caught:
        await opus.jobs.initiate(TEXT)
    assert words in str(caught.value)
    assert (caught.value.status, caught.value.method, caught.value.url) == (
        400,
        "POST",
        f"{HOST}/job/initiate",
    )
