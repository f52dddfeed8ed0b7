"""Workflows, steps and runs as tables and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from opus_async.cli.tables import columns, terminal_width

if TYPE_CHECKING:
    from opus_async.operativus import Run, Step, Workflow


def workflow_as_json(workflow: Workflow, steps: Sequence[Step] | None = None) -> dict[str, Any]:
    """A workflow for programs; ``raw`` is the server's answer.

    Args:
        workflow: The workflow.
        steps: Its steps, where they were asked for; else those that it came with.
    """
    known = workflow.steps if steps is None else steps
    return {
        "id": workflow.id,
        "name": workflow.name,
        "description": workflow.description,
        "steps": None if known is None else [step_as_json(step) for step in known],
        "raw": dict(workflow.raw),
    }


def step_as_json(step: Step) -> dict[str, Any]:
    """A step for programs; ``raw`` is the server's answer."""
    return {
        "id": step.id,
        "order": step.order,
        "agent": step.agent_id,
        "action": step.action,
        "raw": dict(step.raw),
    }


def workflows_table(workflows: Sequence[Workflow]) -> str:
    """Workflows as a table."""
    rows = [("ID", "NAME", "STEPS", "DESCRIPTION")]
    rows += [(each.id, each.name, _step_count(each), each.description or "") for each in workflows]
    return columns(rows, width=terminal_width())


def steps_table(steps: Sequence[Step]) -> str:
    """Steps as a table."""
    rows = [("ORDER", "ID", "AGENT", "ACTION")]
    rows += [(_number(step.order), step.id or "", step.agent_id, step.action) for step in steps]
    return columns(rows, width=terminal_width())


def runs_table(runs: Sequence[Run]) -> str:
    """Runs as a table; times in UTC, by the clock of the server."""
    rows = [("RUN", "STATUS", "STEP", "CREATED (UTC)", "SESSION")]
    rows += [
        (
            run.id,
            run.status.raw,
            _number(run.step_order),
            f"{run.created_at:%Y-%m-%d %H:%M:%S}" if run.created_at else "",
            run.session_id or "",
        )
        for run in runs
    ]
    return columns(rows, width=terminal_width())


def _step_count(workflow: Workflow) -> str:
    """How many steps it has, as far as the list of workflows tells."""
    count = workflow.raw.get("stepCount") if workflow.steps is None else len(workflow.steps)
    return str(count) if isinstance(count, int) else ""


def _number(number: int | None) -> str:
    return "" if number is None else str(number)
