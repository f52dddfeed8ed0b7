"""The requests of the Operativus API, one function each; checked before anything is sent.

``repeatable`` says whether a second sending after a lost answer is harmless. ``run``, ``resume`` and
``continue`` have no idempotency key, and ``clone`` makes a workflow each time; ``create`` and ``add_step``
carry ids of our own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from opus_async.errors import InvalidInputs
from opus_async.input_problems import bad_argument
from opus_async.operativus.models import STEP_KINDS, Step
from opus_async.wire.messages import ApiRequest
from opus_async.wire.requests import encoded_segment, given, query, sendable

LOGIN_PATH = "/api/auth/login"
LARGEST_PAGE = 200
"""Rows of a page: servers cut larger ones to this."""
DEFAULT_PAGE = 20

_WORKFLOWS = "/api/v1/workflows"
_SORT = re.compile(r"[A-Za-z][A-Za-z0-9_.]*(?:,(?:asc|desc))?", re.IGNORECASE)
_OF_THE_SERVER = ("id", "workflowId", "createdAt", "updatedAt")
"""Fields of a step that the server alone sets."""


def login(username: str, password: str) -> ApiRequest:
    """Ask for a token; the answer is for :func:`.readers.read_token` alone.

    Raises:
        InvalidInputs: One of the two is empty or no text.
    """
    body = {"username": _text(username, "user name"), "password": _text(password, "password")}
    return ApiRequest(operation="login", method="POST", path=LOGIN_PATH, body=body, secret=password)


def workflows(*, page: int = 0, size: int = DEFAULT_PAGE, sort: str | None = None) -> ApiRequest:
    """Ask for a page of the workflows.

    Args:
        page: From 0.
        size: Rows of a page; see :data:`LARGEST_PAGE`.
        sort: A field, or a field and its direction: ``createdAt,desc``. A server answers 500 to a field that
            it does not know.

    Raises:
        InvalidInputs: One of them cannot be meant.
    """
    if sort is not None and not _SORT.fullmatch(sort):
        raise _invalid("sort is a field and its direction, like 'createdAt,desc'")
    path = _WORKFLOWS + query(**_paging(page, size), sort=sort)
    return ApiRequest(operation="workflows", method="GET", path=path)


def create_workflow(
    name: str,
    *,
    description: str | None = None,
    workflow_id: str | None = None,
    steps: Sequence[Step] = (),
) -> ApiRequest:
    """Make a workflow.

    Args:
        name: Not empty: a server answers 409 to that.
        description: None for none.
        workflow_id: An id of our own. A server that takes it makes the call safe to repeat; whether it did is
            told by the ``id`` of the answer.
        steps: Documented; servers may neither store nor return them.
    """
    body = given(
        id=None if workflow_id is None else named(workflow_id, "workflow id"),
        name=_text(name, "name"),
        description=_optional_text(description, "description"),
        steps=[
            _step_body(step, place if step.order is None else step.order)
            for place, step in enumerate(steps, 1)
        ]
        or None,
    )
    repeatable = workflow_id is not None
    return ApiRequest(
        operation="create_workflow", method="POST", path=_WORKFLOWS, body=body, repeatable=repeatable
    )


def workflow(workflow_id: str) -> ApiRequest:
    """Ask for a workflow."""
    return _of_workflow("workflow", "GET", workflow_id)


def update_workflow(
    workflow_id: str, *, name: str | None = None, description: str | None = None
) -> ApiRequest:
    """Change the name or the description; None leaves it as it is.

    Raises:
        InvalidInputs: Nothing is to be changed, or the name is empty.
    """
    if name is None and description is None:
        raise _invalid("give name or description: there is nothing else to update")
    body = given(
        name=None if name is None else _text(name, "name"),
        description=_optional_text(description, "description"),
    )
    return _of_workflow("update_workflow", "PATCH", workflow_id, body=body)


def delete_workflow(workflow_id: str) -> ApiRequest:
    """Delete a workflow and its steps; the answer does not tell whether there was one."""
    return _of_workflow("delete_workflow", "DELETE", workflow_id)


def clone_workflow(workflow_id: str) -> ApiRequest:
    """Copy a workflow and its steps. The answer is about another workflow."""
    path = f"{_path(workflow_id)}/clone"
    return ApiRequest(operation="clone_workflow", method="POST", path=path, repeatable=False)


def steps(workflow_id: str) -> ApiRequest:
    """Ask for the steps of a workflow; there are none also where there is no such workflow."""
    return _of_workflow("steps", "GET", workflow_id, "/steps")


def add_step(workflow_id: str, step: Step, *, order: int | None = None) -> ApiRequest:
    """Add a step to a workflow.

    Args:
        workflow_id: The workflow.
        step: Its ``id`` is one of our own, with which the call is safe to repeat.
        order: Its place, from 1; default: the step's own. A server answers 409 to a step without one.

    Raises:
        InvalidInputs: There is no place, or a text or the agent is missing.
    """
    body = _step_body(step, step.order if order is None else order)
    return _of_workflow("add_step", "POST", workflow_id, "/steps", body=body, repeatable=step.id is not None)


def update_step(
    workflow_id: str, step: Step, *, agent_id: str | None = None, order: int | None = None
) -> ApiRequest:
    """Change the agent or the place of a step. Known from the server's source only.

    Args:
        workflow_id: The workflow.
        step: As it was read just now: all of it is sent back, since what is left out is reset.
        agent_id: The new agent; None for the same.
        order: The new place; None for the same.

    Raises:
        InvalidInputs: Nothing is to be changed, or the step has no id.
    """
    if agent_id is None and order is None:
        raise _invalid("give agent_id or order: there is nothing else of a step to update")
    if step.id is None:
        raise _invalid("the step has no id: read the steps of the workflow first")
    known = {"agentId": step.agent_id or None, "action": step.action, "stepOrder": step.order, **step.raw}
    body: dict[str, Any] = {name: value for name, value in known.items() if name not in _OF_THE_SERVER}
    if agent_id is not None:
        body["agentId"] = named(agent_id, "agent id")
    if order is not None:
        body["stepOrder"] = _order(order)
    rest = f"/steps/{_segment(step.id, 'step id')}"
    step_id = named(step.id, "step id")
    return _of_workflow("update_step", "PATCH", workflow_id, rest, body=body, subject_id=step_id)


def remove_step(workflow_id: str, step_id: str) -> ApiRequest:
    """Remove a step from a workflow; servers look at the id of the step alone."""
    return _of_workflow("remove_step", "DELETE", workflow_id, f"/steps/{_segment(step_id, 'step id')}")


def run(workflow_id: str, text: str | None = None, *, session_id: str | None = None) -> ApiRequest:
    """Order a run, and its bill. The body is never left out.

    Args:
        workflow_id: The workflow.
        text: The input of the first step; None for none.
        session_id: A UUID under which the run is found again; None lets the server make one.
    """
    session = None if session_id is None else named(session_id, "session id")
    body = given(input=_optional_text(text, "input"), sessionId=session)
    return _of_workflow("run", "POST", workflow_id, "/run", body=body, repeatable=False, job_id=session)


def runs(workflow_id: str, *, page: int = 0, size: int = DEFAULT_PAGE) -> ApiRequest:
    """Ask for a page of the runs of a workflow, newest first; see :func:`workflows`."""
    return _of_workflow("runs", "GET", workflow_id, f"/runs{query(**_paging(page, size))}")


def resume(run_id: str, output: str) -> ApiRequest:
    """Answer a run that is paused. Accepted for any id, and without effect on a run that is not paused.

    Args:
        run_id: The run.
        output: What the next step is given.
    """
    body = {"output": _optional_text(output, "output", wanted=True)}
    return _of_run("resume", "POST", run_id, "/resume", body=body, repeatable=False)


def cancel(run_id: str) -> ApiRequest:
    """Cancel a run; a step that is running goes on. Known from the server's source only."""
    return _of_run("cancel", "DELETE", run_id)


def node_runs(run_id: str) -> ApiRequest:
    """Ask what the nodes did; empty for a workflow without edges. Known from the server's source only."""
    return _of_run("node_runs", "GET", run_id, "/node-runs")


def child_node_runs(run_id: str) -> ApiRequest:
    """Ask what the nodes of nested workflows did. Known from the server's source only."""
    return _of_run("child_node_runs", "GET", run_id, "/child-node-runs")


def session_runs(session_id: str) -> ApiRequest:
    """Ask for the texts of all runs of a session. Known from the server's source only, and for ADMIN."""
    return ApiRequest(
        operation="session_runs",
        method="GET",
        path=f"/api/sessions/{_segment(session_id, 'session id')}/runs",
        job_id=named(session_id, "session id"),
    )


def route_options(run_id: str) -> ApiRequest:
    """Ask for the ways on which a run can go on. Known from the server's source only."""
    return _of_run("route_options", "GET", run_id, "/route-options")


def continue_run(run_id: str, choice: str) -> ApiRequest:
    """Choose the way on which a run goes on. Known from the server's source only.

    Args:
        run_id: The run.
        choice: One of its route options.
    """
    body = {"choiceKey": _text(choice, "choice")}
    return _of_run("continue_run", "POST", run_id, "/continue", body=body, repeatable=False)


def named(identifier: str | int, what: str) -> str:
    """Return an id as text, without the spaces around it.

    Raises:
        InvalidInputs: It is no id, it is empty, or it cannot be written as UTF-8.
    """
    if isinstance(identifier, int) and not isinstance(identifier, bool):
        return str(identifier)
    return _text(identifier, what).strip()


# Their parts


def _of_workflow(operation: str, method: str, workflow_id: str, rest: str = "", **more: Any) -> ApiRequest:
    path = _path(workflow_id) + rest
    named_one = named(workflow_id, "workflow id")
    return ApiRequest(operation=operation, method=method, path=path, workflow_id=named_one, **more)


def _of_run(operation: str, method: str, run_id: str, rest: str = "", **more: Any) -> ApiRequest:
    path = f"{_WORKFLOWS}/runs/{_segment(run_id, 'run id')}{rest}"
    run = named(run_id, "run id")
    return ApiRequest(operation=operation, method=method, path=path, subject_id=run, **more)


def _path(workflow_id: str) -> str:
    return f"{_WORKFLOWS}/{_segment(workflow_id, 'workflow id')}"


def _segment(identifier: str, what: str) -> str:
    return encoded_segment(named(identifier, what))


def _paging(page: int, size: int) -> Mapping[str, int]:
    """Check which page is asked for: servers answer 400 or 500, or take another one, where it cannot be."""
    if not _is_whole(page) or page < 0:
        raise _invalid("page is a whole number from 0")
    if not _is_whole(size) or size <= 0:
        raise _invalid("the size of a page is a whole number from 1")
    return {"page": page, "size": size}


def _step_body(step: Step, order: int | None) -> dict[str, Any]:
    if order is None:
        raise _invalid("give order: a server takes no step without its place")
    return given(
        id=None if step.id is None else named(step.id, "step id"),
        agentId=named(step.agent_id, "agent id") if step.agent_id != "" or _needs_agent(step) else None,
        action=_text(step.action, "action"),
        stepOrder=_order(order),
    )


def _needs_agent(step: Step) -> bool:
    """Whether a step is nothing without an agent: all but the kinds that need none."""
    return step.action not in STEP_KINDS or step.action == "AGENT"


def _order(order: int) -> int:
    if not _is_whole(order) or order < 0:  # 0 is what the vendor's own client sends
        raise _invalid("order is a whole number from 1")
    return order


def _is_whole(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)


def _text(value: Any, what: str) -> str:
    """A text that is not empty, unchanged."""
    found = _optional_text(value, what, wanted=True)
    if not found or not found.strip():
        raise _invalid(f"the {what} is empty")
    return found


def _optional_text(value: Any, what: str, *, wanted: bool = False) -> str | None:
    if value is None and not wanted:
        return None
    if not isinstance(value, str):
        raise _invalid(f"the {what} is a {type(value).__name__}, not text")
    try:
        return sendable(value)
    except ValueError as error:
        raise _invalid(f"the {what} {error}") from None


def _invalid(message: str) -> InvalidInputs:
    return InvalidInputs([bad_argument(message)])
