"""The cases API: its endpoints, what it refuses, and that it never mixes with the jobs API."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from opus_async.simulator import SimulatorConfig
from opus_async.simulator.cli import _configure, build_parser
from opus_async.simulator.validation import check_case, check_case_execute, check_case_presign

ALL_TYPES = "B9uGJfZ3CFwOdMKH"
DOCUMENT = "D0cumentWorkfl0w"
TEXT_ID = "T3xtOnlyWorkfl0w"
TEXT_INPUT = "workflow_input_t3xtinput"
HELLO = {TEXT_INPUT: {"value": "hello", "type": "str", "displayName": "Text"}}
UUID = "00000000-0000-4000-8000-000000000001"
UUID_FORM = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
STARTED = {"success": True, "message": "Case execution has been started"}


@dataclass
class Cases:
    """The calls of the cases API over a plain caller."""

    api: Any

    async def create(self, workflow_id: str = TEXT_ID, title: str = "a title", **fields: Any) -> str:
        body = {"workflowId": workflow_id, "title": title, "description": "a description", **fields}
        reply = await self.api.post("/api/v1/case", body)
        assert reply.status == 201, reply.raw
        return str(reply.json["caseId"])

    async def execute(self, case_id: str, payload: Any = None, **fields: Any) -> Any:
        body = {"payload": HELLO if payload is None else payload, **fields}
        return await self.api.post(f"/api/v1/case/{case_id}/execute", body)

    async def read(self, case_id: str, what: str) -> Any:
        return await self.api.get(f"/api/v1/case/{case_id}/{what}")

    async def status(self, case_id: str) -> str:
        return (await self.read(case_id, "status")).json["status"]

    async def upload(self, data: bytes, extension: str = ".txt") -> str:
        reply = await self.api.post(
            "/api/v1/file/upload/presigned",
            {"fileExtension": extension, "originalName": f"a{extension}", "workflowId": DOCUMENT},
        )
        assert reply.status == 201, reply.raw
        assert (await self.api.put(reply.json["presignedUrl"], data)).status == 200
        return reply.json["fileUrl"]


@pytest.fixture
def cases(api):
    return Cases(api)


async def served(serve, *names, **fields):
    """Return a fresh simulator with traits, its cases API, and one case in it."""
    api = await serve(traits=frozenset(names), **fields)
    cases = Cases(api)
    return api, cases, await cases.create()


async def test_simulator_v1_case_runs_from_upload_to_results(cases):
    case_id = await cases.create(DOCUMENT)
    payload = {
        "workflow_input_d0cument1": {
            "value": await cases.upload(b"one\ntwo\n"),
            "type": "file",
            "displayName": "Document",
        }
    }
    assert await cases.status(case_id) == "PENDING"
    reply = await cases.execute(case_id, payload, callbackUrl="https://example.com/opus")
    assert (reply.status, reply.json) == (201, STARTED)
    assert await cases.status(case_id) == "COMPLETED"
    reply = await cases.read(case_id, "results")
    assert reply.status == 200
    assert reply.json["results"]["workflow_output_d0cum_sha256"] == {
        "value": hashlib.sha256(b"one\ntwo\n").hexdigest(),
        "type": "str",
        "displayName": "SHA-256",
    }
    assert reply.json["results"]["workflow_output_d0cum_lines"]["value"] == 2


async def test_simulator_v1_results_echo_every_input_as_sent(cases):
    one, two = await cases.upload(b"one\n"), await cases.upload(b"two")
    values = {
        "we4tej0ly": ("str", "ünïcödé \U0001f600 \u0000"),
        "a0hk6ujuo": ("float", 45.8),
        "h69vx5i4a": ("file", one),
        "m2z6rkzgj": ("bool", False),
        "2kbsjrx1y": ("array", [None, [], 2**63]),
        "bzti690ga": ("object", {"a": [None, {"b": 1.5}]}),
        "k3ayfjyh7": ("date", "2024-02-29"),
        "auqgnzk8d": ("array_files", [two, one]),
    }
    case_id = await cases.create(ALL_TYPES)
    payload = {f"workflow_input_{name}": {"value": v, "type": kind} for name, (kind, v) in values.items()}
    assert (await cases.execute(case_id, payload)).status == 201
    results = (await cases.read(case_id, "results")).json["results"]
    for name, (kind, value) in values.items():
        assert results[f"workflow_output_{name}"]["value"] == value
        assert results[f"workflow_output_{name}"]["type"] == kind
    assert results["workflow_output_h69vx5i4a_sha256"]["value"] == hashlib.sha256(b"one\n").hexdigest()
    assert results["workflow_output_auqgnzk8d_size"]["value"] == [3, 4]


async def test_simulator_v1_case_ids_are_uuids_reproducible_from_seed(serve):
    async def ids(seed):
        cases = Cases(await serve(seed=seed))
        return [await cases.create(), await cases.create(), await cases.create(title="another")]

    first, again, other = await ids(1), await ids(1), await ids(2)
    assert first == again
    assert len({*first, *other}) == 6
    assert all(UUID_FORM.fullmatch(case_id) for case_id in first)


async def test_trait_numeric_ids_gives_v1_case_ids_as_json_numbers(serve):
    api = await serve(traits=frozenset({"numeric_ids"}))
    body = {"workflowId": TEXT_ID, "title": "t", "description": "d"}
    job = (await api.post("/job/initiate", body)).json["jobExecutionId"]
    case = (await api.post("/api/v1/case", body)).json["caseId"]
    assert (job, case) == (2514, 2515)
    assert await Cases(api).status(str(case)) == "PENDING"


@pytest.mark.parametrize("names", [(), ("numeric_ids",)])
async def test_simulator_v1_and_v0_do_not_see_jobs_of_each_other(serve, names):
    api, cases, case_id = await served(serve, *names)
    job_id = await api.initiate()
    for read in ("status", "results", "audit"):
        wrong_case, wrong_job = await cases.read(job_id, read), await api.get(f"/job/{case_id}/{read}")
        assert (wrong_case.status, wrong_case.message) == (404, "Case not found")
        assert (wrong_job.status, wrong_job.message) == (404, "Job not found")
    assert (await cases.execute(job_id)).status == 404
    assert (await api.execute(case_id)).status == 404
    state = api.simulator.state()["jobs"]
    assert {key: (job["generation"], job["executions"]) for key, job in state.items()} == {
        case_id: ("v1", 0),
        job_id: ("v0", 0),
    }


async def test_simulator_v1_and_v0_initiate_share_faults_and_counters(serve):
    async def fates(path, id_name):
        api = await serve(faults="hostile", seed=4)
        found = []
        for number in range(60):
            body = {"workflowId": TEXT_ID, "title": f"row {number}", "description": "d"}
            try:
                reply = await api.post(path, body)
                found.append(reply.status if reply.status != 201 else id_name.encode() in reply.raw)
            except aiohttp.ClientError:
                found.append("closed")
        return found, api.simulator.state()["counters"]

    jobs, job_counters = await fates("/job/initiate", "jobExecutionId")
    cases, case_counters = await fates("/api/v1/case", "caseId")
    assert jobs == cases
    assert job_counters["faults"] == case_counters["faults"]
    assert sum(case_counters["faults"].values()) > 10
    assert case_counters["requests"] == job_counters["requests"] == {"initiate": 60}


async def test_simulator_v1_requests_are_counted_under_v0_operation_names(cases):
    case_id = await cases.create(DOCUMENT)
    url = await cases.upload(b"x")
    await cases.execute(case_id, {"workflow_input_d0cument1": {"value": url, "type": "file"}})
    for read in ("status", "results", "audit"):
        assert (await cases.read(case_id, read)).status == 200
    assert (await cases.api.get(f"/api/v1/workflow/{DOCUMENT}")).status == 200
    counted = cases.api.simulator.state()["counters"]["requests"]
    assert counted == dict.fromkeys(
        ("initiate", "presign", "put", "execute", "status", "results", "audit", "workflow"), 1
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1"),
        ("GET", "/api/v1/case"),
        ("GET", "/api/v1/case/1"),
        ("GET", "/api/v1/case//status"),
        ("GET", "/api/v1/case/1/status/"),
        ("GET", "/api/v1/case/1/audit-log"),
        ("GET", "/api/v1/case/1/execute"),
        ("POST", "/api/v1/case/1/status"),
        ("POST", "/api/v1/case/"),
        ("GET", "/api/v1/file/upload/presigned"),
        ("POST", f"/api/v1/workflow/{ALL_TYPES}"),
        ("POST", "/api/v1/job/initiate"),
        ("POST", "/api/v1/workflow/generate"),
        ("POST", "/case"),
        ("GET", f"/api/v1case/{UUID}/status"),
    ],
)
async def test_simulator_v1_answers_404_to_unknown_endpoints(api, method, path):
    reply = await api.call(method, path)
    assert (reply.status, reply.message) == (404, f"Cannot {method} {path}")


async def test_simulator_v1_decodes_percent_encoded_case_id(cases):
    reply = await cases.read("a%2Fb%3Fc", "status")
    assert (reply.status, reply.message) == (404, "Case not found")


async def test_simulator_v1_requires_a_key(cases):
    case_id = await cases.create()
    for method, path in (("GET", f"case/{case_id}/status"), ("POST", "case"), ("GET", f"workflow/{TEXT_ID}")):
        reply = await cases.api.call(method, f"/api/v1/{path}", headers={})
        assert (reply.status, reply.message) == (401, "API key is required")


GOOD_CASE = {"workflowId": "w", "title": "t", "description": "d"}


@pytest.mark.parametrize(
    ("changes", "messages"),
    [
        ({}, []),
        ({"workflowVersionNumber": 2, "workflowVersionId": UUID}, []),
        ({"workflowId": None}, ["workflowId should not be empty", "workflowId must be a string"]),
        ({"workflowId": 7}, ["workflowId must be a string"]),
        ({"title": ""}, ["title should not be empty"]),
        ({"title": None}, ["title should not be empty", "title must be a string"]),
        ({"description": ""}, ["description should not be empty"]),
        ({"description": []}, ["description must be a string"]),
        ({"workflowVersionId": "3"}, ["workflowVersionId must be a UUID"]),
        (
            {"workflowVersionNumber": True},
            ["workflowVersionNumber must be a number conforming to the specified constraints"],
        ),
    ],
)
def test_simulator_v1_validation_of_case_body(changes, messages):
    assert check_case(GOOD_CASE | changes) == messages


async def test_simulator_v1_case_of_unknown_workflow_or_version_is_404(cases):
    details = (await cases.api.get(f"/workflow/{TEXT_ID}")).json
    reference, version_id = details["referenceEntityId"], details["workflowVersionId"]
    await cases.create(reference)
    await cases.create(workflowVersionId=version_id)
    await cases.create(workflowVersionNumber=1)
    for body in (
        GOOD_CASE,
        GOOD_CASE | {"workflowId": TEXT_ID, "workflowVersionNumber": 9},
        GOOD_CASE | {"workflowId": TEXT_ID, "workflowVersionId": UUID},
    ):
        assert (await cases.api.post("/api/v1/case", body)).status == 404


GOOD_SLOT = {"fileExtension": ".pdf", "originalName": "a.pdf", "workflowId": "w"}
NO_PLACE = "workspaceId or workflowId is required"


@pytest.mark.parametrize(
    ("changes", "messages"),
    [
        ({}, []),
        ({"fileExtension": "pdf", "accessScope": "workspace"}, []),
        ({"workflowId": None, "workspaceId": UUID, "accessScope": "unlisted"}, []),
        ({"fileExtension": None}, ["fileExtension must be a string"]),
        ({"originalName": None}, ["originalName should not be empty", "originalName must be a string"]),
        ({"originalName": ""}, ["originalName should not be empty"]),
        ({"workflowId": None}, [NO_PLACE]),
        ({"workflowId": 7}, ["workflowId must be a string"]),
        (
            {"accessScope": "organization"},
            ["accessScope must be one of the following values: workspace, unlisted"],
        ),
        ({"accessScope": []}, ["accessScope must be one of the following values: workspace, unlisted"]),
    ],
)
def test_simulator_v1_validation_of_presign_body(changes, messages):
    assert check_case_presign(GOOD_SLOT | changes) == messages


async def test_simulator_v1_presign_refuses_invalid_body_and_unknown_workflow(api):
    path = "/api/v1/file/upload/presigned"
    reply = await api.post(path, {"fileExtension": ".exe"})
    assert reply.status == 400
    assert reply.message[0].startswith("fileExtension must be one of the following values: .jpeg, ")
    assert reply.message[1:] == [
        "originalName should not be empty",
        "originalName must be a string",
        NO_PLACE,
    ]
    assert (await api.post(path, GOOD_SLOT)).status == 404
    assert len(api.simulator.state()["uploads"]) == 0


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        ({"payload": {}}, []),
        ({"payload": {}, "callbackUrl": None}, []),
        ({"payload": {}, "callbackUrl": "https://example.com/x"}, []),
        ({}, ["payload must be an object"]),
        ({"payload": []}, ["payload must be an object"]),
        ({"jobPayloadSchemaInstance": {}}, ["payload must be an object"]),
        ({"payload": {}, "callbackUrl": ""}, ["callbackUrl must be a URL address"]),
        ({"payload": {}, "callbackUrl": "not a url"}, ["callbackUrl must be a URL address"]),
    ],
)
def test_simulator_v1_validation_of_execute_body(body, messages):
    assert check_case_execute(body) == messages


async def test_simulator_v1_execute_refuses_v0_body(cases):
    case_id = await cases.create()
    body = {"jobExecutionId": case_id, "jobPayloadSchemaInstance": HELLO}
    reply = await cases.api.post(f"/api/v1/case/{case_id}/execute", body)
    assert (reply.status, reply.message) == (400, ["payload must be an object"])
    state = cases.api.simulator.state()
    assert state["jobs"][case_id]["executions"] == 0
    assert state["strange_fields"] == {"execute.jobExecutionId": 1, "execute.jobPayloadSchemaInstance": 1}


async def test_simulator_v1_execute_validates_payload_values(cases):
    case_id = await cases.create()
    wrong = await cases.execute(case_id, {TEXT_INPUT: {"value": 7, "type": "str"}})
    absent = await cases.execute(case_id, {"other": {"value": 1, "type": "str"}})
    crash = await cases.execute(case_id, {TEXT_INPUT: {"value": "x", "type": {"type": "str"}}})
    assert (wrong.status, wrong.message) == (400, [f"{TEXT_INPUT}: value must be a string"])
    assert absent.message == [
        f"other is not an input of workflow {TEXT_ID}",
        f"{TEXT_INPUT} should not be empty",
    ]
    assert (crash.status, crash.message) == (500, "Internal server error")
    job = cases.api.simulator.state()["jobs"][case_id]
    assert (job["execute_requests"], job["executions"]) == (3, 0)


async def test_simulator_v1_unknown_fields_are_counted_and_refused_by_trait(serve):
    for names, status in (((), 201), (("unknown_fields_refused",), 400)):
        api = await serve(traits=frozenset(names))
        body = {"workflowId": TEXT_ID, "title": "t", "description": "d", "source": "api"}
        assert (await api.post("/api/v1/case", body)).status == status
        assert api.simulator.state()["strange_fields"] == {"initiate.source": 1}


async def test_trait_callback_required_applies_to_v0_only(serve):
    api, cases, case_id = await served(serve, "callback_required")
    assert (await api.execute(await api.initiate())).status == 400
    assert (await cases.execute(case_id)).status == 201


async def test_simulator_v1_results_are_202_until_the_case_has_ended(serve, clock):
    _, cases, case_id = await served(
        serve, clock=clock, run_time=10, queue_time=1, waiting_share=1, waiting_time=50
    )
    seen = [await cases.read(case_id, "results")]
    await cases.execute(case_id)
    for seconds in (0, 3, 20, 60):
        clock.forward(seconds)
        seen.append(await cases.read(case_id, "results"))
    assert [reply.status for reply in seen] == [202, 202, 202, 202, 200]
    assert [reply.raw == b"" for reply in seen[:4]] == [True, False, True, False]
    assert "results" not in seen[1].json
    assert seen[4].json["results"]["workflow_output_t3xt_echo"]["value"] == "hello"


async def test_simulator_v1_results_of_failed_case_are_400(serve):
    _, cases, case_id = await served(serve, fail_share=1)
    await cases.execute(case_id)
    reply = await cases.read(case_id, "results")
    assert await cases.status(case_id) == "FAILED"
    assert (reply.status, "the case is FAILED" in reply.message) == (400, True)
    audit = (await cases.read(case_id, "audit")).json
    assert len(audit["failedNodes"]) == 1
    assert set(audit["failedNodes"]) <= set(audit["audit"]["nodesExecutionData"])


async def test_simulator_v1_second_execution_is_counted_in_state(cases):
    case_id = await cases.create()
    assert [(await cases.execute(case_id)).status for _ in range(2)] == [201, 201]
    assert cases.api.simulator.state()["counters"]["executed_twice"] == [case_id]


async def test_simulator_v1_audit_is_404_before_execute_and_then_in_camel_case(serve, clock):
    _, cases, case_id = await served(serve, clock=clock, run_time=10, queue_time=1)
    before = await cases.read(case_id, "audit")
    await cases.execute(case_id)
    queued = (await cases.read(case_id, "audit")).json
    clock.forward(2)
    running = (await cases.read(case_id, "audit")).json
    clock.forward(20)
    ended = (await cases.read(case_id, "audit")).json
    assert (before.status, before.message) == (404, "Audit not found")
    assert queued == {
        "runningNode": "",
        "nextNode": "Input",
        "failedNodes": [],
        "audit": {"nodesExecutionData": {}},
    }
    assert (running["runningNode"], running["nextNode"]) == ("Extract", "Review")
    node = running["audit"]["nodesExecutionData"]["Input"]
    assert set(node) == {"executionStartTime", "executionTime", "executionInput"}
    assert node["executionStartTime"] == pytest.approx((clock.now - 21) * 1000, abs=1.5)
    assert node["executionTime"] == pytest.approx(500, abs=1)
    assert node["executionInput"] == [{"variableName": TEXT_INPUT, "value": "hello"}]
    assert (ended["runningNode"], ended["nextNode"]) == ("", "")
    assert list(ended["audit"]["nodesExecutionData"]) == ["Input", "Extract", "Review", "Output"]


async def test_trait_queued_looks_unstarted_hides_execution_of_queued_v1_case(serve, clock):
    _, cases, case_id = await served(serve, "queued_looks_unstarted", clock=clock, queue_time=5, run_time=5)
    shell = [await cases.read(case_id, read) for read in ("status", "audit")]
    await cases.execute(case_id)
    queued = [await cases.read(case_id, read) for read in ("status", "audit")]
    assert [reply.status for reply in queued] == [reply.status for reply in shell] == [200, 404]
    assert queued[0].raw == shell[0].raw
    clock.forward(6)
    assert (await cases.read(case_id, "audit")).status == 200


async def test_trait_audit_missing_null_and_trail_in_v1(serve):
    for name, status in (("audit_missing", 404), ("audit_null", 200), ("audit_trail", 200)):
        _, cases, case_id = await served(serve, name)
        await cases.execute(case_id)
        reply = await cases.read(case_id, "audit")
        assert reply.status == status
        if name == "audit_null":
            assert reply.json == dict.fromkeys(("runningNode", "nextNode", "failedNodes", "audit"))
        if name == "audit_trail":
            # The older pages describe the jobs API only.
            assert "nodesExecutionData" in reply.json["audit"]


async def test_trait_results_bare_list_nested_and_old_in_v1(serve):
    digest = hashlib.sha256(b"hello").hexdigest()
    found = {}
    for name in ("results_bare_list", "results_nested", "results_old"):
        _, cases, case_id = await served(serve, name)
        await cases.execute(case_id)
        found[name] = (await cases.read(case_id, "results")).json
    key = "workflow_output_t3xt_sha256"
    assert found["results_bare_list"][0] == {key: digest}
    assert found["results_nested"]["results"]["jobResultsPayloadSchema"][key]["value"] == digest
    assert found["results_old"]["results"][key]["value"] == digest


async def test_trait_results_late_answers_202_twice_in_v1(serve):
    _, cases, case_id = await served(serve, "results_late")
    await cases.execute(case_id)
    replies = [await cases.read(case_id, "results") for _ in range(3)]
    assert [reply.status for reply in replies] == [202, 202, 200]


async def test_trait_spaced_status_writes_in_progress_with_a_space_in_v1(serve):
    _, cases, case_id = await served(serve, "spaced_status", run_time=60)
    await cases.execute(case_id)
    assert await cases.status(case_id) == "IN PROGRESS"


async def test_trait_execute_200_applies_to_v0_and_v1(serve):
    api, cases, case_id = await served(serve, "execute_200")
    for reply in (await cases.execute(case_id), await api.execute(await api.initiate())):
        assert (reply.status, reply.json) == (200, {"statusCode": 200, "message": "Job Started"})


@pytest.mark.parametrize("name", ["execute_error_object", "execute_inner_error"])
async def test_trait_execute_error_object_and_inner_error_answer_200_without_starting(serve, name):
    api, cases, case_id = await served(serve, name)
    job_id = await api.initiate()
    refused = [await cases.execute(case_id), await api.execute(job_id)]
    for reply in refused:
        assert reply.status == 200
        if name == "execute_error_object":
            assert (reply.json["success"], reply.json["message"]) == (False, "Execution was not started")
            assert reply.json["error"]["reason"]
        else:
            assert reply.json["statusCode"] == 500
    assert await cases.status(case_id) == await api.status(job_id) == "PENDING"
    assert api.simulator.state()["counters"]["executions"] == 0
    assert (await cases.execute(case_id)).status == (await api.execute(job_id)).status == 201
    assert api.simulator.state()["counters"]["executions"] == 2


async def test_trait_execute_repeat_refused_answers_409_to_second_v1_execute(serve):
    _, cases, case_id = await served(serve, "execute_repeat_refused")
    assert (await cases.execute(case_id)).status == 201
    again = await cases.execute(case_id)
    assert (again.status, again.message) == (409, "Case execution has already been started")


@pytest.mark.parametrize(
    ("spoken", "there", "missing"),
    [
        ("v0", ("POST", "/job/initiate"), ("POST", "/api/v1/case")),
        ("v0", ("GET", f"/workflow/{TEXT_ID}"), ("GET", f"/api/v1/workflow/{TEXT_ID}")),
        ("v1", ("POST", "/api/v1/case"), ("POST", "/job/initiate")),
        ("v1", ("GET", f"/api/v1/workflow/{TEXT_ID}"), ("GET", f"/workflow/{TEXT_ID}")),
        ("v1", ("POST", "/api/v1/file/upload/presigned"), ("POST", "/job/file/upload")),
    ],
)
async def test_simulator_with_one_api_version_answers_404_to_the_other(serve, spoken, there, missing):
    api = await serve(generations=spoken)
    # What is not there is so for everybody; what is there asks for the key first.
    assert (await api.call(*there, headers={})).status == 401
    for headers in ({}, {"x-service-key": api.simulator.service_key}):
        reply = await api.call(*missing, headers=headers)
        assert (reply.status, reply.message) == (404, "Cannot " + " ".join(missing))


def test_simulator_command_chooses_api_versions():
    for spoken in ("both", "v0", "v1"):
        config = SimulatorConfig(generations=spoken)
        assert f"--api={spoken}" in config.to_arguments()
        assert _configure(build_parser().parse_args(config.to_arguments())).generations == spoken
    with pytest.raises(ValueError, match="unknown generations 'v2': choose from both, v0, v1"):
        SimulatorConfig(generations="v2")
