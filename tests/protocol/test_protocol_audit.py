"""Every shape of an audit is one log, and none of them hides why a job failed."""

from __future__ import annotations

import pytest

from opus_async.models import AuditEntry, AuditLog
from opus_async.opus.protocol.audit import progress

START = 1767225600.0

SNAKE = {
    "nb_nodes": 3,
    "remaining_nodes_to_execute": ["Output"],
    "next_node_to_execute": "Output",
    "running_node": "Agent 1",
    "executed_nodes": ["Input"],
    "nb_executed_nodes": 1,
    "failed_nodes": [],
    "nb_failed_nodes": 0,
    "audit": {
        "nodes_execution_data": {
            "Input": {
                "execution_status": "completed",
                "execution_start_time": 1767225600000,
                "execution_time": 112,
                "execution_index": 0,
                "execution_input": [],
                "execution_output": [{"workflow_input_abc123def": "some text"}],
            }
        }
    },
}
CAMEL = {
    "nbNodes": 3,
    "remainingNodesToExecute": [{"label": "Output"}],
    "runningNode": {"id": "n2", "name": "Agent 1"},
    "executedNodes": [{"node_name": "Input"}],
    "failedNodes": None,
    "audit": {
        "nodesExecutionData": {
            "Input": {
                "executionStatus": "COMPLETED",
                "executionStartTime": 1767225600000,
                "executionTime": 112,
            }
        }
    },
}
LISTED = {
    "nb_nodes": 3,
    "remaining_nodes_to_execute": "Output",
    "running_node": ["Agent 1"],
    "executed_nodes": None,
    "audit": {
        "nodes_execution_data": [
            {
                "node_name": "Input",
                "status": "COMPLETED",
                "execution_start_time": "1767225600",
                "execution_time": 0.112,
            },
            None,
            "Agent 1",
            {"execution_status": "COMPLETED"},
        ]
    },
}
TOP = {
    "remaining_nodes_to_execute": ["Output"],
    "running_node": "Agent 1",
    "nodes_execution_data": {
        "Input": {
            "execution_status": "COMPLETED",
            "started_at": "2026-01-01T00:00:00Z",
            "execution_time": 112,
        }
    },
}
ARRAY = {
    "remaining_nodes_to_execute": ["Output"],
    "running_node": "Agent 1",
    "audit": [
        {"name": "Input", "state": "COMPLETED", "started_at": "2026-01-01T00:00:00", "execution_time": "112"}
    ],
}


@pytest.mark.parametrize("body", [SNAKE, CAMEL, LISTED, TOP, ARRAY])
def test_trap_34_every_shape_gives_the_same_log(v0, answer, body):
    audit = v0.read_audit(answer(body))
    (node,) = audit.nodes
    assert (node.name, node.status, node.started_at, node.error) == ("Input", "COMPLETED", START, None)
    assert node.seconds == pytest.approx(0.112)
    assert audit.executed_nodes == ("Input",)
    assert audit.remaining_nodes == ("Output",)
    assert audit.running_node == "Agent 1"
    assert audit.failed_nodes == ()
    assert audit.trail == ()
    assert audit.raw == body
    assert progress(audit) == pytest.approx(1 / 3)


@pytest.mark.parametrize("name", ["auditTrail", "audit_trail", "audit", None])
def test_trap_34_the_old_trail_is_read(v0, answer, name):
    entries = [
        {"timestamp": "2025-10-27T12:32:00Z", "actor": "SYSTEM", "action": "Job initiated"},
        {"timestamp": None, "actor": 7, "action": "Odd"},
        "Only words",
        None,
    ]
    audit = v0.read_audit(answer({"jobExecutionId": "2514", name: entries} if name else entries))
    assert audit.trail == (
        AuditEntry(timestamp="2025-10-27T12:32:00Z", actor="SYSTEM", action="Job initiated"),
        AuditEntry(timestamp="", actor="", action="Odd"),
        AuditEntry(timestamp="", actor="", action="Only words"),
    )
    assert audit.nodes == ()


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        "x",
        7,
        {"audit": None},
        {"audit": "x"},
        {"audit": {"nodes_execution_data": None}, "executed_nodes": None, "running_node": ""},
        {"audit": {"nodes_execution_data": "x"}, "executed_nodes": [None, "", {}, []], "running_node": None},
        {"auditTrail": None},
    ],
)
def test_trap_34_an_audit_of_nothing_is_empty(v0, answer, body):
    audit = v0.read_audit(answer(body))
    assert audit == AuditLog(raw=body)
    assert audit.raw == body
    assert progress(audit) is None


def test_trap_34_a_finished_run_that_lists_every_node_as_remaining_is_complete(v0, answer):
    nodes = ["Input", "Agent 1", "Output"]
    body = {"nb_nodes": 3, "executed_nodes": nodes, "remaining_nodes_to_execute": nodes}
    audit = v0.read_audit(answer(body))
    assert audit.remaining_nodes == tuple(nodes)
    assert progress(audit) == 1.0


def nodes(**entries):
    return {"audit": {"nodes_execution_data": entries}}


@pytest.mark.parametrize("status", ["FAILED", "failed", " Failed ", "ERROR"])
def test_a_failed_node_is_found_by_its_own_status(v0, answer, status):
    body = {
        **nodes(Input={"execution_status": "COMPLETED"}, OCR={"execution_status": status}),
        "failed_nodes": [],
    }
    audit = v0.read_audit(answer(body))
    assert audit.failed_nodes == ("OCR",)
    assert audit.executed_nodes == ("Input", "OCR")


def test_a_failed_node_is_named_once(v0, answer):
    body = {**nodes(OCR={"execution_status": "FAILED"}), "failed_nodes": ["Rule", {"name": "OCR"}, "OCR"]}
    assert v0.read_audit(answer(body)).failed_nodes == ("Rule", "OCR")


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        ({"error": "file unreadable"}, "file unreadable"),
        ({"error": {"message": "file unreadable"}}, "file unreadable"),
        ({"errorMessage": "see https://h/f.pdf?X-Amz-Signature=00aa"}, "see https://h/f.pdf?..."),
        ({"error": {"kind": 7}}, '{"kind": 7}'),
        ({"error": ["a"]}, '["a"]'),
        ({"error": True}, None),
        ({"error": ""}, None),
        ({"error": "\x00"}, None),
        ({"message": "it broke"}, "it broke"),
        ({}, None),
    ],
)
def test_the_words_on_a_failure_are_kept_short_and_clean(v0, answer, entry, error):
    (node,) = v0.read_audit(answer(nodes(OCR={"execution_status": "FAILED", **entry}))).nodes
    assert node.error == error


def test_the_message_of_a_node_that_went_well_is_no_error(v0, answer):
    (node,) = v0.read_audit(answer(nodes(A={"execution_status": "COMPLETED", "message": "fine"}))).nodes
    assert node.error is None


def test_a_sleeping_node_keeps_its_word(v0, answer):
    (node,) = v0.read_audit(answer(nodes(Review={"executionStatus": "sleeping"}))).nodes
    assert node.status == "SLEEPING"


def test_nodes_stand_in_the_order_of_their_start(v0, answer):
    audit = v0.read_audit(
        answer(
            nodes(
                late={"execution_start_time": 1767225602000},
                never={},
                second={"execution_index": 2},
                first={"execution_index": 1},
                early={"execution_start_time": 1767225600000},
                nothing=None,
            )
        )
    )
    assert [node.name for node in audit.nodes] == ["early", "late", "first", "second", "never", "nothing"]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ((1767225600000, 1500), (START, 1.5)),
        ((1767225600, 1.5), (START, 1.5)),
        ((1767225600.25, 1500), (START + 0.25, 1500.0)),
        ((None, 1500), (None, 1.5)),
        (("2026-01-01T01:00:00+01:00", 1500), (START, 1.5)),
        (("yesterday", "x"), (None, None)),
        ((True, True), (None, None)),
        ((-1, -1), (None, None)),
        (([], {}), (None, None)),
        ((10**400, 10**400), (None, None)),
        (("nan", "inf"), (None, None)),
        (("0001-01-01T00:00:00+23:59", None), (None, None)),
    ],
)
def test_times_are_seconds_whatever_was_sent(v0, answer, sent, expected):
    start, took = sent
    body = nodes(A={"execution_start_time": start, "execution_time": took})
    (node,) = v0.read_audit(answer(body)).nodes
    assert (node.started_at, node.seconds) == expected


def test_a_node_keeps_what_was_sent(v0, answer):
    entry = {"execution_output": [{"variable_name": "v", "value": 1}], "new_field": "x"}
    (node,) = v0.read_audit(answer(nodes(A=entry))).nodes
    assert node.raw == entry


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"nb_nodes": 4, "executed_nodes": ["a"], "running_node": "b"}, 0.25),
        ({"executed_nodes": ["a"], "running_node": "b"}, 0.5),
        ({"nb_nodes": 1, "executed_nodes": ["a", "b"]}, 1.0),
        ({"nb_nodes": 2, "executed_nodes": []}, 0.0),
        ({"nb_nodes": "x"}, None),
    ],
)
def test_progress_counts_the_nodes_executed(v0, answer, body, expected):
    assert progress(v0.read_audit(answer(body))) == expected
