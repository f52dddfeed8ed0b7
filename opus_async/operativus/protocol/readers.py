"""The responses of the Operativus API, one function each: an answer in, a value out.

Each raises the :class:`APIError` of an answer that refuses, a :class:`ProtocolError` where what was asked for
is not in it, and a :class:`MixedUpAnswer` where it names another workflow, session, run or step. Fields that
are not needed are None where they are missing or make no sense, and stay in ``raw``.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from opus_async.errors import ProtocolError
from opus_async.gaps import gapped
from opus_async.operativus.models import ResumedRun, Run, StartedRun, Step, Workflow
from opus_async.operativus.protocol.api_errors import error_from
from opus_async.operativus.protocol.api_messages import RouteOptions
from opus_async.operativus.protocol.pages import Page, read_page
from opus_async.operativus.protocol.responses import (
    body_of,
    check_session,
    check_subject,
    check_workflow,
    object_of,
    status_in,
)
from opus_async.wire.identity import is_same
from opus_async.wire.json_bodies import json_or_none, request_of
from opus_async.wire.messages import ApiResponse
from opus_async.wire.responses import SUCCESS, first_of, identifier, protocol_error, text, whole
from opus_async.wire.timestamps import to_datetime

_TOKEN = re.compile(r"[!-~]+")
"""What can stand in a header: printable, ASCII, without spaces."""
_STEP_ORDERS = ("currentStepOrder", "lastStepOrder")


def read_token(answer: ApiResponse) -> str:
    """Read the token that a log-in gives. No error quotes the body, which may hold it.

    Raises:
        APIError: The credentials were refused.
        ProtocolError: There is no usable token in it.
    """
    if answer.status not in SUCCESS:
        raise error_from(answer)
    body = json_or_none(answer)
    token = text(body.get("token")) if isinstance(body, dict) else None
    if token is None or not _TOKEN.fullmatch(token):
        raise ProtocolError(
            gapped(
                f"{{}} answered HTTP {answer.status} without a usable token. Check that the base URL is the "
                "API's and that no proxy or log-in page stands in between.",
                request_of(answer),
            )
        )
    return token


def read_workflows(answer: ApiResponse) -> Page[Workflow]:
    """Read a page of workflows; a row without an id is left out."""
    return read_page(answer, _workflow)


def read_workflow(answer: ApiResponse) -> Workflow:
    """Read a workflow: one that was asked for, changed, or made."""
    body = object_of(answer)
    check_workflow(answer, body.get("id"))
    found = _workflow(body)
    if found is None:
        raise protocol_error(answer, "without the id of a workflow")
    return found


def read_clone(answer: ApiResponse, *, of: str) -> Workflow:
    """Read a copy.

    Args:
        answer: The response.
        of: The workflow that was copied: to take it for its copy would change or delete it.
    """
    found = read_workflow(answer)
    if is_same(found.id, of):
        error = protocol_error(answer, "that names the workflow itself, and not its copy")
        error.retryable = False
        raise error
    return found


def read_steps(answer: ApiResponse) -> tuple[Step, ...]:
    """Read the steps of a workflow, in order; those without a place come last."""
    body = body_of(answer)
    if not isinstance(body, list):
        raise protocol_error(answer, "that is no list of steps")
    for entry in body:
        if isinstance(entry, dict):
            check_workflow(answer, entry.get("workflowId"))
    return _steps(body)


def read_step(answer: ApiResponse) -> Step:
    """Read a step that was added or changed."""
    body = object_of(answer)
    check_workflow(answer, body.get("workflowId"))
    check_subject(answer, body.get("id"))
    found = _step(body)
    if found is None or found.id is None:
        raise protocol_error(answer, "without the id of a step")
    return found


def read_started(answer: ApiResponse) -> StartedRun:
    """Read that an order was accepted.

    A ProtocolError is not worth asking again: the order may have been accepted all the same.
    """
    body = object_of(answer)
    check_workflow(answer, body.get("workflowId"))
    check_session(answer, body.get("sessionId"))
    job_id = identifier(body.get("jobId"))
    workflow_id = identifier(body.get("workflowId")) or answer.workflow_id
    session_id = answer.job_id or identifier(body.get("sessionId"))
    if job_id is None or workflow_id is None or session_id is None:
        raise _lost(answer, "that does not say that the run was accepted")
    return StartedRun(job_id, workflow_id, session_id)


def read_resumed(answer: ApiResponse) -> ResumedRun:
    """Read that an answer to a paused run, or a choice, was accepted; a ProtocolError as for a start."""
    body = object_of(answer)
    check_subject(answer, body.get("runId"))
    job_id = identifier(body.get("jobId"))
    run_id = identifier(body.get("runId")) or answer.subject_id
    if job_id is None or run_id is None:
        raise _lost(answer, "that does not say that the run goes on")
    return ResumedRun(job_id, run_id)


def read_runs(answer: ApiResponse) -> Page[Run]:
    """Read a page of the runs of a workflow, newest first; a row without an id is left out."""
    return read_page(answer, partial(_run, answer))


def read_route_options(answer: ApiResponse) -> RouteOptions:
    """Read the ways on which a run can go on."""
    body = object_of(answer)
    check_subject(answer, body.get("runId"))
    run_id = identifier(body.get("runId")) or answer.subject_id
    if run_id is None or "status" not in body:
        raise protocol_error(answer, "without the ways on which the run can go on")
    keys = body.get("choiceKeys")
    return RouteOptions(
        run_id=run_id,
        status=status_in(body, answer),
        awaiting=body.get("awaitingRouteSelection") is True,
        choices=tuple(filter(None, map(text, keys))) if isinstance(keys, list) else (),
        default=text(body.get("defaultChoice")),
    )


def read_done(answer: ApiResponse) -> None:
    """Return if the response is a success, also an empty one."""
    if answer.status not in SUCCESS or answer.body.strip():
        body_of(answer)


def _workflow(entry: Any) -> Workflow | None:
    found = identifier(entry.get("id")) if isinstance(entry, dict) else None
    if found is None:
        return None
    listed = entry.get("steps")
    return Workflow(
        found,
        text(entry.get("name")) or "",
        _text_as_sent(entry.get("description")),
        _steps(listed) if isinstance(listed, list) else None,
        entry,
    )


def _steps(entries: list[Any]) -> tuple[Step, ...]:
    found = (step for step in map(_step, entries) if step is not None)
    return tuple(sorted(found, key=lambda step: (step.order is None, step.order)))


def _step(entry: Any) -> Step | None:
    if not isinstance(entry, dict):
        return None
    return Step(
        identifier(entry.get("agentId")) or "",
        _text_as_sent(entry.get("action")) or "",
        whole(entry.get("stepOrder")),
        identifier(entry.get("id")),
        entry,
    )


def _run(answer: ApiResponse, entry: Any) -> Run | None:
    if not isinstance(entry, dict):
        return None
    check_workflow(answer, entry.get("workflowId"))
    found = identifier(entry.get("id"))
    workflow_id = identifier(entry.get("workflowId")) or answer.workflow_id
    if found is None or workflow_id is None:
        return None
    return Run(
        id=found,
        workflow_id=workflow_id,
        session_id=identifier(entry.get("sessionId")),
        status=status_in(entry, answer),
        step_order=whole(first_of(entry, *_STEP_ORDERS)),
        duration_ms=whole(entry.get("durationMs")),
        created_at=to_datetime(entry.get("createdAt")),
        updated_at=to_datetime(entry.get("updatedAt")),
        raw=entry,
    )


def _text_as_sent(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _lost(answer: ApiResponse, why: str) -> ProtocolError:
    error = protocol_error(answer, why)
    error.retryable = False
    return error
