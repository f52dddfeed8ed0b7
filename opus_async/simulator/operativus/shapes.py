"""Workflows, steps and runs as JSON values, in every form that the traits make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opus_async.simulator.operativus import traits
from opus_async.simulator.operativus.plans import PAUSED, ROUTE
from opus_async.simulator.operativus.runs import CANCELLED, COMPLETED, FAILED, QUEUED, RUNNING
from opus_async.simulator.operativus.times import local, zoned

if TYPE_CHECKING:
    from opus_async.simulator.operativus.definitions import Definition, Edge, Step
    from opus_async.simulator.operativus.runs import Run, StepRun

_FINAL = (COMPLETED, FAILED, CANCELLED)
_WORDS = {
    QUEUED: ((traits.STATUS_CREATED, "PENDING"),),
    FAILED: ((traits.FAILS_AS_REJECTED, "REJECTED"), (traits.FAILS_AS_CANCELLED, CANCELLED)),
    PAUSED: ((traits.HUMAN_REVIEW, "AWAITING_HUMAN_REVIEW"),),
    ROUTE: ((traits.HUMAN_REVIEW, "AWAITING_HUMAN_REVIEW"),),
    CANCELLED: ((traits.PAUSE_EXPIRED, "EXPIRED"),),
}


def workflow_json(workflow: Definition, active: frozenset[str], *, fresh: bool = False) -> dict[str, Any]:
    """Return a workflow; `fresh` where it was just made or changed."""
    told = {"id": workflow.workflow_id, "name": workflow.name, "description": workflow.description}
    if traits.STEPS_INLINE in active:
        return {**told, "steps": [step_json(step, active) for step in workflow.steps]}
    return {
        **told,
        "stepCount": len(workflow.steps),
        "createdAt": local(workflow.created_at, active, fresh=fresh),
        "updatedAt": local(workflow.updated_at, active, fresh=fresh),
    }


def step_json(step: Step, active: frozenset[str], *, fresh: bool = False) -> dict[str, Any]:
    """Return a step."""
    told = {
        "id": step.step_id,
        "stepOrder": step.order,
        "agentId": step.agent_id,
        "action": step.action,
    }
    if traits.SHORT_STEPS in active:
        return told
    return {
        **told,
        "workflowId": step.workflow_id,
        **step.settings,
        "humanReview": None,
        "createdAt": local(step.created_at, active, fresh=fresh),
        "updatedAt": local(step.updated_at, active, fresh=fresh),
    }


def edge_json(edge: Edge) -> dict[str, Any]:
    """Return an edge."""
    return {
        "id": edge.edge_id,
        "fromStepId": edge.from_step,
        "toStepId": edge.to_step,
        "condition": edge.condition,
    }


def run_json(run: Run, now: float, active: frozenset[str]) -> dict[str, Any]:
    """Return a run."""
    status, order = run.status(now), run.tasks[run.current(now)].order
    changed = run.changed_at(now)
    if traits.UPDATED_MOVES not in active and run.cancelled_at is None and not run.has_expired(now):
        changed = run.created_at
    lasted: int | None = round((changed - run.created_at) * 1000)
    if traits.DURATION_NULL in active and status not in _FINAL:
        lasted = None
    place: dict[str, int | None] = {"lastStepOrder": order}
    if traits.CURRENT_STEP_ORDER in active:
        place = {"currentStepOrder": None if status in _FINAL else order}
    return {
        "id": run.run_id,
        "workflowId": run.workflow_id,
        "sessionId": run.session_id,
        "status": status_word(run, now, active),
        **place,
        "durationMs": lasted,
        "createdAt": local(run.created_at, active),
        "updatedAt": local(changed, active),
    }


def status_word(run: Run, now: float, active: frozenset[str]) -> str:
    """Return the status of a run in the words of this server."""
    status = run.status(now)
    word = _other_word(run, status, now, active) or status
    return word.lower() if traits.STATUS_LOWERCASE in active else word


def _other_word(run: Run, status: str, now: float, active: frozenset[str]) -> str | None:
    if status == RUNNING:
        return _running_word(run, now, active)
    if status == CANCELLED and not run.has_expired(now):
        return None
    return next((word for trait, word in _WORDS.get(status, ()) if trait in active), None)


def _running_word(run: Run, now: float, active: frozenset[str]) -> str | None:
    if traits.STATUS_STRANGE in active:
        return "REHEATING"
    if traits.STATUS_PROCESSING in active:
        return "PROCESSING" if len(run.legs) == 1 else "APPROVED"
    elapsed = now - run.legs[0].started_at
    if traits.STATUS_CREATED in active and elapsed < run.seconds / 2:
        return "CREATED" if elapsed < run.seconds / 4 else "PENDING"
    return None


def agent_run_json(run: Run, step: StepRun, active: frozenset[str]) -> dict[str, Any]:
    """Return one call of an agent, as the runs of a session list it."""
    task = run.tasks[step.index]
    updated = step.ended_at if step.ended_at is not None else step.started_at
    times = active - {traits.ZULU_TIMES}  # the vendor's page does not know of it
    return {
        "id": f"{run.run_id}-{step.index}-{round(step.started_at * 1000) % 100_000}",
        "agentId": task.agent_id,
        "sessionId": run.session_id,
        "userId": "system",
        "orgId": run.org,
        "parentRunId": None,
        "input": step.text,
        "output": step.output,
        "status": step.status,
        "createdAt": local(step.started_at, times),
        "updatedAt": local(updated, times),
        "requiredAction": "approval" if step.status == PAUSED else None,
        "model": "simulated",
        "inputTokens": len(step.text.split()),
        "outputTokens": len((step.output or "").split()),
        "durationMs": None if step.status == RUNNING else round(run.seconds * 1000),
        "totalCostUsd": None,
        "errorType": "AgentFailure" if step.status == FAILED else None,
        "errorMessage": task.error if step.status == FAILED else None,
    }


def node_run_json(run: Run, step: StepRun) -> dict[str, Any]:
    """Return one step of a run that was dispatched along edges; its times have a zone."""
    task = run.tasks[step.index]
    failed, paused = step.status == FAILED, step.status == PAUSED
    return {
        "id": f"{run.run_id}-node-{step.index}",
        "nodeId": task.step_id,
        "nodeName": task.agent_id,
        "kind": task.kind,
        "success": not failed and not paused and step.ended_at is not None,
        "error": task.error if failed else None,
        "paused": paused,
        "pauseKind": "TOOL_APPROVAL" if paused else None,
        "content": step.output,
        "tokenCost": len((step.output or "").split()),
        "modelId": "simulated" if task.calls else None,
        "startedAt": zoned(step.started_at),
        "endedAt": None if step.ended_at is None else zoned(step.ended_at),
    }
