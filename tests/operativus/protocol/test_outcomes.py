"""Outputs and audit of a run, from whatever the server tells of its steps."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from operativus_corpus import (
    FAILED_NODE_RUN,
    FAILED_SESSION_RUN,
    NODE_RUN,
    SESSION_RUN,
    SOURCE_RUN,
    STEPS,
)

from opus_async.models import AuditLog, JobStatus
from opus_async.operativus.models import Run, Step
from opus_async.operativus.protocol.outcomes import audit_of, outputs_of
from opus_async.operativus.protocol.readers import read_runs
from opus_async.operativus.protocol.statuses import status_of
from opus_async.operativus.protocol.step_readers import read_node_runs, read_session_runs
from opus_async.outcome import JobOutcome, failure_of

BEGUN = datetime(2026, 5, 6, 9, 0, 0, tzinfo=UTC)


def run(word="COMPLETED", **fields):
    return Run("run_1", "w", "s", status_of(word), **{"created_at": BEGUN, "raw": {"id": "run_1"}, **fields})


@pytest.fixture
def calls(answer):
    """Calls of agents: each a change of the good one of the corpus."""
    return lambda *changes: read_session_runs(answer([{**SESSION_RUN, **change} for change in changes]))


@pytest.fixture
def nodes(answer):
    return lambda *changes: read_node_runs(answer([{**NODE_RUN, **change} for change in changes]))


def at(second):
    return (BEGUN + timedelta(seconds=second)).isoformat()


# -- outputs -----------------------------------------------------------------------------------------------


def test_outputs_are_the_texts_of_the_sessions_runs_in_the_order_of_their_start(calls):
    found = calls(
        {"id": "b", "output": "second", "createdAt": at(5)},
        {"id": "a", "output": "first", "createdAt": at(1)},
    )
    assert outputs_of(run(), session_runs=found) == {"output": "second", "steps": ["first", "second"]}


def test_outputs_are_those_of_steps_and_not_of_what_agents_asked_of_others(calls):
    found = calls(
        {"id": "a", "output": "step"},
        {"id": "b", "output": "asked", "parentRunId": "a", "createdAt": at(9)},
        {"id": "c", "output": "last", "parentRunId": "run_1", "createdAt": at(9)},  # not one of these calls
    )
    assert outputs_of(run(), session_runs=found)["steps"] == ["step", "last"]


def test_outputs_are_those_since_the_run_was_created(calls):
    found = calls(
        {"id": "a", "output": "of an earlier run", "createdAt": at(-60)},
        {"id": "b", "output": "own", "createdAt": at(0)},
        {"id": "c", "output": "of unknown time", "createdAt": None},
    )
    assert outputs_of(run(), session_runs=found)["steps"] == ["own", "of unknown time"]
    assert len(outputs_of(run(created_at=None), session_runs=found)["steps"]) == 3


def test_outputs_leave_out_calls_that_failed_or_gave_nothing(calls):
    found = calls(
        {"id": "a", "output": "half", "status": "FAILED"},
        {"id": "b", "output": None},
        {"id": "c", "output": "", "status": "BRAND_NEW"},
    )
    assert outputs_of(run(), session_runs=found) == {"output": "", "steps": [""]}


def test_outputs_of_a_last_step_that_a_person_answered_are_not_those_of_the_step_before(calls, nodes):
    answered = {"id": "b", "output": None, "status": "PAUSED", "createdAt": at(9)}
    found = calls({"id": "a", "output": "draft"}, answered)
    assert outputs_of(run(), session_runs=found) == {"steps": ["draft"]}
    found = nodes({"nodeId": "1", "content": "draft"}, {"nodeId": "2", "content": None, "endedAt": at(9)})
    assert outputs_of(run(), node_runs=found) == {"steps": ["draft"]}


def test_outputs_are_those_of_nodes_where_the_session_tells_none(nodes, calls):
    found = nodes({"content": "b", "nodeId": "2", "startedAt": at(5)}, {"content": "a", "nodeId": "1"})
    expected = {"output": "b", "steps": ["a", "b"]}
    late = {"endedAt": at(9)}
    found = nodes(
        {"content": "b", "nodeId": "2", "startedAt": at(5), **late}, {"content": "a", "nodeId": "1"}
    )
    assert outputs_of(run(), node_runs=found) == expected
    assert outputs_of(run(), session_runs=calls({"output": None}), node_runs=found) == expected
    assert outputs_of(run(), session_runs=calls({"output": "x"}), node_runs=found)["output"] == "x"


def test_outputs_of_branches_end_with_the_node_that_ended_last(nodes):
    found = nodes(
        {"content": "long", "nodeId": "1", "startedAt": at(1), "endedAt": at(60)},
        {"content": "short", "nodeId": "2", "startedAt": at(2), "endedAt": at(3)},
    )
    assert outputs_of(run(), node_runs=found) == {"output": "long", "steps": ["long", "short"]}


def test_outputs_of_a_node_that_was_tried_again_are_the_last_ones(nodes):
    found = nodes(
        {"id": "1", "content": "first try", "startedAt": at(1), "success": False},
        {"id": "2", "content": "second try", "startedAt": at(2)},
        {"id": "3", "content": "third try", "startedAt": at(3)},
        {"id": "4", "content": "without a node", "nodeId": None, "startedAt": at(4), "endedAt": None},
    )
    assert outputs_of(run(), node_runs=found) == {
        "output": "third try",
        "steps": ["third try", "without a node"],
    }


def test_outputs_leave_out_nodes_of_nested_workflows(answer, nodes):
    child = read_node_runs(answer([{"parentNodeId": "n", "nodeRuns": [{**NODE_RUN, "content": "inner"}]}]))
    assert outputs_of(run(), node_runs=(*nodes({}), *child))["steps"] == ["NVDA 101.5"]


def test_outputs_are_empty_where_nothing_is_told(calls):
    assert outputs_of(run()) == {}
    assert outputs_of(run(), session_runs=calls({"output": None})) == {}


# -- audits ------------------------------------------------------------------------------------------------


def test_audit_tells_the_calls_of_agents_with_states_times_and_errors(calls):
    found = calls({"createdAt": at(1)}, {**FAILED_SESSION_RUN, "createdAt": at(4)})
    audit = audit_of([run("FAILED", step_order=2)], session_runs=found)
    good, bad = audit.nodes
    assert (good.name, good.status, good.seconds, good.error) == ("finance_agent", "COMPLETED", 2.5, None)
    assert good.started_at == BEGUN.timestamp() + 1
    assert [(each.variable_name, each.value) for each in (*good.inputs, *good.outputs)] == [
        ("input", "Prices of NVDA"),
        ("output", "NVDA 101.5"),
    ]
    assert (bad.name, bad.status, bad.error) == ("procurator_assistant", "FAILED", "The model answers 429")
    assert audit.failed_nodes == ("procurator_assistant",)
    assert audit.executed_nodes == ("finance_agent", "procurator_assistant")
    assert (audit.executed_count, audit.running_node, audit.total_nodes) == (2, None, None)
    assert audit.elapsed == 4.0


def test_audit_names_calls_by_the_steps_of_the_workflow(calls):
    steps = [
        Step("finance_agent", "Fetch.", 1),
        Step("checker", "CONDITION", 2),
        Step("finance_agent", "Fetch more.", 3),
        Step("writer", "Write."),
    ]
    found = calls(
        {"createdAt": at(1)},
        {"createdAt": at(2)},
        {"createdAt": at(3), "agentId": "writer", "status": "RUNNING", "durationMs": None},
        {"createdAt": at(4), "agentId": "writer", "status": None},
        {"createdAt": at(5), "agentId": None, "status": None},
    )
    audit = audit_of([run("RUNNING")], session_runs=found, steps=steps)
    assert [node.name for node in audit.nodes] == [
        "step 1 (finance_agent)",
        "step 3 (finance_agent)",
        "step 4 (writer)",
        "writer",
        "an agent",
    ]
    assert audit.running_node == "step 4 (writer)"
    assert (audit.total_nodes, audit.executed_count, audit.progress) == (4, 2, 0.5)


def test_audit_tells_calls_of_one_agent_apart(calls):
    audit = audit_of([run()], session_runs=calls({"createdAt": at(1)}, {"createdAt": at(2)}))
    assert [node.name for node in audit.nodes] == ["finance_agent", "finance_agent (2)"]


def test_audit_tells_the_runs_of_nodes(nodes):
    found = nodes(
        {"nodeName": None, "nodeId": "join", "startedAt": at(9), "endedAt": None},
        {"nodeName": "Wait", "paused": True, "success": False, "startedAt": at(8)},
        FAILED_NODE_RUN,
        {},
    )
    audit = audit_of([run("FAILED")], node_runs=found)
    assert [(node.name, node.status, node.seconds) for node in audit.nodes] == [
        ("Fetch prices", "COMPLETED", 2.5),
        ("Summarise", "FAILED", 1.0),
        ("Wait", "PAUSED", 0.0),
        ("join", "RUNNING", None),
    ]
    assert audit.failed_nodes == ("Summarise",)
    assert audit.failures[0].error == "The model gave up"
    assert audit.executed_nodes == ("Fetch prices", "Summarise")
    assert audit.running_node == "join"


def test_audit_of_a_node_that_went_well_at_last_names_no_failure(nodes):
    found = nodes({"success": False, "startedAt": at(1)}, {"startedAt": at(2)})
    audit = audit_of([run()], node_runs=found)
    assert [node.status for node in audit.nodes] == ["FAILED", "COMPLETED"]
    assert audit.failed_nodes == ()


@pytest.mark.parametrize(
    ("word", "order", "steps", "failed"),
    [
        ("FAILED", 2, [], ("step 2",)),
        ("FAILED", 2, [Step("a", "x", 1), Step("b", "y", 2)], ("step 2 (b)",)),
        ("FAILED", 2, [Step("", "JOIN", 2)], ("step 2",)),
        ("FAILED", None, [], ()),
        ("CANCELLED", 2, [], ()),
        ("COMPLETED", 2, [], ()),
    ],
)
def test_audit_of_a_failed_run_names_its_step_though_nothing_else_is_told(word, order, steps, failed):
    audit = audit_of([run(word, step_order=order)], steps=steps)
    assert audit.failed_nodes == failed
    assert audit.executed_count is None
    if failed:
        assert f"failed nodes: {failed[0]}" in str(failure_of(JobStatus.FAILED, audit, "s", "watch"))


def test_audit_tells_of_every_run_of_a_session(answer):
    rows = [{**SOURCE_RUN, "id": "run_2", "status": "RUNNING"}, {**SOURCE_RUN, "status": "FAILED"}]
    runs = read_runs(answer({"content": rows})).items
    audit = audit_of(runs)
    assert [(entry.actor, entry.action) for entry in audit.trail] == [
        ("run run_7f3a9c12", "FAILED, step 2"),
        ("run run_2", "RUNNING, step 2"),
    ]
    assert audit.trail[0].timestamp == "2026-05-06T09:00:00.500000+00:00"
    assert audit.raw["runs"] == rows


def test_audit_of_a_run_without_time_and_step_is_short():
    found = Run("r", "w", None, JobStatus("UNKNOWN", ""))
    (entry,) = audit_of([found]).trail
    assert (entry.timestamp, entry.action) == ("", "UNKNOWN")


def test_audit_of_nothing_is_empty():
    assert audit_of([]) == AuditLog()
    assert audit_of([]).raw == {"runs": [], "sessionRuns": [], "nodeRuns": []}


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"durationMs": 1500}, 1.5),
        ({"durationMs": None, "createdAt": at(1), "updatedAt": at(3)}, 2.0),
        ({"durationMs": None, "createdAt": at(3), "updatedAt": at(1)}, 0.0),
        ({"durationMs": None, "createdAt": at(1), "updatedAt": at(3), "status": "RUNNING"}, None),
        ({"durationMs": None, "createdAt": at(1), "updatedAt": None}, None),
        ({"durationMs": "-5", "createdAt": None}, None),
    ],
)
def test_audit_measures_a_call_by_what_is_told(calls, fields, seconds):
    (node,) = audit_of([run()], session_runs=calls(fields)).nodes
    assert node.seconds == seconds


def test_audit_of_a_time_before_1970_has_none(calls):
    (node,) = audit_of([run(created_at=None)], session_runs=calls({"createdAt": "1900-01-01T00:00:00"})).nodes
    assert node.started_at is None


def test_audit_holds_no_secret_and_outputs_are_as_they_are(answer):
    secret = "synthetic-token"

    def mask(text):
        return text.replace(secret, "<token>")

    row = {**SESSION_RUN, "input": secret, "output": secret, "errorMessage": secret, "model": {"x": [secret]}}
    row |= {"status": f"{secret} X", "createdAt": at(1)}
    found = read_session_runs(answer([row], mask=mask))
    audit = audit_of([run()], session_runs=found)
    outcome = JobOutcome(job_id="s", status=JobStatus.FAILED, audit=audit)
    assert secret not in json.dumps(outcome.to_dict())
    assert secret not in repr(audit) + json.dumps(audit.raw) + json.dumps(audit.nodes[0].raw)
    assert audit.nodes[0].status == "<TOKEN> X"
    assert outputs_of(run(), session_runs=found)["output"] == secret
    node = {**NODE_RUN, "content": secret, "error": secret, "nodeName": secret}
    audit = audit_of([run()], node_runs=read_node_runs(answer([node], mask=mask)))
    assert secret not in repr(audit) + json.dumps(audit.raw)


def test_vendor_steps_name_the_step_that_failed(calls):
    steps = [Step(step["agentId"], step["action"], step["stepOrder"]) for step in STEPS]
    found = calls({"createdAt": at(1)}, {**FAILED_SESSION_RUN, "createdAt": at(4)})
    audit = audit_of([run("FAILED", step_order=2)], session_runs=found, steps=steps)
    assert audit.failed_nodes == ("step 2 (procurator_assistant)",)
