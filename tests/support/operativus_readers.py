"""What holds of every answer of Operativus: a value that obeys its types, or an error that can be shown."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from invariants import Reader, check_id, check_nothing, check_status, is_count_or_none, is_name_or_none
from operativus_corpus import SHAPES

from opus_async.models import JobStatus
from opus_async.operativus.models import ResumedRun, Run, StartedRun, Step, Workflow
from opus_async.operativus.protocol import readers, requests, step_readers
from opus_async.operativus.protocol.api_messages import NodeRun, RouteOptions, SessionRun
from opus_async.operativus.protocol.outcomes import audit_of, outputs_of
from opus_async.operativus.protocol.pages import Page
from opus_async.wire.messages import ApiResponse


def check_workflow(workflow: Workflow, answer: ApiResponse) -> None:
    assert type(workflow) is Workflow
    check_id(workflow.id, answer)
    assert isinstance(workflow.name, str)
    assert workflow.description is None or isinstance(workflow.description, str)
    if workflow.steps is not None:
        check_steps(workflow.steps, answer)
    _holds_together(workflow)


def check_steps(steps: Sequence[Step], answer: ApiResponse) -> None:
    for step in steps:
        assert type(step) is Step
        assert isinstance(step.agent_id, str)
        assert isinstance(step.action, str)
        assert is_count_or_none(step.order)
        assert is_name_or_none(step.id)
        if step.id is not None:
            sent = requests.update_step("w", step, order=1)
            json.dumps(sent.body, allow_nan=False).encode()
    orders = [math.inf if step.order is None else step.order for step in steps]
    assert orders == sorted(orders)


def check_step(step: Step, answer: ApiResponse) -> None:
    check_steps([step], answer)
    assert step.id is not None


def check_run(run: Run, answer: ApiResponse) -> None:
    assert type(run) is Run
    check_id(run.id, answer)
    check_id(run.workflow_id, answer)
    assert is_name_or_none(run.session_id)
    check_status(run.status, answer)
    assert is_count_or_none(run.step_order)
    assert is_count_or_none(run.duration_ms)
    _check_moments(run.created_at, run.updated_at)
    _holds_together(run)
    audit_of([run])


def check_page(page: Page[Any], answer: ApiResponse) -> None:
    assert type(page) is Page
    assert 0 <= len(page.items) <= page.entries
    for number in (page.number, page.size, page.total, page.total_pages):
        assert is_count_or_none(number)
    assert page.size != 0
    assert page.entries or page.is_last(0)
    for item in page.items:
        (check_run if isinstance(item, Run) else check_workflow)(item, answer)


def check_started(started: StartedRun, answer: ApiResponse) -> None:
    assert type(started) is StartedRun
    for name in (started.job_id, started.workflow_id, started.session_id):
        check_id(name, answer)


def check_resumed(resumed: ResumedRun, answer: ApiResponse) -> None:
    assert type(resumed) is ResumedRun
    for name in (resumed.job_id, resumed.run_id):
        check_id(name, answer)


def check_token(token: str, answer: ApiResponse) -> None:
    assert type(token) is str
    assert token
    assert token.isascii()
    assert token.isprintable()
    assert " " not in token


def check_options(options: RouteOptions, answer: ApiResponse) -> None:
    assert type(options) is RouteOptions
    check_id(options.run_id, answer)
    check_status(options.status, answer)
    assert type(options.awaiting) is bool
    assert all(map(is_name_or_none, (*options.choices, options.default)))


def check_node_runs(found: tuple[NodeRun, ...], answer: ApiResponse) -> None:
    for node in found:
        assert type(node) is NodeRun
        assert all(map(is_name_or_none, (node.id, node.node_id, node.name, node.kind, node.parent_node_id)))
        assert node.success in (True, False, None)
        _check_moments(node.started_at, node.ended_at)
    _check_outcome(node_runs=found)


def check_session_runs(found: tuple[SessionRun, ...], answer: ApiResponse) -> None:
    for call in found:
        assert type(call) is SessionRun
        check_status(call.status, answer)
        assert all(map(is_name_or_none, (call.id, call.agent_id, call.parent_id)))
        _check_moments(call.created_at, call.updated_at)
    _check_outcome(session_runs=found)


def _check_outcome(**rows: Any) -> None:
    for row in (*rows.get("node_runs", ()), *rows.get("session_runs", ())):
        assert row.error is None or (row.error.isprintable() and 0 < len(row.error) <= 300)
        repr(row)
    run = Run("r", "w", "s", JobStatus("FAILED"), step_order=2)
    outputs = outputs_of(run, **rows)
    assert outputs == {} or outputs["steps"]
    assert "output" not in outputs or outputs["output"] in outputs["steps"]
    assert all(isinstance(text, str) for text in outputs.get("steps", ()))
    audit = audit_of([run], **rows)
    for node in audit.nodes:
        assert node.name.isprintable()
        assert node.started_at is None or node.started_at >= 0
        assert node.seconds is None or (math.isfinite(node.seconds) and node.seconds >= 0)
    assert audit.failed_nodes
    assert audit.progress is None or 0 <= audit.progress <= 1
    _holds_together(audit)


def _check_moments(*moments: Any) -> None:
    for moment in moments:
        assert moment is None or moment.utcoffset() == timedelta()


def _holds_together(value: Any) -> None:
    repr(value)
    assert pickle.loads(pickle.dumps(value)) == value


def _clone(answer: ApiResponse) -> Workflow:
    return readers.read_clone(answer, of="wf_source")


READERS = {
    "workflow": Reader(SHAPES["workflow"], readers.read_workflow, check_workflow),
    "clone": Reader(SHAPES["workflow"], _clone, check_workflow),
    "workflows": Reader(SHAPES["workflows"], readers.read_workflows, check_page),
    "steps": Reader(SHAPES["steps"], readers.read_steps, check_steps),
    "step": Reader(SHAPES["step"], readers.read_step, check_step),
    "started": Reader(SHAPES["started"], readers.read_started, check_started),
    "resumed": Reader(SHAPES["resumed"], readers.read_resumed, check_resumed),
    "runs": Reader(SHAPES["runs"], readers.read_runs, check_page),
    "node runs": Reader(SHAPES["node runs"], step_readers.read_node_runs, check_node_runs),
    "session runs": Reader(SHAPES["session runs"], step_readers.read_session_runs, check_session_runs),
    "route options": Reader(SHAPES["route options"], readers.read_route_options, check_options),
    "token": Reader(SHAPES["token"], readers.read_token, check_token),
    "done": Reader(('{"message": "deleted"}', "[]"), readers.read_done, check_nothing),
}
"""Every reader of the protocol by name."""
