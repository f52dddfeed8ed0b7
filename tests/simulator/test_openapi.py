"""The description of the API: valid in itself, served as it is shipped, and true of every dialect."""

from __future__ import annotations

import io
import json
import re
from importlib import resources
from pathlib import Path

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from openapi_tools import JSON, Description

import opus_async
from opus_async.simulator import TRAITS
from opus_async.simulator.openapi import OPENAPI_PATH, document, document_bytes

TEXT_ID, TEXT_INPUT = "T3xtOnlyWorkfl0w", "workflow_input_t3xtinput"
CALLBACK = "https://callback.invalid/"
PAYLOAD = {TEXT_INPUT: {"value": "hello", "type": "str", "displayName": "Text"}}
WRONG_KEY = "_" + "0e" * 48
CONFIDENCE = {"documented", "seen-in-many", "seen-in-one"}
OBSERVED = {
    ("GET", "/reference-workflow/v2/workflow-object/{uuid}"),
    ("GET", "/reference-workflow/v2/workflow-object/{uuid}/variables-schema"),
    ("GET", "/job/{jobExecutionId}"),
    ("GET", "/job/search"),
    ("GET", "/job/search-light"),
    ("POST", "/job/{jobExecutionId}/archive"),
    ("DELETE", "/job/{jobExecutionId}/archive"),
    ("GET", "/job/{jobExecutionId}/duplicate"),
    ("DELETE", "/job/{jobExecutionId}/delete"),
    ("POST", "/job/file/download"),
    ("POST", "/job/v2/initiate"),
}
V0 = {
    ("GET", "/workflow/{workflowId}"),
    ("POST", "/job/initiate"),
    ("POST", "/job/file/upload"),
    ("POST", "/job/execute"),
    ("GET", "/job/{jobExecutionId}/status"),
    ("GET", "/job/{jobExecutionId}/results"),
    ("GET", "/job/{jobExecutionId}/audit"),
}
V1 = {
    ("GET", "/api/v1/workflow/{workflowId}"),
    ("POST", "/api/v1/file/upload/presigned"),
    ("POST", "/api/v1/case"),
    ("POST", "/api/v1/case/{caseId}/execute"),
    ("GET", "/api/v1/case/{caseId}/status"),
    ("GET", "/api/v1/case/{caseId}/results"),
    ("GET", "/api/v1/case/{caseId}/audit"),
}

CASE_FILE = {"fileExtension": ".pdf", "originalName": "a.pdf", "workflowId": "w"}
DESCRIPTION = Description(document())


def operations():
    return pytest.mark.parametrize("operation", DESCRIPTION.operations, ids=lambda operation: operation.id)


# -- in itself ---------------------------------------------------------------------------------------------


def test_openapi_document_is_valid():
    assert document()["openapi"] == "3.1.0"
    assert [str(error) for error in OpenAPIV31SpecValidator(document()).iter_errors()] == []


def test_openapi_lists_operations_of_v0_v1_and_observed_ones():
    tagged = {"v0": set(), "v1": set(), "observed": set()}
    for operation in DESCRIPTION.operations:
        [tag] = operation.spec["tags"]
        tagged[tag].add((operation.method, operation.path))
    assert tagged == {"v0": V0, "v1": V1, "observed": OBSERVED}
    assert [server["url"] for server in document()["servers"]] == ["https://operator.opus.com"]


@operations()
def test_openapi_operations_have_id_summary_confidence_refusals_and_path_parameters(operation):
    assert re.fullmatch(r"[a-z]+(_[a-z0-9]+)+", operation.id)
    assert operation.spec["x-confidence"] in CONFIDENCE
    assert operation.spec["summary"]
    refusals = {"400", "401", "404", "429", "5XX"}
    assert refusals <= operation.responses.keys()
    assert operation.responses.keys() - refusals, "no success"
    assert ("413" in operation.responses) == (operation.body is not None)
    named = set(re.findall(r"\{(\w+)\}", operation.path))
    assert named == {parameter["name"] for parameter in operation.parameters if parameter["in"] == "path"}


def test_openapi_examples_match_their_schemas():
    examples = list(DESCRIPTION.examples())
    assert len(examples) > 90
    for where, schema, value in examples:
        assert DESCRIPTION.problems(schema, value) == [], where


def test_openapi_examples_hold_no_keys_or_real_hosts():
    for where, _, value in DESCRIPTION.examples():
        text = json.dumps(value)
        assert not re.search(r"_[0-9a-f]{96}", text), where
        hosts = set(re.findall(r"https?://([^/\"?]+)", text))
        assert hosts <= {
            "files.opus.com",
            "your-app.example.com",
            "example-bucket.s3.eu-central-1.amazonaws.com",
        }, where


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ("VariableObject", "a bare value"),
        ("VariableObject", {"value": "x"}),
        ("VariableObject", {"value": "x", "type": {"type": "str"}}),
        ("InitiateRequest", {"title": "t", "description": "d"}),
        ("InitiateRequest", {"workflowId": "w", "source": "elsewhere"}),
        ("UploadUrlRequest", {"accessScope": "organization"}),
        ("UploadUrlRequest", {"fileExtension": ".pdf", "accessScope": "workspace"}),
        ("UploadUrlRequest", {"fileExtension": ".pdf", "accessScope": "unlisted"}),
        ("CaseUploadUrlRequest", {"fileExtension": ".pdf", "originalName": "a.pdf"}),
        ("CaseUploadUrlRequest", {"fileExtension": ".pdf", "workflowId": "w"}),
        ("CaseUploadUrlRequest", CASE_FILE | {"accessScope": "all"}),
        ("ExecuteRequest", {"jobExecutionId": "1", "jobPayloadSchemaInstance": {}}),
        ("ExecuteRequest", {"jobExecutionId": 1, "jobPayloadSchemaInstance": {}, "callbackUrl": CALLBACK}),
        ("ExecuteCaseRequest", {"jobPayloadSchemaInstance": {}}),
        ("CreateCaseRequest", {"workflowId": "w", "title": "t"}),
        ("WorkflowDetails", {"workflowId": "w", "name": "n"}),
        ("WorkflowDetails", {"data": {"name": "n"}}),
        ("ExecuteAnswer", {"success": True}),
        ("StatusAnswer", {"job": "COMPLETED"}),
        ("Results", {}),
        ("Results", {"workflow_output_x": {"value": 1}}),
        ("Audit", {"executed_nodes": []}),
        ("ErrorEnvelope", {"statusCode": 400}),
        ("TooManyRequests", {"metadata": {"retryAfterSeconds": -1}}),
    ],
)  # fmt: skip
def test_openapi_schemas_refuse_invalid_values(schema, value):
    assert DESCRIPTION.problems({"$ref": f"#/components/schemas/{schema}"}, value)


# -- as it is shipped and served ---------------------------------------------------------------------------


def test_openapi_document_is_package_data():
    home = Path(opus_async.__file__).parent / "simulator" / "openapi.json"
    assert resources.files("opus_async.simulator").joinpath("openapi.json").is_file()
    assert document_bytes() == home.read_bytes()
    assert document() == json.loads(home.read_text(encoding="utf-8"))


async def test_openapi_document_is_served_without_a_key_with_the_simulator_as_server(api):
    reply = await api.get(OPENAPI_PATH, headers={})
    assert (reply.status, reply.headers["Content-Type"].partition(";")[0]) == (200, JSON)
    served, shipped = reply.json, document()
    assert [server["url"] for server in served.pop("servers")] == [api.simulator.base_url]
    shipped.pop("servers")
    assert served == shipped


async def test_openapi_document_can_only_be_read(api):
    for method in ("POST", "PUT", "DELETE"):
        assert (await api.call(method, OPENAPI_PATH)).status == 404


# -- as the simulator answers ------------------------------------------------------------------------------


class Witness:
    """Calls a simulator and holds every answer against the description."""

    def __init__(self, api):
        self.api = api
        self.statuses = {operation.id: set() for operation in DESCRIPTION.operations}

    async def call(self, method, path, body=None, **more):
        reply = await self.api.call(method, path, body, **more)
        content_type = reply.headers.get("Content-Type")
        assert DESCRIPTION.answer_problems(method, path, reply.status, content_type, reply.raw) == []
        operation, _ = DESCRIPTION.find(method, path.partition("?")[0])
        self.statuses[operation.id].add(reply.status)
        is_json = reply.raw and (content_type or "").startswith(JSON)
        return reply.json if is_json else None

    async def get(self, path):
        return await self.call("GET", path)

    async def post(self, path, **body):
        return await self.call("POST", path, body)

    async def read_workflow(self):
        [described] = [
            workflow for workflow in self.api.simulator.world.workflows if workflow.workflow_id == TEXT_ID
        ]
        for workflow_id in (TEXT_ID, described.reference_entity_id, "unknown"):
            await self.get(f"/workflow/{workflow_id}")
            await self.get(f"/workflow/{workflow_id}?version=1")
            await self.get(f"/workflow/{workflow_id}?version=x")
            await self.get(f"/api/v1/workflow/{workflow_id}")
            reference = f"/reference-workflow/v2/workflow-object/{workflow_id}"
            await self.get(reference)
            await self.get(f"{reference}/variables-schema")

    async def upload(self):
        """Upload a file in each generation, and ask for both."""
        for path in ("/job/file/upload", "/api/v1/file/upload/presigned"):
            await self.post(path, fileExtension=".exe")
            asked = {"fileExtension": ".txt", "originalName": "a.txt", "workflowId": TEXT_ID}
            slot = await self.post(path, **asked)
            assert (await self.api.put(slot["presignedUrl"], b"text")).status == 200
            await self.post("/job/file/download", fileUrl=slot["fileUrl"])
            await self.post("/job/file/download", fileUrl=slot["fileUrl"], workspaceId="w")
        await self.post("/job/file/download", fileUrl="https://files.opus.com/unknown")

    async def start(self):
        """Make a job and a case, and execute each; a dialect may refuse the first execute."""
        about = {"workflowId": TEXT_ID, "title": "t", "description": "d"}
        job_id = str((await self.post("/job/initiate", **about))["jobExecutionId"])
        case_id = str((await self.post("/api/v1/case", **about))["caseId"])
        await self.post("/job/v2/initiate", **about)
        await self.post("/job/initiate", title="no workflow")
        await self.post("/api/v1/case", title="no workflow")
        await self.look(job_id, case_id)
        for payload in ({}, {TEXT_INPUT: {"value": "x", "type": {}}}, *[PAYLOAD] * 3):
            await self.post(f"/api/v1/case/{case_id}/execute", payload=payload)
            for more in ({}, {"callbackUrl": CALLBACK}):
                await self.post(
                    "/job/execute", jobExecutionId=job_id, jobPayloadSchemaInstance=payload, **more
                )
        return job_id, case_id

    async def look(self, job_id, case_id):
        for what in ("status", "results", "audit"):
            await self.get(f"/job/{job_id}/{what}")
            await self.get(f"/api/v1/case/{case_id}/{what}")
        await self.get(f"/job/{job_id}")
        for search in ("search", "search-light"):
            await self.get(f"/job/{search}")
            await self.get(f"/job/{search}?status=COMPLETED&status=FAILED&maxResults=1&offset=0")
            await self.get(f"/job/{search}?status=COMPLETED,FAILED&workflowId={TEXT_ID}")

    async def keep_house(self, job_id):
        for method, what in (
            ("POST", "archive"),
            ("DELETE", "archive"),
            ("GET", "duplicate"),
            ("DELETE", "delete"),
        ):
            await self.call(method, f"/job/{job_id}/{what}")
            await self.call(method, f"/job/unknown/{what}")


DETAILS = {"get_workflow", "get_case_workflow"}
REFERENCES = {"get_workflow_object", "get_workflow_variables_schema"}
AUDITS = {"get_job_audit", "get_case_audit"}
RESULTS = {"get_job_results", "get_case_results"}
SILENT = {
    "schema_retired": DETAILS,
    "permission_denied": DETAILS | REFERENCES,
    "audit_missing": AUDITS,
    "audit_html": AUDITS,
}
"""What has no success in a dialect."""
NOT_THE_API = {"browser_only", "html_gateway"}
NO_JOBS = {"quota_exhausted"}


DIALECTS = [None, *sorted(TRAITS.keys() - NOT_THE_API - NO_JOBS)]


def failing(trait):
    """A dialect whose jobs fail; ``long`` where it changes nothing that tells of the end of a job."""
    told_at_the_end = trait is None or trait.startswith(("fails", "status", "audit", "results"))
    return pytest.param(trait, 1, marks=() if told_at_the_end else pytest.mark.long)


@pytest.mark.parametrize(
    ("trait", "fail_share"), [*((trait, 0) for trait in DIALECTS), *map(failing, DIALECTS)]
)
async def test_openapi_describes_every_response_under_every_trait(serve, clock, tmp_path, trait, fail_share):
    api = await serve(
        clock=clock,
        traits=frozenset([trait] if trait else []),
        fail_share=fail_share,
        queue_time=10,
        run_time=100,
        waiting_share=1,
        waiting_time=100,
        keep_files=tmp_path,
    )
    witness = Witness(api)
    await witness.read_workflow()
    await witness.upload()
    job_id, case_id = await witness.start()
    # Queued at first, then running, parked, running again, ended.
    for seconds in (0, 20, 70, 100, 100, 1, 1):
        clock.forward(seconds)
        await witness.look(job_id, case_id)
    await witness.keep_house(job_id)
    silent = {name for name, statuses in witness.statuses.items() if not {200, 201, 308} & statuses}
    assert silent == SILENT.get(trait, set()) | (RESULTS if fail_share else set())


async def test_openapi_describes_401_under_trait_browser_only(serve):
    witness = Witness(await serve(traits=frozenset({"browser_only"})))
    for operation in DESCRIPTION.operations:
        await witness.call(operation.method, DESCRIPTION.example_path(operation))
        assert witness.statuses[operation.id] == {401}


async def test_openapi_describes_402_under_trait_quota_exhausted(serve):
    witness = Witness(await serve(traits=frozenset({"quota_exhausted"})))
    for name in ("initiate_job", "execute_job", "create_case", "execute_case"):
        [operation] = [operation for operation in DESCRIPTION.operations if operation.id == name]
        await witness.call("POST", DESCRIPTION.example_path(operation), {})
        assert witness.statuses[name] == {402}


async def test_openapi_does_not_describe_html_page_of_trait_html_gateway(serve):
    witness = Witness(await serve(traits=frozenset({"html_gateway"})))
    with pytest.raises(AssertionError, match="get_workflow: 200 as text/html is not described"):
        await witness.get(f"/workflow/{TEXT_ID}")


@operations()
async def test_openapi_describes_401_of_every_operation_without_a_valid_key(api, operation):
    witness = Witness(api)
    for headers in ({}, {"x-service-key": WRONG_KEY}):
        await witness.call(operation.method, DESCRIPTION.example_path(operation), headers=headers)
    assert witness.statuses[operation.id] == {401}


async def test_openapi_describes_429_and_503_of_fault_profile_storm(serve, clock):
    witness = Witness(await serve(clock=clock, faults="storm"))
    for _ in range(100):
        clock.forward(0.1)
        await witness.get("/job/1/status")
    assert witness.statuses["get_job_status"] == {404, 429, 503}


async def test_openapi_describes_413_for_huge_body(api):
    witness = Witness(api)
    headers = {"x-service-key": api.simulator.service_key, "Content-Type": JSON}
    await witness.call("POST", "/job/execute", data=io.BytesIO(b" " * 2_000_000), headers=headers)
    assert witness.statuses["execute_job"] == {413}
