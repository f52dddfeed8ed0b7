"""``operativus.steps``: the steps of a workflow."""

from __future__ import annotations

import uuid
from dataclasses import replace

from opus_async.errors import InvalidInputs, NotFound
from opus_async.gaps import gapped
from opus_async.input_problems import InputProblem, ProblemCode
from opus_async.operativus.api import Api
from opus_async.operativus.models import Step
from opus_async.operativus.protocol.requests import named


class Steps:
    """The calls about steps; making and changing them takes the role ADMIN.

    Args:
        api: The calls.
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    async def list(self, workflow_id: str) -> list[Step]:
        """The steps of a workflow, in order (``GET /workflows/{id}/steps``).

        Servers answer with an empty list for a workflow that they do not know, too.
        """
        return [*await self._api.steps(workflow_id)]

    async def add(self, workflow_id: str, agent_id: str, action: str, *, order: int | None = None) -> Step:
        """Add a step (``POST /workflows/{id}/steps``).

        Args:
            workflow_id: The workflow.
            agent_id: The agent that is asked.
            action: What it is to do; see :class:`Step`.
            order: Its place, from 1; None for behind the last.

        Raises:
            NotFound: There is no such workflow, or no such agent: the message tells which.
        """
        if order is None:
            order = next_order(await self._api.steps(workflow_id))
        try:
            return await self._api.add_step(workflow_id, with_id(Step(agent_id, action, order)))
        except NotFound as error:
            await self._api.workflow(workflow_id)  # raises if it is the workflow that is not there
            error.message = (
                f"Workflow {workflow_id} is there, so it is the step that the server does not take: check "
                f"the id of its agent, {agent_id!r}. {error.message}"
            )
            raise

    async def update(
        self,
        workflow_id: str,
        step_id: str,
        *,
        agent_id: str | None = None,
        order: int | None = None,
        action: str | None = None,
    ) -> Step:
        """Change the agent or the place of a step (``PATCH``; in the server's source, not documented).

        The server resets what it is not sent. So the step is read, and all of it sent back with the change.

        Args:
            workflow_id: The workflow.
            step_id: The step.
            agent_id: The new agent; None for the same.
            order: The new place; None for the same.
            action: Cannot be changed.

        Raises:
            InvalidInputs: Nothing is to be changed, or the action is.
            NotFound: The workflow has no such step.
        """
        wanted = named(step_id, "step id")
        step = next((step for step in await self._api.steps(workflow_id) if step.id == wanted), None)
        if step is None:
            raise NotFound(
                gapped("Workflow {} has no step {}", workflow_id, wanted), status=404, method="GET"
            )
        if action is not None and action != step.action:
            raise InvalidInputs([_action_stays(step)])
        if action is not None and agent_id is None and order is None:
            return step
        return await self._api.update_step(workflow_id, step, agent_id=agent_id, order=order)

    async def remove(self, workflow_id: str, step_id: str) -> None:
        """Remove a step (``DELETE /workflows/{id}/steps/{stepId}``).

        Servers answer alike for a step that is not there, and look at the id of the step alone.
        """
        await self._api.remove_step(workflow_id, step_id)


def next_order(steps: tuple[Step, ...]) -> int:
    """The place behind the last step, from 1."""
    return max((step.order for step in steps if step.order is not None), default=0) + 1


def with_id(step: Step) -> Step:
    """A step with an id of our own, so that adding it may be repeated after a lost answer."""
    return replace(step, id=str(uuid.uuid4()))


def _action_stays(step: Step) -> InputProblem:
    return InputProblem(
        "The server cannot change the action of a step",
        code=ProblemCode.NOT_SUPPORTED,
        fix=f"replace the step: steps.add(workflow_id, agent_id, action, order={step.order}), then "
        f"steps.remove(workflow_id, {step.id!r})",
    )
