"""Compares what a file says with a server, and makes the changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from opus_async.cli.errors import Failed, WrongUse
from opus_async.cli.operativus.changes import (
    AddStep,
    Change,
    ChangeStep,
    Create,
    Describe,
    NoSuchStep,
    Plan,
    RemoveStep,
    plan_of,
)
from opus_async.cli.operativus.definitions import WantedWorkflow
from opus_async.errors import OpusError
from opus_async.operativus import Step, Workflow
from opus_async.text import counted

if TYPE_CHECKING:
    from opus_async.operativus.client import OperativusClient

_PAGE = 200


async def plans(client: OperativusClient, wanted: Sequence[WantedWorkflow], *, prune: bool) -> list[Plan]:
    """Compare the file with the server.

    Raises:
        WrongUse: The file names what is not there, or what it cannot mean.
    """
    there = [workflow async for workflow in client.workflows.list(page_size=_PAGE)]
    found_plans = []
    meant: dict[str, WantedWorkflow] = {}
    for each in wanted:
        found = _found(each, there)
        if found is not None and (other := meant.setdefault(found.id, each)) is not each:
            raise WrongUse(
                f"{each.where}: workflow {found.id} (now named {found.name!r}) is meant at {other.where}, "
                "too: give one of them another name, or the id of another one; nothing was changed"
            )
        steps = await client.steps.list(found.id) if found is not None and each.steps is not None else []
        try:
            found_plans.append(plan_of(each, found, steps, prune=prune))
        except NoSuchStep as error:
            raise WrongUse(f"{error}; nothing was changed") from None
    return found_plans


def _found(wanted: WantedWorkflow, there: Sequence[Workflow]) -> Workflow | None:
    """The workflow that is meant; None where it is to be made."""
    if wanted.id is not None:
        found = next((each for each in there if each.id == wanted.id), None)
        if found is None:
            raise WrongUse(
                f"{wanted.where}: there is no workflow {wanted.id} (for this user): correct the id, or take "
                "it out to make a new workflow; nothing was changed"
            )
        return found
    named = [each for each in there if each.name == wanted.name]
    if len(named) > 1:
        ids = ", ".join(each.id for each in named)
        raise WrongUse(
            f"{wanted.where}: {len(named)} workflows are named {wanted.name!r}: give the id of the one that "
            f"is meant ({ids}); nothing was changed"
        )
    return named[0] if named else None


async def make(client: OperativusClient, plans: Sequence[Plan], number: int) -> None:
    """Make the changes, and see that the steps are what the file says.

    Raises:
        Failed: They are not.
        OpusError: A change failed; the message says how many were made.
    """
    made = 0
    for plan in plans:
        for change in plan.changes:
            try:
                await _change(client, plan, change)
            except OpusError as error:
                error.message = (
                    f"{error.message.rstrip('. ')}. {made} of {counted(number, 'change')} had been made by "
                    "then: run the same command again to go on"
                )
                raise
            made += 1
        if plan.changes and plan.found is not None and plan.wanted.steps is not None and not plan.left:
            _check(plan, await client.steps.list(plan.found.id))


async def _change(client: OperativusClient, plan: Plan, change: Change) -> None:
    workflow_id = plan.found.id if plan.found is not None else ""
    match change:
        case Create(workflow=wanted):
            steps = [Step(step.agent, step.action) for step in wanted.steps or ()]
            await client.workflows.create(wanted.name, description=wanted.description, steps=steps)
        case Describe(name=name, description=description):
            await client.workflows.update(workflow_id, name=name, description=description)
        case AddStep(step=wanted, order=order):
            await client.steps.add(workflow_id, wanted.agent, wanted.action, order=order)
        case ChangeStep(step=step, agent=agent, order=order):
            await client.steps.update(workflow_id, step.id or "", agent_id=agent, order=order)
        case RemoveStep(step=step):
            await client.steps.remove(workflow_id, step.id or "")


def _check(plan: Plan, steps: Sequence[Step]) -> None:
    wanted = [(step.agent, step.action) for step in plan.wanted.steps or ()]
    if [(step.agent_id, step.action) for step in steps] != wanted:
        raise Failed(
            f"{plan.wanted.where}: every change was accepted, and the steps are still others than the file "
            "says: does somebody else change the workflow?"
        )
