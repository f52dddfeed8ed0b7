"""The difference between a file and a server, as lines and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opus_async.cli.operativus.changes import (
    AddStep,
    Change,
    ChangeStep,
    Create,
    Describe,
    Plan,
    RemoveStep,
)
from opus_async.cli.operativus.shown import step_as_json


def lines(plan: Plan) -> Iterator[str]:
    """The difference of one workflow, a line for each change."""
    name = plan.wanted.name
    if plan.found is None:
        yield f"+ workflow {name}"
        for number, wanted in enumerate(plan.wanted.steps or (), 1):
            yield f"    + step {number}, {wanted.agent}: {wanted.action}"
        return
    if not plan.changes and not plan.left:
        yield f"= workflow {name} ({plan.found.id}): no difference"
        return
    yield f"~ workflow {name} ({plan.found.id})"
    for change in plan.changes:
        yield from (f"    {line}" for line in _lines_of(change))
    for step in plan.left:
        is_left = "is not in the file; --prune removes it"
        yield f"    ! step {step.order}, {step.agent_id}: {step.action} {is_left}"


def _lines_of(change: Change) -> Iterator[str]:
    match change:
        case Describe(name=name, description=description, before=before):
            if name is not None:
                yield f"~ name: {before.name!r} -> {name!r}"
            if description is not None:
                yield f"~ description: {before.description or ''!r} -> {description!r}"
        case AddStep(step=wanted, order=order):
            yield f"+ step {order}, {wanted.agent}: {wanted.action}"
        case ChangeStep(step=step, agent=agent, order=order):
            agents = f", agent {step.agent_id} -> {agent}" if agent is not None else ""
            orders = f", place {step.order} -> {order}" if order is not None else ""
            yield f"~ step {step.order}, {step.agent_id}: {step.action}{agents}{orders}"
        case RemoveStep(step=step):
            yield f"- step {step.order}, {step.agent_id}: {step.action}"


def as_json(plan: Plan) -> dict[str, Any]:
    """The difference of one workflow for programs."""
    return {
        "name": plan.wanted.name,
        "id": plan.found.id if plan.found is not None else None,
        "changes": [_change_as_json(change) for change in plan.changes],
        "left": [step_as_json(step) for step in plan.left],
    }


def _change_as_json(change: Change) -> dict[str, Any]:
    match change:
        case Create(workflow=wanted):
            steps = [{"agent": step.agent, "action": step.action} for step in wanted.steps or ()]
            return {"change": "create", "description": wanted.description, "steps": steps}
        case Describe(name=name, description=description):
            return {"change": "describe", "name": name, "description": description}
        case AddStep(step=wanted, order=order):
            return {"change": "add_step", "agent": wanted.agent, "action": wanted.action, "order": order}
        case ChangeStep(step=step, agent=agent, order=order):
            return {"change": "change_step", "id": step.id, "agent": agent, "order": order}
        case RemoveStep(step=step):
            return {"change": "remove_step", "id": step.id}
