"""The client against the description of the API: what it sends is described, what is described it reads."""

from __future__ import annotations

import json
from datetime import date

import pytest
from client_tools import ALL_TYPES, DOCUMENT, MODERN, TEXT, document
from openapi_tools import JSON, Description

from opus_async import APIError, AuditLog, JobDetail, JobResults, JobStatus, NotFound, Workflow
from opus_async.opus.protocol import job_management, undocumented
from opus_async.opus.protocol.api_errors import error_from
from opus_async.opus.protocol.job_management import JobPage
from opus_async.opus.protocol.undocumented import PresignedDownload
from opus_async.opus.protocol.v0 import V0
from opus_async.opus.protocol.v1 import V1
from opus_async.simulator.gate import Gate
from opus_async.simulator.openapi import document as openapi_document
from opus_async.wire.messages import ApiResponse

DESCRIPTION = Description(openapi_document())
CALLBACK = "https://your-app.example.com/opus/callback"
UUID = "00000000-0000-4000-8000-000000000001"
LIFECYCLE = {
    "v0": {
        "get_workflow",
        "create_upload_url",
        "initiate_job",
        "execute_job",
        "get_job_status",
        "get_job_results",
        "get_job_audit",
    },
    "v1": {
        "get_case_workflow",
        "create_case_upload_url",
        "create_case",
        "execute_case",
        "get_case_status",
        "get_case_results",
        "get_case_audit",
    },
}


class Recorder:
    """Every request that came to the API, as it came over the wire."""

    def __init__(self):
        self.requests = []

    def operations(self):
        """The operations that were asked for, every request being as the description says."""
        found = set()
        for method, target, headers, body in self.requests:
            assert DESCRIPTION.request_problems(method, target, headers, body) == []
            operation, _ = DESCRIPTION.find(method, target.partition("?")[0])
            found.add(operation.id)
        return found


@pytest.fixture
def wire(monkeypatch):
    recorder = Recorder()
    handle = Gate.handle

    async def record(gate, request):
        body = await request.read()  # kept by the request: the simulator reads it again
        recorder.requests.append((request.method, request.raw_path, dict(request.headers), body))
        return await handle(gate, request)

    monkeypatch.setattr(Gate, "handle", record)
    return recorder


@pytest.fixture(params=["v0", "v1"])
def api(request):
    return request.param


v0_only = pytest.mark.parametrize("api", ["v0"])


# -- what the client sends ---------------------------------------------------------------------------------


async def test_openapi_describes_run_with_every_type_of_input(simulate, connect, wire, api, tmp_path):
    opus = connect(await simulate())
    path = tmp_path / "invoice.txt"
    path.write_bytes(document(1))
    documented = {
        "TextInput": "hello",
        "NumberInput": 45.8,
        "FileInput(Single)": path,
        "BoolInput": True,
        "ListInput": ["User1", 2],
        "ObjectInput": {"client_id": "C-456"},
        "DateInput": date(2025, 11, 9),
        "FileInput(Multiple)": [path, ("second.csv", b"a,b\n")],
    }
    modern = {"Profile": {"a": [1]}, "Count": 7, "Invoices": [path], "Labels": ["x"]}
    for workflow_id, inputs in ((ALL_TYPES, documented), (MODERN, modern), (DOCUMENT, {"Document": path})):
        outcome = await opus.run(
            workflow_id, inputs, title="Rechnung № 1", description="é", callback=CALLBACK
        )
        assert outcome.ok
    assert wire.operations() == {name for name in LIFECYCLE[api] if not name.endswith("audit")}


async def test_openapi_describes_audit_request_of_failed_run(simulate, connect, wire, api):
    opus = connect(await simulate(fail_share=1))
    assert not (await opus.run(TEXT, {"Text": "x"})).ok
    assert {name for name in LIFECYCLE[api] if name.endswith("audit")} <= wire.operations()


async def test_openapi_describes_requests_with_pinned_version(simulate, connect, wire, api):
    opus = connect(await simulate())
    newest = await opus.workflows.get(TEXT)
    await opus.workflows.get(TEXT, version=1)
    await opus.workflows.get(TEXT, version=1, version_id=newest.version_id)
    for pin in ({"version_number": 2}, {"version_id": newest.version_id}):
        assert (await opus.run(TEXT, {"Text": "x"}, **pin)).ok
    assert len(wire.requests) > 3
    assert wire.operations() < LIFECYCLE[api]


async def test_openapi_describes_single_calls_of_a_job(simulate, connect, wire, api):
    opus = connect(await simulate())
    workflow = await opus.workflows.get(TEXT)
    job_id = await opus.jobs.initiate(TEXT)
    await opus.jobs.execute(job_id, {"Text": "x"}, workflow=workflow)
    await opus.jobs.wait(job_id)
    await opus.jobs.results(job_id)
    await opus.jobs.audit(job_id)
    for strange in ("with/slash?", "..", "a b", "é"):
        with pytest.raises(NotFound):
            await opus.jobs.status(strange)
    assert wire.operations() == LIFECYCLE[api] - {"create_upload_url", "create_case_upload_url"}


@v0_only
async def test_openapi_describes_initiate_with_every_field(simulate, connect, wire):
    opus = connect(await simulate())
    workflow = await opus.workflows.get(TEXT)
    said = {
        "title": "T",
        "description": "D",
        "version_id": workflow.version_id,
        "version_number": 1,
        "ref_user_id": "u1",
        "source": "web-app",
        "workspaces": "w1,w2",
        "initial_input": {"a": [1, None]},
        "web_app_id": "app",
    }
    reference = workflow.raw["referenceEntityId"]
    await opus.jobs.initiate(TEXT, reference_entity_id=reference, **said)
    job_id = await opus.jobs.initiate(reference_entity_id=reference)
    await opus.jobs.execute(job_id, {"Text": "x"}, workflow=workflow, callback_url=CALLBACK, workspaces="w1")
    assert wire.operations() == {"get_workflow", "initiate_job", "execute_job"}
    sent = json.loads(wire.requests[1][3])
    assert (
        sent.keys() == DESCRIPTION.document["components"]["schemas"]["InitiateRequest"]["properties"].keys()
    )


@pytest.mark.parametrize(
    ("api", "options"),
    [
        *[("v0", {"access_scope": scope}) for scope in ("all", "user", "organization", "unlisted")],
        ("v0", {"access_scope": "workspace", "workflow_id": TEXT}),
        ("v0", {"access_scope": "workspace", "workspace_id": UUID}),
        ("v1", {"access_scope": "workspace", "workflow_id": TEXT}),
        ("v1", {"access_scope": "unlisted", "workspace_id": UUID}),
        ("v1", {"access_scope": "organization", "workflow_id": TEXT}),
    ],
)
async def test_openapi_describes_upload_with_every_access_scope(simulate, connect, wire, api, options):
    opus = connect(await simulate())
    for name in ("a.PDF", "b.jpeg", "c.xlsx"):
        await opus.files.upload(b"bytes", filename=name, **options)
    assert wire.operations() == {"create_upload_url" if api == "v0" else "create_case_upload_url"}


@v0_only
async def test_openapi_describes_job_management_and_download_requests(simulate, connect, wire, tmp_path):
    opus = connect(await simulate(keep_files=tmp_path / "kept"))
    outcome = await opus.run(DOCUMENT, {"Document": ("a.txt", b"text")}, title="Invoice 17")
    job_id = outcome.job_id
    await opus.jobs.get(job_id)
    for narrowed in (
        {},
        {"workflow_id": DOCUMENT, "status": "COMPLETED", "query": "invoice 17", "page_size": 1},
        {"status": ["COMPLETED", "FAILED"], "start_date": date(2026, 1, 1), "end_date": "2999-01-31"},
    ):
        assert [job.job_id async for job in opus.jobs.search(**narrowed)] == [job_id]
    await opus.jobs.archive(job_id)
    await opus.jobs.unarchive(job_id)
    await opus.jobs.delete(await opus.jobs.duplicate(job_id))
    uploaded = await opus.files.upload(b"text", filename="b.txt")
    await opus.files.download(uploaded.url, tmp_path / "one.txt")
    await opus.files.download(uploaded.url, tmp_path / "two.txt", workspace_id=UUID)
    house = {"get_job", "search_jobs", "archive_job", "unarchive_job", "duplicate_job", "delete_job"}
    asked = wire.operations()
    assert asked - LIFECYCLE["v0"] == house | {"create_download_url"}


async def test_openapi_describes_workflow_fallback_request(simulate, connect, wire, api):
    opus = connect(await simulate())
    reference = (await opus.workflows.get(TEXT)).raw
    reference_id = reference.get("referenceEntityId") or reference["id"]
    opus = connect(await simulate(traits=frozenset({"schema_retired"})))
    workflow = await opus.workflows.get(reference_id, version=1)
    assert [entry.display_name for entry in workflow.inputs.values()] == ["Text"]
    assert "get_workflow_object" in wire.operations()


GOOD = {"jobExecutionId": "1", "jobPayloadSchemaInstance": {}, "callbackUrl": CALLBACK}
KEYED = {"x-service-key": "k", "Content-Type": JSON}


@pytest.mark.parametrize(
    ("method", "target", "headers", "body", "problem"),
    [
        ("POST", "/job/execute", KEYED, GOOD, None),
        ("POST", "/job/execute", {"Content-Type": JSON}, GOOD, "no header x-service-key"),
        ("POST", "/job/execute", {"x-service-key": "k"}, GOOD, "a body as "),
        ("POST", "/job/execute", KEYED, GOOD | {"callbackUrl": None}, "$.callbackUrl"),
        ("POST", "/job/execute", KEYED, GOOD | {"strange": 1}, "$.strange is not described"),
        ("POST", "/job/execute", KEYED, {"jobExecutionId": "1"}, "'callbackUrl' is a required property"),
        ("PUT", "/job/execute", KEYED, GOOD, "there is no PUT /job/execute"),
        ("GET", "/job/1/status", KEYED, GOOD, "a body where none belongs"),
        ("GET", "/workflow/w?version=x", KEYED, None, "version $: 'x' is not of type 'number'"),
        ("GET", "/workflow/w?workflowVersionId=1", KEYED, None, "workflowVersionId $: '1' is not a 'uuid'"),
        ("GET", "/workflow/w?strange=1", KEYED, None, "the query has an unknown strange"),
        ("GET", "/job/1/2/status", KEYED, None, "there is no GET"),
    ],
)
def test_openapi_check_detects_wrong_requests(method, target, headers, body, problem):
    raw = b"" if body is None else json.dumps(body).encode()
    problems = DESCRIPTION.request_problems(method, target, headers, raw)
    assert any(problem in found for found in problems) if problem else problems == []


def test_openapi_check_detects_unknown_field_of_variable_object():
    variable = {"value": [], "type": "array", "type_definition": {"allowed_types": [{"type": "file"}]}}
    body = GOOD | {"jobPayloadSchemaInstance": {"v": variable}}
    [problem] = DESCRIPTION.request_problems("POST", "/job/execute", KEYED, json.dumps(body).encode())
    assert problem.endswith("$.jobPayloadSchemaInstance.v.type_definition is not described")


# -- what the client reads ---------------------------------------------------------------------------------


def answers(*, good):
    """Every example of an answer, good or not: operation and answer. Shared refusals come once."""
    found = {}
    for operation in DESCRIPTION.operations:
        for status, response in operation.responses.items():
            if JSON in response.get("content", {}) and status.startswith("2") == good:
                for name, value in DESCRIPTION.examples_of(operation, status).items():
                    key = f"{operation.id}-{status}-{name}" if good else f"{status}-{name}"
                    found[key] = pytest.param(operation, example_answer(operation, status, value), id=key)
    return found.values()


def example_answer(operation, status, value):
    """The answer of an example; its own words tell its status where it has a range of them."""
    exact = value["statusCode"] if status == "5XX" else int(status)
    return ApiResponse(status=exact, body=json.dumps(value).encode(), method=operation.method)


V0_, V1_ = V0(), V1()
READERS = {
    "get_workflow": lambda answer: V0_.read_workflow(answer, UUID),
    "get_case_workflow": lambda answer: V1_.read_workflow(answer, UUID),
    "get_workflow_object": lambda answer: V0_.read_workflow(answer, UUID),
    "initiate_job": V0_.read_initiated,
    "create_case": V1_.read_initiated,
    "create_upload_url": V0_.read_presigned,
    "create_case_upload_url": V1_.read_presigned,
    "execute_job": V0_.read_executed,
    "execute_case": V1_.read_executed,
    "get_job_status": V0_.read_status,
    "get_case_status": V1_.read_status,
    "get_job_results": V0_.read_results,
    "get_case_results": V1_.read_results,
    "get_job_audit": V0_.read_audit,
    "get_case_audit": V1_.read_audit,
    "get_job": job_management.read_detail,
    "search_jobs": job_management.read_page,
    "search_jobs_light": job_management.read_page,
    "create_download_url": undocumented.read_download,
}


def is_sense(read):
    """Whether something of an example was understood."""
    match read:
        case Workflow():
            return bool(read.inputs)
        case JobStatus():
            return bool(read.raw)
        case JobResults():
            return "PASS" in json.dumps(dict(read.outputs))
        case AuditLog() | JobDetail() | JobPage() | PresignedDownload():
            return True
    return bool(read)


@pytest.mark.parametrize(("operation", "answer"), answers(good=True))
def test_openapi_response_examples_are_read(operation, answer):
    read = READERS[operation.id]
    body = json.loads(answer.body)
    if operation.id not in {"execute_job", "execute_case"}:
        assert is_sense(read(answer))
    elif body.get("success") or body.get("statusCode") == 200:
        assert read(answer) is None
    else:
        with pytest.raises(APIError):
            read(answer)


@pytest.mark.parametrize(("operation", "answer"), answers(good=False))
def test_openapi_refusal_examples_become_api_errors_with_message(operation, answer):
    error = error_from(answer)
    assert isinstance(error, APIError)
    assert error.status == answer.status
    assert error.message
