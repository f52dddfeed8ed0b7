"""Workflows, their steps and their edges, as organizations own them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(slots=True)
class Step:
    """One step of a workflow.

    Attributes:
        step_id: Its id.
        workflow_id: The workflow it is of.
        order: Its place; several steps may have the same.
        agent_id: Whom it calls; None for a structural step.
        action: Its text; some words make it another kind of step, see `agents.kind_of`.
        settings: The members of the wire besides: routerConfig, onReject, elseStepId, requiresConfirmation.
        created_at: Epoch seconds.
        updated_at: Epoch seconds.
    """

    step_id: str
    workflow_id: str
    order: int
    agent_id: str | None
    action: str | None
    settings: dict[str, Any]
    created_at: float
    updated_at: float


@dataclass(slots=True)
class Edge:
    """One edge of a workflow's graph; `condition` is the label of its port, None for no condition."""

    edge_id: str
    from_step: str
    to_step: str
    condition: str | None


@dataclass(slots=True)
class Definition:
    """One workflow.

    Attributes:
        workflow_id: Its id.
        org: The organization that owns it; for others it does not exist.
        name: Its name.
        description: Its description, or None.
        created_at: Epoch seconds.
        updated_at: Epoch seconds.
        steps: Its steps, by their order; those of the same order as they were added.
        edges: Its edges; without any, its steps run by their order.
    """

    workflow_id: str
    org: str
    name: str
    description: str | None
    created_at: float
    updated_at: float
    steps: list[Step] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)

    def step(self, step_id: str) -> Step | None:
        """Return the step with this id, or None."""
        return next((step for step in self.steps if step.step_id == step_id), None)

    def put(self, step: Step) -> None:
        """Add a step, or replace the one with its id."""
        self.steps = [each for each in self.steps if each.step_id != step.step_id]
        self.steps.append(step)
        self.sort()

    def sort(self) -> None:
        """Bring the steps into their order."""
        self.steps.sort(key=lambda step: step.order)

    def remove(self, step_id: str) -> None:
        """Remove a step and the edges at it."""
        self.steps = [step for step in self.steps if step.step_id != step_id]
        self.edges = [edge for edge in self.edges if step_id not in (edge.from_step, edge.to_step)]


class Definitions:
    """The workflows of every organization."""

    def __init__(self) -> None:
        self._by_id: dict[str, Definition] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def of(self, org: str) -> list[Definition]:
        """Return the workflows of an organization, oldest first."""
        return [workflow for workflow in self._by_id.values() if workflow.org == org]

    def find(self, workflow_id: str, org: str) -> Definition | None:
        """Return a workflow of this organization, or None."""
        workflow = self._by_id.get(workflow_id)
        return workflow if workflow is not None and workflow.org == org else None

    def is_taken(self, workflow_id: str, org: str) -> bool:
        """Whether another organization has a workflow with this id."""
        workflow = self._by_id.get(workflow_id)
        return workflow is not None and workflow.org != org

    def add(self, workflow: Definition) -> None:
        """Add a workflow."""
        self._by_id[workflow.workflow_id] = workflow

    def remove(self, workflow: Definition) -> None:
        """Remove a workflow and its steps; its runs stay."""
        del self._by_id[workflow.workflow_id]

    def step(self, step_id: str, org: str) -> tuple[Definition, Step] | None:
        """Return a step of this organization and its workflow, whatever workflow that is."""
        return _first((workflow, workflow.step(step_id)) for workflow in self.of(org))


def _first(found: Iterable[tuple[Definition, Step | None]]) -> tuple[Definition, Step] | None:
    for workflow, step in found:
        if step is not None:
            return workflow, step
    return None


def settings_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a request says of a step besides agent, action and order; what is absent is reset."""
    return {
        "routerConfig": body.get("routerConfig"),
        "onReject": body.get("onReject"),
        "elseStepId": body.get("elseStepId"),
        "requiresConfirmation": body.get("requiresConfirmation") is True,
    }
