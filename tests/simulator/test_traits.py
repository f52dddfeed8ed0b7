"""Dialect traits: each is one named departure, in both generations of the API where both have the thing."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from opus_async.simulator import PROFILES, faults
from opus_async.simulator.faults import Profile, Rule

TEXT_ID = "T3xtOnlyWorkfl0w"
TEXT_INPUT = "workflow_input_t3xtinput"
ECHO = "workflow_output_t3xt_echo"
HELLO = {TEXT_INPUT: {"value": "hello", "type": "str", "displayName": "Text"}}
NODES = ["Input", "Extract", "Review", "Output"]
GENERATIONS = ("v0", "v1")

both = pytest.mark.parametrize("generation", GENERATIONS)


@dataclass
class Speaker:
    """The calls of one generation; a job of the cases API is a job here too."""

    api: Any
    generation: str

    async def open(self, workflow_id: str = TEXT_ID) -> Any:
        """Make a shell and return its id as the JSON has it."""
        body = {"workflowId": workflow_id, "title": "a title", "description": "a description"}
        path, field = {"v0": ("/job/initiate", "jobExecutionId"), "v1": ("/api/v1/case", "caseId")}[
            self.generation
        ]
        reply = await self.api.post(path, body)
        assert reply.status == 201, reply.raw
        return reply.json[field]

    async def execute(self, job_id: Any, payload: Any = None) -> Any:
        payload = HELLO if payload is None else payload
        if self.generation == "v0":
            return await self.api.execute(str(job_id), payload)
        return await self.api.post(f"/api/v1/case/{job_id}/execute", {"payload": payload})

    async def read(self, job_id: Any, what: str) -> Any:
        folder = {"v0": "/job", "v1": "/api/v1/case"}[self.generation]
        return await self.api.get(f"{folder}/{job_id}/{what}")

    async def workflow(self) -> Any:
        return await self.api.get({"v0": "", "v1": "/api/v1"}[self.generation] + f"/workflow/{TEXT_ID}")


@pytest.fixture
def started(serve, clock):
    """Start a simulator with traits, given as words, and one job in it; return the speaker and the id."""

    async def start(generation, names, payload=None, *, workflow_id=TEXT_ID, after=0.0, **fields):
        api = await serve(clock=clock, traits=frozenset(names.split()), **fields)
        speaker = Speaker(api, generation)
        job_id = await speaker.open(workflow_id)
        reply = await speaker.execute(job_id, payload)
        assert reply.status == 201, reply.raw
        clock.forward(after)
        return speaker, job_id

    return start


# Status.

QUEUED = {"queue_time": 5}
RUNNING = {"run_time": 10, "after": 1}
PARKED = {"run_time": 10, "waiting_share": 1, "waiting_time": 100, "after": 50}
COMPLETED = {}
FAILED = {"fail_share": 1}


@both
@pytest.mark.parametrize(
    ("names", "situation", "body"),
    [
        ("", QUEUED, {"status": "PENDING"}),
        ("", RUNNING, {"status": "IN_PROGRESS"}),
        ("", PARKED, {"status": "WAITING"}),
        ("", COMPLETED, {"status": "COMPLETED"}),
        ("", FAILED, {"status": "FAILED"}),
        ("status_lowercase", RUNNING, {"status": "in_progress"}),
        ("status_lowercase", COMPLETED, {"status": "completed"}),
        ("status_padded", RUNNING, {"status": "In Progress "}),
        ("status_padded", FAILED, {"status": "Failed "}),
        ("status_under_state", RUNNING, {"state": "IN_PROGRESS"}),
        ("status_strange", QUEUED, {"status": "BRAND_NEW"}),
        ("status_strange", RUNNING, {"status": "IN_PROGRESS"}),
        ("parked_looks_running", PARKED, {"status": "IN_PROGRESS"}),
        ("ends_succeeded", COMPLETED, {"status": "SUCCEEDED"}),
        ("ends_succeeded", FAILED, {"status": "FAILED"}),
        ("fails_as_timed_out", FAILED, {"status": "timed out"}),
        ("fails_as_timed_out", COMPLETED, {"status": "COMPLETED"}),
        ("fails_as_stopped", FAILED, {"status": "stopped"}),
        ("fails_as_canceled", FAILED, {"status": "CANCELED"}),
        ("fails_as_error", FAILED, {"status": "error"}),
        ("parked_looks_running spaced_status", PARKED, {"status": "IN PROGRESS"}),
        ("status_lowercase status_padded status_under_state", RUNNING, {"state": "in progress "}),
        ("status_strange queued_looks_unstarted", QUEUED, {"status": "PENDING"}),
    ],
)
async def test_trait_status_variants_change_the_status_response(started, generation, names, situation, body):
    speaker, job_id = await started(generation, names, **situation)
    assert (await speaker.read(job_id, "status")).json == body


@both
async def test_trait_status_strange_keeps_pending_for_a_shell(serve, generation):
    speaker = Speaker(await serve(traits=frozenset({"status_strange"})), generation)
    assert (await speaker.read(await speaker.open(), "status")).json == {"status": "PENDING"}


@both
async def test_trait_parked_looks_running_still_shows_sleeping_node_in_audit(started, generation):
    speaker, job_id = await started(generation, "parked_looks_running", **PARKED)
    node = nodes_of((await speaker.read(job_id, "audit")).json)["Review"]
    assert either(node, "execution_status", "executionStatus") == "SLEEPING"


# Ids.


@both
async def test_trait_huge_ids_gives_ids_beyond_double_precision(started, generation):
    speaker, job_id = await started(generation, "huge_ids")
    assert isinstance(job_id, int)
    assert int(float(job_id)) != job_id
    assert (await speaker.read(job_id, "status")).json == {"status": "COMPLETED"}


# Results.


def entries_of(body, generation):
    return body["jobResultsPayloadSchema" if generation == "v0" else "results"]


@both
async def test_trait_results_fail_once_answers_500_to_the_first_read(started, generation):
    speaker, job_id = await started(generation, "results_fail_once")
    replies = [await speaker.read(job_id, "results") for _ in range(3)]
    assert [reply.status for reply in replies] == [500, 200, 200]
    assert replies[0].message == "Internal server error"


@both
async def test_trait_results_snake_names_uses_display_name_in_snake_case(started, generation):
    speaker, job_id = await started(generation, "results_snake_names")
    entries = entries_of((await speaker.read(job_id, "results")).json, generation)
    assert entries[ECHO] == {"value": "hello", "type": "str", "display_name": "Text"}


@both
async def test_trait_results_null_answers_null_results(started, generation):
    speaker, job_id = await started(generation, "results_null")
    body = (await speaker.read(job_id, "results")).json
    assert list(body.values()) == [None]
    assert entries_of(body, generation) is None


@both
async def test_trait_results_json_text_gives_objects_as_json_text_every_second_one_in_code_fence(
    started, tmp_path, generation
):
    path = tmp_path / "workflow.json"
    names = [f"object_{number}" for number in range(4)]
    inputs = [{"name": name, "type": "object", "variable": name} for name in names]
    inputs.append({"name": "list", "type": "array", "variable": "list"})
    path.write_text(json.dumps({"id": "FourObjects00001", "inputs": inputs}))
    payload = {name: {"value": {"a": [name]}, "type": "object"} for name in names}
    payload["list"] = {"value": [{"b": 1}], "type": "array"}
    speaker, job_id = await started(
        generation, "results_json_text", payload, workflow_id="FourObjects00001", workflow_files=(path,)
    )
    entries = entries_of((await speaker.read(job_id, "results")).json, generation)
    *texts, plain_list = (entry["value"] for entry in entries.values())
    assert plain_list == [{"b": 1}]
    fenced = [text.startswith("```json\n") and text.endswith("\n```") for text in texts]
    assert fenced in ([True, False, True, False], [False, True, False, True])
    bare = [text.removeprefix("```json\n").removesuffix("\n```") for text in texts]
    assert [json.loads(text) for text in bare] == [{"a": [name]} for name in names]


# Audit.


def either(body, *names):
    """Return what stands under one of these keys; exactly one of them is there."""
    (found,) = [body[name] for name in names if name in body]
    return found


def nodes_of(body):
    return either(body["audit"], "nodes_execution_data", "nodesExecutionData")


async def audit(started, generation, names, **situation):
    speaker, job_id = await started(generation, names, **situation)
    reply = await speaker.read(job_id, "audit")
    assert reply.status == 200, reply.raw
    return reply.json


@both
async def test_trait_audit_nodes_list_gives_nodes_as_a_list(started, generation):
    nodes = nodes_of(await audit(started, generation, "audit_nodes_list"))
    assert [node["name"] for node in nodes] == NODES
    assert all(isinstance(either(node, "execution_time", "executionTime"), int) for node in nodes)


@both
async def test_trait_audit_nodes_list_of_queued_job_is_empty(started, generation):
    assert nodes_of(await audit(started, generation, "audit_nodes_list", **QUEUED)) == []


@both
async def test_trait_audit_node_objects_names_nodes_by_objects(started, generation):
    running = await audit(started, generation, "audit_node_objects", **RUNNING)
    assert either(running, "running_node", "runningNode") == {"name": "Extract"}
    assert either(running, "next_node_to_execute", "nextNode") == {"name": "Review"}
    assert either(running, "failed_nodes", "failedNodes") == []
    failed = await audit(started, generation, "audit_node_objects", **FAILED)
    assert list(either(failed, "failed_nodes", "failedNodes")[0]) == ["name"]
    assert either(failed, "running_node", "runningNode") == ""


async def test_trait_audit_node_objects_alternates_the_key_of_the_name(started):
    body = await audit(started, "v0", "audit_node_objects")
    assert body["executed_nodes"] == [
        {"name": "Input"}, {"node_name": "Extract"}, {"label": "Review"}, {"id": "Output"},
    ]  # fmt: skip


@both
async def test_trait_audit_running_null_has_null_running_node_when_finished(started, generation):
    finished = await audit(started, generation, "audit_running_null")
    running = await audit(started, generation, "audit_running_null", **RUNNING)
    assert either(finished, "running_node", "runningNode") is None
    assert either(running, "running_node", "runningNode") == "Extract"


@both
async def test_trait_audit_seconds_gives_times_in_seconds(started, clock, generation):
    began = clock.now
    body = await audit(started, generation, "audit_seconds", run_time=10, after=20)
    first, *_, last = nodes_of(body).values()
    assert either(first, "execution_start_time", "executionStartTime") == pytest.approx(began, abs=0.01)
    assert either(first, "execution_time", "executionTime") == pytest.approx(0.5, abs=0.01)
    assert either(last, "execution_start_time", "executionStartTime") > began + 5


@both
async def test_trait_audit_lowercase_gives_node_statuses_in_lower_case(started, generation):
    body = await audit(started, generation, "audit_lowercase", **RUNNING)
    states = {
        name: either(node, "execution_status", "executionStatus") for name, node in nodes_of(body).items()
    }
    assert states == {"Input": "completed", "Extract": "in_progress"}


@both
async def test_trait_audit_v2_values_gives_values_as_variable_objects(started, generation):
    body = await audit(started, generation, "audit_v2_values")
    values = either(nodes_of(body)["Output"], "execution_output", "executionOutput")
    assert values[-1] == {"variable_name": ECHO, "display_name": "Text", "value": "hello", "type": "str"}
    assert len(values) == 3
    given = either(nodes_of(body)["Input"], "execution_output", "executionOutput")
    assert given == [{"variable_name": TEXT_INPUT, "display_name": "Text", "value": "hello", "type": "str"}]


@both
async def test_trait_audit_base64_encodes_outputs_as_base64_json(started, generation):
    body = await audit(started, generation, "audit_base64")
    text = either(nodes_of(body)["Output"], "execution_output", "executionOutput")
    assert json.loads(base64.b64decode(text, validate=True))[-1] == {ECHO: "hello"}
    running = await audit(started, generation, "audit_base64", **RUNNING)
    assert "Output" not in nodes_of(running)


async def test_trait_audit_camel_uses_camel_case_field_names(started):
    plain = await audit(started, "v0", "", **RUNNING)
    body = await audit(started, "v0", "audit_camel", **RUNNING)
    assert {name for name in body if "_" in name} == set()
    assert (body["runningNode"], body["nextNode"]) == ("Extract", "Review")
    assert (body["executedNodes"], body["nbNodes"]) == (plain["executed_nodes"], plain["nb_nodes"])
    node = body["audit"]["nodesExecutionData"]["Input"]
    assert (node["executionStatus"], node["executionOutput"]) == ("COMPLETED", [{TEXT_INPUT: "hello"}])


async def test_trait_audit_camel_combines_with_nodes_list_and_null(started):
    body = await audit(started, "v0", "audit_camel audit_nodes_list", **RUNNING)
    assert [node["executionStatus"] for node in nodes_of(body)] == ["COMPLETED", "IN_PROGRESS"]
    body = await audit(started, "v0", "audit_camel audit_nodes_list audit_node_objects audit_null")
    assert (body["audit"], body["runningNode"]) == (None, None)


@both
async def test_trait_audit_html_answers_502_with_html_page(started, generation):
    speaker, job_id = await started(generation, "audit_html")
    reply = await speaker.read(job_id, "audit")
    assert (reply.status, reply.headers["Content-Type"]) == (502, "text/html")
    assert b"<html>" in reply.raw


# Errors.


@pytest.fixture
def throttled(serve, clock):
    """Return the second answer of a simulator that grants one request."""

    async def ask(names):
        api = await serve(clock=clock, rate_limit=1, traits=frozenset(names.split()))
        assert (await api.get("/job/1/status")).status == 404
        reply = await api.get("/job/1/status")
        assert reply.status == 429
        return reply

    return ask


ENVELOPE = {"statusCode", "message", "timestamp", "path"}


@pytest.mark.parametrize(
    ("names", "members", "wait"),
    [
        ("", ENVELOPE | {"metadata"}, 1),
        ("throttle_metadata", {"metadata"}, 1),
        ("throttle_header", ENVELOPE, None),
        ("throttle_date", ENVELOPE, None),
        ("throttle_bare", ENVELOPE, None),
        ("throttle_generation", {"scope", "limit", "active"}, None),
        ("errors_bare", {"error", "metadata"}, 1),
    ],
)
async def test_trait_throttle_variants_change_the_body_of_a_429(throttled, names, members, wait):
    body = (await throttled(names)).json
    assert set(body) == members
    assert body.get("metadata", {}).get("retryAfterSeconds") == wait


async def test_trait_throttle_header_and_date_set_retry_after_header(throttled, clock):
    assert (await throttled("throttle_header")).headers["Retry-After"] == "1"
    date = parsedate_to_datetime((await throttled("throttle_date")).headers["Retry-After"])
    assert date.timestamp() == int(clock.now + 1)
    for names in ("", "throttle_metadata", "throttle_bare", "throttle_generation"):
        assert "Retry-After" not in (await throttled(names)).headers


@pytest.mark.parametrize(
    ("kind", "names", "body"),
    [
        (faults.RATE_LIMITED, "throttle_generation", {"scope": "workspace", "limit": 20, "active": 20}),
        (faults.NOT_FOUND, "errors_bare", {"error": "Job not found"}),
    ],
)
async def test_trait_error_shapes_apply_to_injected_faults(serve, monkeypatch, kind, names, body):
    profile = Profile("only", "", {"shell_status": (Rule(kind, 1.0),)})
    monkeypatch.setitem(PROFILES, "only", profile)
    api = await serve(faults="only", traits=frozenset(names.split()))
    reply = await api.get(f"/job/{await api.initiate()}/status")
    assert reply.json == body


@pytest.mark.parametrize(
    ("names", "not_found", "invalid"),
    [
        (
            "errors_as_objects",
            {"message": {"code": "NOT_FOUND", "reason": "Job not found"}},
            {"message": {"code": "BAD_REQUEST", "reason": ["title must be a string"]}},
        ),
        ("errors_bare", {"error": "Job not found"}, {"error": "title must be a string"}),
    ],
)
async def test_trait_errors_as_objects_and_bare_change_the_error_body(serve, names, not_found, invalid):
    api = await serve(traits=frozenset(names.split()))
    missing = await api.get("/job/1/status")
    refused = await api.post("/job/initiate", {"workflowId": TEXT_ID, "title": 7})
    assert (missing.status, refused.status) == (404, 400)
    assert missing.json | not_found == missing.json
    assert refused.json | invalid == refused.json
    assert ("statusCode" in missing.json) is (names == "errors_as_objects")


# What stands in front of the service.


@both
async def test_trait_browser_only_answers_401_no_auth_cookie(serve, generation):
    api = await serve(traits=frozenset({"browser_only"}))
    for reply in (await Speaker(api, generation).workflow(), await api.get("/job/1/status")):
        assert (reply.status, reply.message) == (401, "No auth cookie provided")


@both
async def test_trait_permission_denied_answers_403_to_workflow_details_only(serve, generation):
    speaker = Speaker(await serve(traits=frozenset({"permission_denied"})), generation)
    reply = await speaker.workflow()
    assert reply.status == 403
    assert "Workflow: Full" in reply.message
    job_id = await speaker.open()
    assert (await speaker.execute(job_id)).status == 201


async def test_trait_permission_denied_applies_to_reference_workflow(serve):
    api = await serve(traits=frozenset({"permission_denied"}))
    path = "/reference-workflow/v2/workflow-object/00000000-0000-4000-8000-000000000001"
    assert [(await api.get(path + end)).status for end in ("", "/variables-schema")] == [403, 403]


@both
async def test_trait_quota_exhausted_answers_402_to_initiate_and_execute(serve, generation):
    speaker = Speaker(await serve(traits=frozenset({"quota_exhausted"})), generation)
    assert (await speaker.workflow()).status == 200
    path = {"v0": "/job/initiate", "v1": "/api/v1/case"}[generation]
    body = {"workflowId": TEXT_ID, "title": "a title", "description": "a description"}
    for refused in (await speaker.api.post(path, body), await speaker.execute("1")):
        assert (refused.status, refused.message) == (402, "The quota of this organization is used up")
    assert speaker.api.simulator.state()["counters"]["jobs"] == 0


@both
async def test_trait_html_gateway_answers_200_with_html_page_and_starts_nothing(serve, generation):
    api = await serve(traits=frozenset({"html_gateway"}))
    for reply in (await Speaker(api, generation).workflow(), await api.post("/job/initiate", {})):
        assert (reply.status, reply.headers["Content-Type"]) == (200, "text/html")
        assert reply.raw.startswith(b"<!doctype html>")
    assert api.simulator.state()["counters"]["jobs"] == 0
