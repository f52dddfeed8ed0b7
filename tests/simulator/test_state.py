"""What a test may see behind the API, and the workflows of a file."""

from __future__ import annotations

import hashlib
import json
from typing import get_args

import pytest

from opus_async.simulator import PROFILES, TRAITS, SimulatorConfig, WorkflowFileError
from opus_async.simulator.builtin import CLAIM_ID
from opus_async.simulator.results import FACTS
from opus_async.simulator.workflow_file import Fact, ValueType, load_workflows
from opus_async.simulator.workflows import SPELLINGS, VALUE_TYPES, is_uuid

TEXT_ID = "T3xtOnlyWorkfl0w"


async def test_simulator_state_shows_inputs_files_and_counts_of_a_job(api):
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


async def test_simulator_state_can_be_summary_or_compact(api):
    job_id = await api.initiate()
    summary = (await api.get("/_simulator/state?jobs=0", headers={})).json
    compact = (await api.get("/_simulator/state?jobs=compact", headers={})).json
    assert "jobs" not in summary
    assert summary["counters"]["jobs"] == 1
    assert compact["jobs"] == [[job_id, 0, "PENDING"]]
    assert (await api.get("/_simulator/state?job=1", headers={})).status == 404


async def test_simulator_state_counts_requests_answers_and_uploads(api):
    await api.upload(b"abc")
    await api.get("/job/1/status")
    counters = api.simulator.state()["counters"]
    assert counters["requests"] == {"presign": 1, "put": 1, "status": 1}
    assert counters["answers"] == {"200": 1, "201": 1, "404": 1}
    assert (counters["uploads"], counters["stored_files"], counters["stored_bytes"]) == (1, 1, 3)


async def test_simulator_state_holds_no_key_and_no_signature(api):
    slot = await api.presign()
    await api.put(slot["presignedUrl"], b"x")
    state = json.dumps(api.simulator.state())
    assert api.simulator.service_key not in state
    assert "X-Amz-Signature" not in state


def test_simulator_traits_and_fault_profiles_have_descriptions():
    assert all(TRAITS.values())
    assert all(profile.summary for profile in PROFILES.values())
    assert set(PROFILES) == {"none", "flaky", "storm", "hostile"}


def test_simulator_config_makes_service_key_from_seed():
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
def test_simulator_config_refuses_invalid_values_with_a_reason(fields, message):
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


FILE = object()
"""Stands for the URL of a file that is uploaded first."""


def written(tmp_path, document):
    path = tmp_path / "workflow.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


async def test_simulator_workflow_file_with_simple_definition_is_served(serve, tmp_path):
    api = await serve(workflow_files=(written(tmp_path, {"workflows": [SIMPLE]}),))
    details = (await api.get("/workflow/My0wnWorkflow001")).json
    (contract, limit) = details["jobPayloadSchema"].values()
    assert contract["tags"][0]["value"] == ["PDF", "TXT"]
    assert (limit["variable_name"], limit["is_nullable"]) == ("workflow_input_limit0001", True)
    name = contract["variable_name"]
    outputs = await api.run("My0wnWorkflow001", {name: {"value": await api.upload(b"x"), "type": "file"}})
    assert set(outputs) == {"Digest", "All"}
    assert len(outputs["All"]) == 64


async def test_simulator_workflow_file_outputs_can_be_facts_of_a_text_input(serve, tmp_path):
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


async def test_simulator_workflow_file_can_be_a_workflow_details_response(serve, api, tmp_path):
    details = (await api.get("/workflow/M0dernTypesWrkfl")).json
    details["workflowId"] = "Copy0fAWorkflow1"
    del details["jobResultsPayloadSchema"]
    copy = await serve(workflow_files=(written(tmp_path, details),))
    served = (await copy.get("/workflow/Copy0fAWorkflow1")).json
    assert served["jobPayloadSchema"] == details["jobPayloadSchema"]


async def test_simulator_definition_reads_output_of_workflow_show(serve, tmp_path):
    shown = {
        "workflow_id": "00000000-0000-4000-8000-00000000000a",
        "name": "Shown",
        "version": 7,
        "workspace_id": "told, and not read",
        "inputs": [
            {"variable_name": "f", "display_name": "Scan", "type": "file", "allowed_file_types": ["PDF"]},
            {"variable_name": "n", "type": "int", "schema_type": "integer", "required": False},
            {"variable_name": "p", "display_name": "Pages", "type": "array", "item_type": "file"},
            {"variable_name": "t", "display_name": "Tags", "type": "array", "item_type": "str"},
        ],
        "outputs": {"workflow_output_v": "Verdict"},
    }
    api = await serve(workflow_files=(written(tmp_path, shown),))
    details = (await api.get(f"/workflow/{shown['workflow_id']}")).json
    scan, number, pages, tags = details["jobPayloadSchema"].values()
    assert (details["name"], details["version"]) == ("Shown", 7)
    assert (scan["tags"][0]["value"], scan["is_nullable"]) == (["PDF"], False)
    assert (number["display_name"], number["type"], number["is_nullable"]) == ("n", "integer", True)
    assert pages["type_definition"]["allowed_types"] == [{"type": "file"}]
    assert tags["type_definition"]["allowed_types"] == [{"type": "str"}]
    assert {name: each["display_name"] for name, each in details["jobResultsPayloadSchema"].items()} == {
        "workflow_output_v": "Verdict"
    }


async def test_simulator_definition_reads_item_types_of_vendor_schema(serve, tmp_path):
    definition = {"id": "str", "variable_name": "str", "allowed_types": [{"type": "str"}]}
    schema = {
        "tags": {"type": "array", "type_definition": definition},
        "pages": {"type": "array", "type_definition": {"id": "file"}},
        "plain": {"type": "array"},
    }
    api = await serve(workflow_files=(written(tmp_path, {"workflowId": "w", "jobPayloadSchema": schema}),))
    served = (await api.get("/workflow/w")).json["jobPayloadSchema"]
    assert served["tags"]["type_definition"] == definition
    assert served["pages"]["type_definition"]["allowed_types"] == [{"type": "file"}]
    assert "type_definition" not in served["plain"]


@pytest.mark.parametrize(
    ("words", "good", "bad"),
    [
        (("string", "str"), "x", 1),
        (("text", "str"), "x", 1),
        (("integer", "int"), 5, "5"),
        (("number", "float"), 0.5, "0.5"),
        (("boolean", "bool"), True, "true"),
        (("node", "object"), {"a": 1}, "a"),
        (("binary", "file"), FILE, "https://files.opus.com/x.pdf"),
    ],
)
async def test_other_spellings_of_a_type_are_checked_as_that_type(serve, tmp_path, words, good, bad):
    definition = {"workflowId": "w", "jobPayloadSchema": {"x": {"type": words[0]}}}
    api = await serve(workflow_files=(written(tmp_path, definition),))
    good = await api.upload(b"x") if good is FILE else good
    for word in words:
        await api.run("w", {"x": {"value": good, "type": word}})
        assert (await api.execute(await api.initiate("w"), {"x": {"value": bad, "type": word}})).status == 400
    other = await api.execute(await api.initiate("w"), {"x": {"value": good, "type": "date"}})
    assert other.message == [f"x: type must be {words[0]}, not date"]


async def test_simulator_definition_of_unknown_type_takes_any_value(serve, tmp_path):
    definition = {"workflowId": "w", "jobPayloadSchema": {"x": {"type": "hologram"}}}
    api = await serve(workflow_files=(written(tmp_path, definition),))
    for value in (None, "x", [1], {"a": 1}):
        await api.run("w", {"x": {"value": value, "type": "hologram"}})


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "is not JSON"),
        ({"id": "x"}, "inputs: Field required"),
        ({"id": "x", "inputs": [{"name": "a", "type": "txt"}]}, r"inputs\.0\.type"),
        ({"id": "x", "inputs": [], "colour": 1}, "colour: Extra inputs"),
        ({"id": "x", "inputs": [], "outputs": [{"name": "o", "input": "a"}]}, "names no input"),
        ({"jobPayloadSchema": {}}, "workflowId: Field required"),
        ({"workflow_id": "w"}, "inputs: Field required"),
        ({"workflow_id": "w", "inputs": [{"variable_name": "x"}]}, r"inputs\.0\.type"),
        ([7], "the definition"),
    ],
)
def test_simulator_workflow_file_that_is_invalid_is_refused_with_a_reason(tmp_path, document, message):
    with pytest.raises(WorkflowFileError, match=message):
        load_workflows(written(tmp_path, document))


def test_simulator_workflow_file_schema_allows_every_type_and_fact():
    assert get_args(ValueType) == (*VALUE_TYPES, *SPELLINGS)
    assert get_args(Fact) == FACTS


def test_simulator_workflow_file_that_is_missing_raises_workflow_file_error(tmp_path):
    with pytest.raises(WorkflowFileError, match="No such file"):
        load_workflows(tmp_path / "nothing.json")


async def test_simulator_serves_built_in_workflows_under_fixed_ids(api):
    listed = api.simulator.state()["simulator"]["workflows"]
    assert listed[0] == "B9uGJfZ3CFwOdMKH"
    assert {"D0cumentWorkfl0w", TEXT_ID, "P0stmanC0llecti0", "M0dernTypesWrkfl"} < set(listed)
    assert {len(workflow_id) for workflow_id in listed} == {16, 36}
    assert [workflow_id for workflow_id in listed if is_uuid(workflow_id)] == [CLAIM_ID]
    details = (await api.get("/workflow/P0stmanC0llecti0")).json["jobPayloadSchema"]
    assert {name: entry["type"] for name, entry in details.items()} == {
        "workflow_input_vt5u58mst": "array_files"
    }
