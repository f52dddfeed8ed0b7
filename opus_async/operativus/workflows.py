"""``operativus.workflows``: workflows are listed, made, changed, copied and deleted."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import replace

from opus_async.errors import InvalidInputs, OpusError, ProtocolError
from opus_async.gaps import gapped
from opus_async.input_problems import bad_argument
from opus_async.operativus.api import Api
from opus_async.operativus.models import Step, Workflow
from opus_async.operativus.pages import Pages
from opus_async.operativus.protocol import requests
from opus_async.operativus.steps import with_id

log = logging.getLogger("opus_async.operativus")


class Workflows:
    """The calls about workflows; making and changing them takes the role ADMIN.

    Args:
        api: The calls.
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    def list(self, *, page_size: int = requests.DEFAULT_PAGE, sort: str | None = None) -> Pages[Workflow]:
        """List the workflows (``GET /workflows``): an async iterator over all pages.

        Args:
            page_size: Workflows per request; servers cut it to 200.
            sort: A field, or a field and its direction: ``createdAt,desc``.

        Raises:
            InvalidInputs: The page size is below 1, or ``sort`` cannot be meant.
        """
        requests.workflows(size=page_size, sort=sort)
        return Pages(
            lambda page: self._api.workflows(page=page, size=page_size, sort=sort),
            lambda workflow: workflow.id,
        )

    async def get(self, workflow_id: str) -> Workflow:
        """Read a workflow (``GET /workflows/{id}``); ``steps`` are None where the server leaves them out."""
        return await self._api.workflow(workflow_id)

    async def create(
        self, name: str, *, description: str | None = None, steps: Iterable[Step] = ()
    ) -> Workflow:
        """Make a workflow with these steps (``POST /workflows``), whole or not at all.

        Servers do not store the steps that come with a workflow: those that are missing are added one by one.
        If one cannot be added, the workflow is deleted again.

        Args:
            name: As people see it.
            description: None for none.
            steps: In order; a step that names no place stands behind the one before it.

        Returns:
            The workflow, with its steps as the server has stored them.

        Raises:
            PermissionDenied: The user lacks the role ADMIN.
            OpusError: A step could not be added; the message tells which, and what was left.
        """
        wanted = _placed(steps)
        made = await self._api.create_workflow(
            name, description=description, workflow_id=str(uuid.uuid4()), steps=wanted
        )
        if not wanted:
            return made if made.steps is not None else replace(made, steps=())
        try:
            stored = await self._add_missing(made.id, wanted)
        except OpusError as error:
            raise await self._undone(made, error) from error.__cause__
        except asyncio.CancelledError as cancelled:
            cancelled.add_note(f"Workflow {made.id} was made, and may lack steps")
            raise
        return replace(made, steps=stored)

    async def update(
        self, workflow_id: str, *, name: str | None = None, description: str | None = None
    ) -> Workflow:
        """Change the name or the description (``PATCH /workflows/{id}``); None leaves it as it is.

        A description cannot be taken away, only emptied.
        """
        return await self._api.update_workflow(workflow_id, name=name, description=description)

    async def delete(self, workflow_id: str) -> None:
        """Delete a workflow and its steps (``DELETE /workflows/{id}``).

        Servers answer alike where there is no such workflow, or it is another organization's.
        """
        await self._api.delete_workflow(workflow_id)

    async def clone(self, workflow_id: str) -> Workflow:
        """Copy a workflow and its steps (``POST /workflows/{id}/clone``); the copy is named ``... (Copy)``.

        Servers copy of a step its agent, action and place alone. Not repeated after a lost answer, which may
        have left a copy.
        """
        return await self._api.clone_workflow(workflow_id)

    async def _add_missing(self, workflow_id: str, wanted: Sequence[Step]) -> tuple[Step, ...]:
        """Add the steps that the server did not store with the workflow; returns all of them as stored."""
        stored = list(await self._api.steps(workflow_id))
        if [(step.agent_id, step.action) for step in stored] != [
            (step.agent_id, step.action) for step in wanted[: len(stored)]
        ]:
            raise ProtocolError(
                gapped("Workflow {} was stored with other steps than it was given", workflow_id)
            )
        for place, step in enumerate(wanted[len(stored) :], len(stored) + 1):
            try:
                stored.append(await self._api.add_step(workflow_id, with_id(step)))
            except OpusError as error:
                which = f"Step {place} of {len(wanted)} (agent {step.agent_id!r})"
                error.message = f"{which} could not be added: {error.message}"
                raise
        return tuple(stored)

    async def _undone(self, made: Workflow, error: OpusError) -> OpusError:
        """Delete a workflow that lacks steps; the error, which says what was left."""
        said = error.message.rstrip(". ")
        try:
            await self._api.delete_workflow(made.id)
        except OpusError as left:
            log.warning("workflow %s lacks steps and could not be deleted: %s", made.id, left)
            error.message = (
                f"{said}. Workflow {made.id} was left without that step and those behind it: "
                f"deleting it failed, too ({left.message})"
            )
        else:
            error.message = f"{said}. The workflow was deleted again: nothing is left of it"
        return error


def _placed(steps: Iterable[Step]) -> list[Step]:
    """The steps with their places, in order.

    Raises:
        InvalidInputs: Something in the list is no step.
    """
    placed: list[Step] = []
    last = 0
    for step in steps:
        if not isinstance(step, Step):
            raise InvalidInputs([bad_argument(f"steps holds a {type(step).__name__}, not a Step")])
        last = last + 1 if step.order is None else step.order
        placed.append(replace(step, order=last, id=None))
    return sorted(placed, key=lambda step: step.order or 0)
