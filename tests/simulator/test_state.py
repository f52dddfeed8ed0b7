"""What a test may see behind the API, and the workflows of a file."""

from __future__ import annotations

import hashlib
import json
from typing import get_args

import pytest

from opus_async.simulator import PROFILES, TRAITS, SimulatorConfig, WorkflowFileError
from opus_async.simulator.results import FACTS
from opus_async.simulator.workflow_file import Fact, ValueType, load_workflows
from opus_async.simulator.workflows import VALUE_TYPES

TEXT_ID = "T3xtOnlyWorkfl0w"


async def test_the_state_tells_what_a_job_received(api):
    url = await api.upload(b"one\n")
    job_id = await api.initiate("D0cumentWorkfl0w", title="Invoice 17")
    entry = {"value": url, "type": "file", "displayName": "Document"}
    await api.execute(job_id, {"workflow_input_d0cument1": entry}, callbackUrl="https://example.com/c")
    await api.results(job_id)
    job = (await api.get(f"/_simulator/state?job={job_id}", headers={})).json
    assert job["title"] == "Invoice 17"
    assert job["inputs"] == {"workflow_input_d0cument1": url}
    assert job["files"][url]["size"] == 4
    assert (job["executions"], job["execute_requests"], job["result_reads"]) == (1, 1, 1)
    assert job["callback_url"] == "https://example.com"
    assert job["inputs_without_display_name"] == 0


async def test_the_state_can_be_short(api):
    job_id = await api.initiate()
    summary = (await api.get("/_simulator/state?jobs=0", headers={})).json
    compact = (await api.get("/_simulator/state?jobs=compact", headers={})).json
    assert "jobs" not in summary
    assert summary["counters"]["jobs"] == 1
    assert compact["jobs"] == [[job_id, 0, "PENDING"]]
    assert (await api.get("/_simulator/state?job=1", headers={})).status == 404


async def test_counters_count(api):
    await api.upload(b"abc")
    await api.get("/job/1/status")
    counters = api.simulator.state()["counters"]
    assert counters["requests"] == {"presign": 1, "put": 1, "status": 1}
    assert counters["answers"] == {"200": 1, "201": 1, "404": 1}
    assert (counters["uploads"], counters["stored_files"], counters["stored_bytes"]) == (1, 1, 3)


async def test_the_state_holds_no_secret(api):
    slot = await api.presign()
    await api.put(slot["presignedUrl"], b"x")
    state = json.dumps(api.simulator.state())
    assert api.simulator.service_key not in state
    assert "X-Amz-Signature" not in state


def test_traits_and_profiles_describe_themselves():
    assert all(TRAITS.values())
    assert all(profile.summary for profile in PROFILES.values())
    assert set(PROFILES) == {"none", "flaky", "storm", "hostile"}


def test_a_key_in_the_vendor_s_form_is_made_from_the_seed():
    assert SimulatorConfig(seed=1).service_key == SimulatorConfig(seed=1).service_key
    assert SimulatorConfig(seed=1).service_key != SimulatorConfig(seed=2).service_key
    assert len(SimulatorConfig().service_key) == 97
    assert SimulatorConfig(key="mine").service_key == "mine"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"host": "0.0.0.0"}, "not a loopback address"),
        ({"host": "example.com"}, "not a loopback address"),
        ({"faults": "chaos"}, "unknown fault profile 'chaos': choose from none, flaky"),
        ({"callbacks": "loud"}, "unknown callback profile 'loud': choose from prompt, late"),
        ({"traits": frozenset({"odd"})}, "unknown trait 'odd'"),
        ({"sign_content_type": "sometimes"}, "unknown sign_content_type"),
        ({"run_time": "soon"}, "not a duration"),
        ({"fail_share": 1.5}, "fail_share must lie between 0 and 1"),
        ({"waiting_share": -0.1}, "waiting_share must lie between"),
        ({"port": 70000}, "port must lie between"),
        ({"rate_limit": 0}, "rate_limit must be more than 0"),
        ({"url_expiry": 0}, "url_expiry must lie between"),
        ({"max_file_size": 0}, "max_file_size must be at least 1"),
    ],
)
def test_a_bad_configuration_says_what_is_wrong(fields, message):
    with pytest.raises(ValueError, match=message):
        SimulatorConfig(**fields)


SIMPLE = {
    "id": "My0wnWorkflow001",
    "name": "Contract check",
    "inputs": [
        {"name": "Contract", "type": "file", "file_types": ["pdf", ".TXT"]},
        {"name": "Limit", "type": "float", "nullable": True, "variable": "workflow_input_limit0001"},
    ],
    "outputs": [
        {"name": "Digest", "fact": "sha256", "input": "Contract"},
        {"name": "All", "fact": "digest"},
        {"name": "Limit", "input": "Limit"},
    ],
    "nodes": ["Input", "OCR", "Output"],
}


def written(tmp_path, document):
    path = tmp_path / "workflow.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


async def test_a_simple_definition_is_served(serve, tmp_path):
    api = await serve(workflow_files=(written(tmp_path, {"workflows": [SIMPLE]}),))
    details = (await api.get("/workflow/My0wnWorkflow001")).json
    (contract, limit) = details["jobPayloadSchema"].values()
    assert contract["tags"][0]["value"] == ["PDF", "TXT"]
    assert (limit["variable_name"], limit["is_nullable"]) == ("workflow_input_limit0001", True)
    name = contract["variable_name"]
    outputs = await api.run("My0wnWorkflow001", {name: {"value": await api.upload(b"x"), "type": "file"}})
    assert set(outputs) == {"Digest", "All"}
    assert len(outputs["All"]) == 64


async def test_facts_of_a_text(serve, tmp_path):
    facts = ("echo", "sha256", "size", "lines", "characters", "pages")
    definition = {
        "id": "T3xtFacts0000001",
        "inputs": [{"name": "Text", "type": "str", "variable": "text"}],
        "outputs": [{"name": fact, "fact": fact, "input": "Text"} for fact in facts],
    }
    api = await serve(workflow_files=(written(tmp_path, [definition]),))
    outputs = await api.run("T3xtFacts0000001", {"text": {"value": "ü\nb", "type": "str"}})
    digest = hashlib.sha256("ü\nb".encode()).hexdigest()
    assert outputs == {"echo": "ü\nb", "sha256": digest, "size": 4, "lines": 2, "characters": 3}


async def test_the_vendor_s_own_answer_is_a_definition(serve, api, tmp_path):
    details = (await api.get("/workflow/M0dernTypesWrkfl")).json
    details["workflowId"] = "Copy0fAWorkflow1"
    del details["jobResultsPayloadSchema"]
    copy = await serve(workflow_files=(written(tmp_path, details),))
    served = (await copy.get("/workflow/Copy0fAWorkflow1")).json
    assert served["jobPayloadSchema"] == details["jobPayloadSchema"]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "is not JSON"),
        ({"id": "x"}, "inputs: Field required"),
        ({"id": "x", "inputs": [{"name": "a", "type": "text"}]}, r"inputs\.0\.type"),
        ({"id": "x", "inputs": [], "colour": 1}, "colour: Extra inputs"),
        ({"id": "x", "inputs": [], "outputs": [{"name": "o", "input": "a"}]}, "names no input"),
        ({"jobPayloadSchema": {}}, "workflowId: Field required"),
        ([7], "the definition"),
    ],
)
def test_a_bad_file_is_named_with_its_reason(tmp_path, document, message):
    with pytest.raises(WorkflowFileError, match=message):
        load_workflows(written(tmp_path, document))


def test_a_file_may_name_every_type_and_every_fact():
    assert get_args(ValueType) == VALUE_TYPES
    assert get_args(Fact) == FACTS


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(WorkflowFileError, match="No such file"):
        load_workflows(tmp_path / "nothing.json")


async def test_ids_of_the_built_in_workflows(api):
    listed = api.simulator.state()["simulator"]["workflows"]
    assert listed[0] == "B9uGJfZ3CFwOdMKH"
    assert {"D0cumentWorkfl0w", TEXT_ID, "P0stmanC0llecti0", "M0dernTypesWrkfl"} < set(listed)
    assert all(len(workflow_id) == 16 for workflow_id in listed)
    details = (await api.get("/workflow/P0stmanC0llecti0")).json["jobPayloadSchema"]
    assert {name: entry["type"] for name, entry in details.items()} == {
        "workflow_input_vt5u58mst": "array_files"
    }
