"""Completed runs that a workflow's list begins with: made when they are looked at, kept nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opus_async.simulator.operativus.plans import Task
from opus_async.simulator.operativus.runs import Run
from opus_async.simulator.operativus.shapes import run_json
from opus_async.simulator.seeded_random import identifier

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opus_async.simulator.operativus.definitions import Definition

_APART = 60.0
_LASTED = 8.45


def old_rows(
    workflow: Definition, places: Iterable[int], seed: int, active: frozenset[str]
) -> list[dict[str, Any]]:
    """Return the old runs of a workflow at these places, 0 for the newest."""
    return [run_json(_old(workflow, place, seed), workflow.created_at, active) for place in places]


def _old(workflow: Definition, place: int, seed: int) -> Run:
    began = workflow.created_at - _APART * (place + 1)
    run = Run(
        run_id=identifier(seed, "old run", workflow.workflow_id, place),
        workflow_id=workflow.workflow_id,
        org=workflow.org,
        session_id=identifier(seed, "old session", workflow.workflow_id, place),
        tasks=(Task("", 1, None, "AGENT"),),
        graph=False,
        created_at=began,
        seconds=_LASTED,
        expires_after=0.0,
    )
    run.begin(began, "")
    return run
