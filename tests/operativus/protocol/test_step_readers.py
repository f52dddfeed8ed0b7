"""What steps left behind, as the source of the server tells it; nothing in a row can make it unreadable."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from operativus_corpus import (
    CHILD_NODE_RUNS,
    FAILED_NODE_RUN,
    FAILED_SESSION_RUN,
    NODE_RUN,
    RUN_ID,
    SESSION_ID,
    SESSION_RUN,
    STEP_ID,
)

from opus_async.errors import NotFound, PermissionDenied, ProtocolError
from opus_async.models import JobStatus
from opus_async.operativus.protocol.api_messages import NodeRun
from opus_async.operativus.protocol.step_readers import read_node_runs, read_session_runs


def masked(text):
    return text.replace("synthetic-token", "<token>")


def test_node_runs_are_read(answer):
    good, bad = read_node_runs(answer([NODE_RUN, FAILED_NODE_RUN], subject_id=RUN_ID))
    assert good == NodeRun(
        id=NODE_RUN["id"],
        node_id=STEP_ID,
        name="Fetch prices",
        kind="AGENT",
        success=True,
        content="NVDA 101.5",
        started_at=datetime(2026, 5, 6, 9, 0, 1, 123456, tzinfo=UTC),
        ended_at=datetime(2026, 5, 6, 9, 0, 3, 623456, tzinfo=UTC),
    )
    assert good.raw == NODE_RUN
    assert (bad.success, bad.error, bad.content) == (False, "The model gave up", None)


@pytest.mark.parametrize("kind", ["PERSON", "ROUTE", None])
def test_node_run_that_is_paused_says_so(answer, kind):
    (found,) = read_node_runs(answer([{**NODE_RUN, "paused": True, "pauseKind": kind, "endedAt": None}]))
    assert (found.paused, found.ended_at) == (True, None)


def test_node_runs_of_nested_workflows_name_the_node_around_them(answer):
    (found,) = read_node_runs(answer(CHILD_NODE_RUNS, subject_id=RUN_ID))
    assert (found.node_id, found.parent_node_id) == (STEP_ID, "step_002")
    (flat,) = read_node_runs(answer([NODE_RUN]))
    assert flat.parent_node_id is None


@pytest.mark.parametrize(
    ("group", "count"),
    [({"nodeRuns": [NODE_RUN, None]}, 1), ({"parentNodeId": 7, "nodeRuns": []}, 0), ({"nodeRuns": None}, 1)],
)
def test_node_runs_of_nested_workflows_without_sense_raise_nothing(answer, group, count):
    assert len(read_node_runs(answer([group]))) == count


def test_node_runs_of_nested_workflows_do_not_nest_without_end(answer):
    (found,) = read_node_runs(answer([{"parentNodeId": "n", "nodeRuns": [{"nodeRuns": [NODE_RUN]}]}]))
    assert found.node_id is None  # a group in a group is a row without sense


def test_session_runs_are_read(answer):
    good, bad = read_session_runs(answer([SESSION_RUN, FAILED_SESSION_RUN], job_id=SESSION_ID))
    assert (good.agent_id, good.parent_id, good.status) == ("finance_agent", None, JobStatus.COMPLETED)
    assert (good.input, good.output, good.error) == ("Prices of NVDA", "NVDA 101.5", None)
    assert (good.duration_ms, good.created_at.microsecond) == (2500, 100000)
    assert good.raw == SESSION_RUN
    assert (bad.status, bad.error, bad.output) == (JobStatus.FAILED, "The model answers 429", None)


def test_session_run_without_words_on_its_failure_has_its_type(answer):
    (found,) = read_session_runs(answer([{**FAILED_SESSION_RUN, "errorMessage": ""}]))
    assert found.error == "RATE_LIMIT"


@pytest.mark.parametrize("read", [read_node_runs, read_session_runs])
def test_rows_of_steps_without_sense_raise_nothing(answer, read):
    odd = [None, 7, [], {}, "\u202e", {"a": 1}, True, 10**30, "x" * 5000]
    names = {*NODE_RUN, *SESSION_RUN, "nodeRuns"} - {"sessionId"}
    for value in odd:
        rows = read(answer([dict.fromkeys(names, value), *odd]))
        repr(rows)
        for row in rows:
            assert row.error is None or (row.error.isprintable() and len(row.error) <= 300)


@pytest.mark.parametrize("read", [read_node_runs, read_session_runs])
def test_rows_of_steps_are_none_where_nobody_may_see_them(answer, read):
    assert read(answer([])) == ()
    with pytest.raises(PermissionDenied):
        read(answer(b"", 403))
    with pytest.raises(NotFound):
        read(answer(b"", 404))


@pytest.mark.parametrize("read", [read_node_runs, read_session_runs])
def test_rows_of_steps_are_read_from_a_page_too(answer, read):
    assert read(answer({"content": [], "page": {}})) == ()
    for body in ({}, {"content": {}}, "x", None):
        with pytest.raises(ProtocolError, match="no list"):
            read(answer(body))


def test_rows_of_steps_have_errors_fit_for_a_message_and_texts_as_they_are(answer):
    said = "synthetic-token\x1b[2J\u202e\n"
    row = {**NODE_RUN, "error": said, "content": said, "nodeName": said}
    (node,) = read_node_runs(answer([row], mask=masked))
    assert (node.error, node.name) == ("<token> [2J", "<token> [2J")
    assert node.content == said
    row = {**SESSION_RUN, "errorMessage": said, "output": said, "agentId": said, "input": ""}
    (call,) = read_session_runs(answer([row], mask=masked))
    assert (call.error, call.agent_id) == ("<token> [2J", "<token> [2J")
    assert (call.output, call.input) == (said, "")
