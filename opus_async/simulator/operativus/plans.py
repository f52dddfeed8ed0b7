"""What one run will do, settled when it is accepted: its steps, and where it waits or fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opus_async.simulator.operativus.agents import (
    AGENT_KINDS,
    APPROVAL_AGENT,
    FAILING_AGENT,
    answer_of,
    kind_of,
)

if TYPE_CHECKING:
    from opus_async.simulator.operativus.definitions import Step

PAUSED, ROUTE = "PAUSED", "AWAITING_ROUTE_SELECTION"
"""The words for a run that waits for a person: for a text, and for a choice."""


@dataclass(frozen=True, slots=True)
class Task:
    """One step as a run does it.

    Attributes:
        step_id: The step.
        order: Its place, as runs tell it.
        agent_id: Whom it calls; None for nobody.
        kind: Its kind.
        waits: `PAUSED` or `ROUTE` if it ends by waiting for a person; empty if not.
        error: Why it fails; empty if it does not.
        choices: Of a router: choice key -> index of the task that it goes on with; None if there is none.
        default_choice: Of a router.
        sources: Indices of the tasks whose outputs it is given; empty for the one before it.
    """

    step_id: str
    order: int
    agent_id: str | None
    kind: str
    waits: str = ""
    error: str = ""
    choices: tuple[tuple[str, int | None], ...] = ()
    default_choice: str | None = None
    sources: tuple[int, ...] = ()

    @property
    def calls(self) -> bool:
        """Whether it calls an agent; the others hand their text on."""
        return self.agent_id is not None and self.kind in AGENT_KINDS

    def answer(self, text: str) -> str:
        """Return what comes out of it."""
        return answer_of(self.agent_id, text) if self.calls and self.agent_id else text


def task_of(step: Step, *, routers: bool, places: dict[str, int]) -> Task:
    """Return a step as a task.

    Args:
        step: The step.
        routers: Whether ROUTER steps do anything.
        places: Step id -> index of its task.
    """
    kind = kind_of(step.action)
    config = step.settings["routerConfig"] or {}
    if kind == "ROUTER" and routers and config.get("selectorType") == "HITL":
        choices = tuple((key, places.get(target)) for key, target in sorted(config["choices"].items()))
        return Task(
            step.step_id,
            step.order,
            None,
            kind,
            waits=ROUTE,
            choices=choices,
            default_choice=config.get("defaultChoice"),
        )
    confirms = kind == "CONDITION" and step.settings["requiresConfirmation"]
    asks = kind in AGENT_KINDS and step.agent_id == APPROVAL_AGENT
    fails = kind in AGENT_KINDS and step.agent_id == FAILING_AGENT
    return Task(
        step.step_id,
        step.order,
        step.agent_id,
        kind,
        waits=PAUSED if confirms or asks else "",
        error=f"agent {step.agent_id} failed" if fails else "",
    )
