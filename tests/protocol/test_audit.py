"""Every shape of an audit is one log, and none of them hides why a job failed."""

from __future__ import annotations

import pytest

from opus_async.models import AuditEntry, AuditLog, AuditNode, OutputValue

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
def test_trap_34_audit_of_every_shape_gives_the_same_log(v0, answer, body):
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
    assert audit.progress == pytest.approx(1 / 3)
    assert (audit.started_at, audit.ended_at) == (START, node.ended_at)
    assert audit.elapsed == pytest.approx(0.112)
    assert audit.failures == ()


@pytest.mark.parametrize("name", ["auditTrail", "audit_trail", "audit", None])
def test_trap_34_audit_in_the_older_trail_format_is_read(v0, answer, name):
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
def test_trap_34_audit_without_entries_is_an_empty_log(v0, answer, body):
    audit = v0.read_audit(answer(body))
    assert audit == AuditLog(raw=body)
    assert audit.raw == body
    assert (audit.progress, audit.total_nodes, audit.elapsed) == (None, None, None)


def test_trap_34_audit_of_finished_run_is_complete_though_every_node_is_listed_as_remaining(v0, answer):
    nodes = ["Input", "Agent 1", "Output"]
    body = {"nb_nodes": 3, "executed_nodes": nodes, "remaining_nodes_to_execute": nodes}
    audit = v0.read_audit(answer(body))
    assert audit.remaining_nodes == tuple(nodes)
    assert audit.progress == 1.0


def nodes(**entries):
    return {"audit": {"nodes_execution_data": entries}}


@pytest.mark.parametrize("status", ["FAILED", "failed", " Failed ", "ERROR"])
def test_audit_finds_failed_node_by_its_status(v0, answer, status):
    body = {
        **nodes(Input={"execution_status": "COMPLETED"}, OCR={"execution_status": status}),
        "failed_nodes": [],
    }
    audit = v0.read_audit(answer(body))
    assert audit.failed_nodes == ("OCR",)
    assert audit.executed_nodes == ("Input", "OCR")


def test_audit_lists_failed_node_once(v0, answer):
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
def test_audit_node_error_is_text_without_secrets(v0, answer, entry, error):
    (node,) = v0.read_audit(answer(nodes(OCR={"execution_status": "FAILED", **entry}))).nodes
    assert node.error == error


def test_audit_message_of_completed_node_is_not_an_error(v0, answer):
    (node,) = v0.read_audit(answer(nodes(A={"execution_status": "COMPLETED", "message": "fine"}))).nodes
    assert node.error is None


def test_audit_node_keeps_status_sleeping(v0, answer):
    (node,) = v0.read_audit(answer(nodes(Review={"executionStatus": "sleeping"}))).nodes
    assert node.status == "SLEEPING"


def test_audit_nodes_are_sorted_by_start_time_then_index(v0, answer):
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
def test_audit_converts_times_of_any_format_to_seconds(v0, answer, sent, expected):
    start, took = sent
    body = nodes(A={"execution_start_time": start, "execution_time": took})
    (node,) = v0.read_audit(answer(body)).nodes
    assert (node.started_at, node.seconds) == expected


def test_audit_node_keeps_raw_entry(v0, answer):
    entry = {"execution_output": [{"variable_name": "v", "value": 1}], "new_field": "x"}
    (node,) = v0.read_audit(answer(nodes(A=entry))).nodes
    assert node.raw == entry


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"nb_nodes": 4, "executed_nodes": ["a"], "running_node": "b"}, 0.25),
        ({"executed_nodes": ["a"], "running_node": "b"}, None),
        ({"nb_nodes": 1, "executed_nodes": ["a", "b"]}, 1.0),
        ({"nb_nodes": 2, "executed_nodes": []}, 0.0),
        ({"nb_nodes": 4, "executed_nodes": None, "nb_executed_nodes": 3, "audit": None}, 0.75),
        ({"nbNodes": "4", "nbExecutedNodes": "4", "remainingNodesToExecute": ["a", "b", "c", "d"]}, 1.0),
        ({"nb_nodes": 4, "executed_nodes": ["a"], "nb_executed_nodes": 9}, 0.25),
        ({"nb_executed_nodes": 9}, None),
        ({"nb_nodes": "x"}, None),
    ],
)
def test_audit_progress_is_executed_nodes_divided_by_total(v0, answer, body, expected):
    assert v0.read_audit(answer(body)).progress == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"nb_nodes": 3}, 3),
        ({"nbNodes": "3"}, 3),
        ({"audit": {"nb_nodes": 3.0}}, 3),
        ({"nb_nodes": 0}, 0),
        ({"nb_nodes": None}, None),
        ({"nb_nodes": -1}, None),
        ({"nb_nodes": True}, None),
        ({"nb_nodes": [3]}, None),
        ({"executed_nodes": ["a"]}, None),
    ],
)
def test_audit_total_nodes_is_the_sent_count_or_none(v0, answer, body, expected):
    assert v0.read_audit(answer(body)).total_nodes == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"nb_executed_nodes": 2}, 2),
        ({"audit": {"nbExecutedNodes": "2"}}, 2),
        ({"nb_executed_nodes": 0, "executed_nodes": []}, 0),
        ({"nb_executed_nodes": 9, "executed_nodes": ["a", "a", "b"]}, 2),
        (nodes(A={"execution_status": "COMPLETED"}, B={"execution_status": "SLEEPING"}), 1),
        ({"executed_nodes": []}, None),
        ({"nb_executed_nodes": "x"}, None),
    ],
)
def test_audit_executed_count_prefers_distinct_names_to_the_sent_count(v0, answer, body, expected):
    assert v0.read_audit(answer(body)).executed_count == expected


# -- when ------------------------------------------------------------------------------------------------


def test_audit_elapsed_counts_overlapping_nodes_once(v0, answer):
    audit = v0.read_audit(
        answer(
            nodes(
                B={"execution_start_time": 1767225601000, "execution_time": 4000},
                A={"execution_start_time": 1767225600000, "execution_time": 3000},
                C={"execution_start_time": 1767225602000, "execution_time": 1000},
            )
        )
    )
    assert [node.ended_at for node in audit.nodes] == [START + 3, START + 5, START + 3]
    assert (audit.started_at, audit.ended_at, audit.elapsed) == (START, START + 5, 5)


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ({}, (None, None, None)),
        ({"A": {}}, (None, None, None)),
        ({"A": {"execution_time": 5}}, (None, None, None)),
        ({"A": {"execution_start_time": 1767225600000}}, (START, None, None)),
        (
            {
                "A": {"execution_start_time": 1767225600000, "execution_time": 1000},
                "runs": {"execution_start_time": 1767225601000},
                "waits": {},
            },
            (START, START + 1, 1),
        ),
        ({"A": {"execution_start_time": 1767225600000, "execution_time": 0}}, (START, START, 0)),
        ({"A": {"execution_start_time": 0, "execution_time": 0}}, (0, 0, 0)),
    ],
)
def test_audit_start_end_and_elapsed_are_none_if_unknown(v0, answer, entries, expected):
    audit = v0.read_audit(answer(nodes(**entries)))
    assert (audit.started_at, audit.ended_at, audit.elapsed) == expected


# -- which failed ------------------------------------------------------------------------------------------


def test_audit_failures_include_nodes_failed_by_status_and_by_list(v0, answer):
    body = nodes(
        Late={"execution_status": "ERROR", "execution_start_time": 1767225602000},
        Fine={"execution_status": "COMPLETED", "execution_start_time": 1767225600000},
        Named={"execution_start_time": 1767225601000, "error": "no page"},
    ) | {"failed_nodes": ["Lost", {"name": "Named"}]}
    audit = v0.read_audit(answer(body))
    assert [node.name for node in audit.failures] == ["Named", "Late", "Lost"]
    assert [node.error for node in audit.failures] == ["no page", None, None]
    assert audit.failures[-1] == AuditNode(name="Lost")
    assert audit.failed_nodes == ("Lost", "Named", "Late")


def test_audit_failure_of_retried_node_is_its_failed_attempt(v0, answer):
    tries = [
        {"name": "OCR", "status": "FAILED", "execution_start_time": 1767225600000},
        {"name": "OCR", "status": "COMPLETED", "execution_start_time": 1767225601000},
    ]
    (failure,) = v0.read_audit(answer({"audit": {"nodes_execution_data": tries}})).failures
    assert failure.status == "FAILED"


def test_audit_failures_need_no_failed_nodes_list():
    broken = AuditNode(name="OCR", status="FAILED")
    assert AuditLog(nodes=(broken, AuditNode(name="Rule"))).failures == (broken,)


# -- what went in and out ----------------------------------------------------------------------------------

BASE64 = "eyJ2ZXJkaWN0IjogIlBBU1MifQ=="
PASS = (OutputValue("workflow_output_1", "Verdict", "PASS", "str"),)
BARE = (OutputValue("workflow_output_1", "workflow_output_1", "PASS"),)


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        # V1: a list of {variable: value}, one or several to a mapping
        ([{"workflow_output_1": "PASS"}], BARE),
        (
            [{"a": 1, "b": None}, {"c": {"value": 2}}],
            [("a", "a", 1), ("b", "b", None), ("c", "c", 2)],
        ),
        # V2: a list of variable objects
        (
            [
                {
                    "variable_name": "workflow_output_1",
                    "display_name": "Verdict",
                    "value": "PASS",
                    "type": "str",
                }
            ],
            PASS,
        ),
        (
            [{"variableName": "workflow_output_1", "displayName": "Verdict", "value": "PASS", "type": "str"}],
            PASS,
        ),
        ([{"variableName": "workflow_output_1", "value": "PASS"}], BARE),
        ([{"variable_name": "a", "value": None, "type": None}], [("a", "a", None)]),
        ([{"variable_name": "a", "display_name": "A", "type": "str"}], [("a", "A", None, "str")]),
        # both in one list
        ([{"a": 1}, {"variable_name": "b", "value": 2}], [("a", "a", 1), ("b", "b", 2)]),
        # a mapping, of bare values or of variable objects, or one variable object
        ({"workflow_output_1": "PASS"}, BARE),
        ({"workflow_output_1": {"value": "PASS", "type": "str", "display_name": "Verdict"}}, PASS),
        (
            {"variable_name": "workflow_output_1", "display_name": "Verdict", "value": "PASS", "type": "str"},
            PASS,
        ),
        # base64 text, which stays as it is, alone or as a value
        (BASE64, [("KEY", "KEY", BASE64)]),
        ([BASE64], [("KEY", "KEY", BASE64)]),
        ([{"workflow_output_1": BASE64}], [("workflow_output_1", "workflow_output_1", BASE64)]),
        # nothing, and what nobody has seen
        (None, []),
        ("", []),
        ([], []),
        ({}, []),
        ([None, {}, ""], []),
        (7, [("KEY", "KEY", 7)]),
        (False, [("KEY", "KEY", False)]),
        ([["x"], 0], [("KEY", "KEY", ["x"]), ("KEY", "KEY", 0)]),
        (
            [{"variable_name": 7, "value": "x"}],
            [("variable_name", "variable_name", 7), ("value", "value", "x")],
        ),
    ],
)
@pytest.mark.parametrize("key", ["execution_input", "executionInput", "execution_output", "executionOutput"])
def test_audit_node_inputs_and_outputs_are_read_in_every_format(v0, answer, held, expected, key):
    (node,) = v0.read_audit(answer(nodes(A={"execution_status": "COMPLETED", key: held}))).nodes
    values = [value if isinstance(value, OutputValue) else OutputValue(*value) for value in expected]
    named = [
        OutputValue(key, key, value.value) if value.variable_name == "KEY" else value for value in values
    ]
    sides = [node.inputs, node.outputs]
    assert sides.pop("utput" in key) == tuple(named)
    assert sides == [()]
    assert node.raw[key] == held


@pytest.mark.parametrize("wrap", [lambda data: {"A": data}, lambda data: [{"name": "A"} | data]])
@pytest.mark.parametrize(
    ("place", "inside"), [("nodes_execution_data", "execution_"), ("nodesExecutionData", "execution")]
)
def test_audit_node_inputs_and_outputs_are_found_in_every_audit_shape(v0, answer, wrap, place, inside):
    given, gave = (inside + (word if inside.endswith("_") else word.title()) for word in ("input", "output"))
    entry = {given: [{"workflow_output_1": "PASS"}], gave: [{"workflow_output_1": "PASS"}]}
    for body in ({"audit": {place: wrap(entry)}}, {place: wrap(entry)}):
        (node,) = v0.read_audit(answer(body)).nodes
        assert (node.inputs, node.outputs) == (BARE, BARE)


def test_audit_null_in_snake_case_field_does_not_hide_camel_case_one(v0, answer):
    entry = {"execution_output": None, "executionOutput": [{"workflow_output_1": "PASS"}]}
    (node,) = v0.read_audit(answer(nodes(A=entry))).nodes
    assert node.outputs == BARE


def test_audit_output_value_with_json_in_code_fence_is_parsed(v0, answer):
    (node,) = v0.read_audit(
        answer(nodes(A={"execution_output": [{"o": '```json\n{"score": 92}\n```'}]}))
    ).nodes
    assert node.outputs[0].parsed == {"score": 92}


def test_audit_node_repr_hides_values_and_node_is_hashable(v0, answer):
    entry = {"execution_input": [{"a": ["https://h/f.pdf?X-Amz-Signature=00aa"]}]}
    (node,) = v0.read_audit(answer(nodes(A=entry))).nodes
    assert "X-Amz" not in repr(node)
    assert isinstance(hash(node), int)


def test_audit_node_without_status_that_failed_nodes_lists_has_failed(v0, answer):
    told = {"A": {"executionStartTime": 1767225600000, "executionTime": 10}, "B": {"executionTime": 5}}
    audit = v0.read_audit(answer({"failedNodes": ["B"], "audit": {"nodesExecutionData": told}}))
    assert {node.name: node.status for node in audit.nodes} == {"A": None, "B": "FAILED"}
    assert [node.name for node in audit.failures] == ["B"]
    assert audit.progress is None
