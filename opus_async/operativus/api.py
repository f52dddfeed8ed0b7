"""The calls of the Operativus API, one coroutine each.

Nothing here knows what order the calls belong in, or what a job is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from opus_async.clients.sender import Sender
from opus_async.clients.starting import send_start
from opus_async.config import RetryPolicy
from opus_async.operativus.models import ResumedRun, Run, StartedRun, Step, Workflow
from opus_async.operativus.protocol import readers, requests, step_readers
from opus_async.operativus.protocol.api_messages import NodeRun, RouteOptions, SessionRun
from opus_async.operativus.protocol.pages import Page
from opus_async.platform import AboutToSend, nothing
from opus_async.transport.limits import Priority
from opus_async.wire.messages import ApiRequest, ApiResponse

ValueT = TypeVar("ValueT")

TRUSTED_FOR = 60.0
"""Seconds after a good answer for which a token is taken to be valid still."""


class Api:
    """The Operativus API, authenticated as one user.

    Args:
        sender: Sends the requests.

    Attributes:
        base_url: The server, without trailing slash.
    """

    def __init__(self, sender: Sender) -> None:
        self.base_url = sender.base_url
        self._sender = sender
        self._send = sender.send
        self._trying_token = asyncio.Lock()

    async def authenticate(self) -> None:
        """Log in, where that is needed and was not done yet.

        Raises:
            AuthenticationError: The credentials are refused, now or before.
        """
        await self._sender.authenticate()

    async def try_token(self) -> None:
        """See that the token is valid, and renew it if not, unless it has just worked.

        For calls that may not be repeated: they are not sent again with a newer token.

        Raises:
            AuthenticationError: The credentials are refused, now or before.
        """
        await self.authenticate()
        async with self._trying_token:
            if asyncio.get_running_loop().time() - self._sender.key_worked_at > TRUSTED_FOR:
                await self.workflows(page=0, size=1)

    # Workflows

    async def workflows(
        self, *, page: int, size: int, sort: str | None = None, policy: RetryPolicy | None = None
    ) -> Page[Workflow]:
        """Read a page of the workflows."""
        call = requests.workflows(page=page, size=size, sort=sort)
        return await self._send(call, readers.read_workflows, policy=policy)

    async def workflow(self, workflow_id: str) -> Workflow:
        """Read a workflow; servers leave its steps out."""
        return await self._send(requests.workflow(workflow_id), readers.read_workflow)

    async def create_workflow(
        self, name: str, *, description: str | None, workflow_id: str, steps: Sequence[Step]
    ) -> Workflow:
        """Make a workflow. A server may give it another id than ours, and may leave the steps out."""
        call = requests.create_workflow(name, description=description, workflow_id=workflow_id, steps=steps)
        return await self._send(call, readers.read_workflow)

    async def update_workflow(
        self, workflow_id: str, *, name: str | None, description: str | None
    ) -> Workflow:
        """Change the name or the description of a workflow."""
        call = requests.update_workflow(workflow_id, name=name, description=description)
        return await self._send(call, readers.read_workflow)

    async def delete_workflow(self, workflow_id: str) -> None:
        """Delete a workflow; its success does not tell whether there was one."""
        await self._send(requests.delete_workflow(workflow_id), readers.read_done)

    async def clone_workflow(self, workflow_id: str) -> Workflow:
        """Copy a workflow. Not repeated after a lost answer, which may have left a copy."""
        read = partial(readers.read_clone, of=workflow_id)
        return await self._send(requests.clone_workflow(workflow_id), read)

    # Steps

    async def steps(self, workflow_id: str) -> tuple[Step, ...]:
        """Read the steps of a workflow; none also where there is no such workflow."""
        return await self._send(requests.steps(workflow_id), readers.read_steps)

    async def add_step(self, workflow_id: str, step: Step) -> Step:
        """Add a step, which has its place and an id of our own."""
        return await self._send(requests.add_step(workflow_id, step), readers.read_step)

    async def update_step(
        self, workflow_id: str, step: Step, *, agent_id: str | None, order: int | None
    ) -> Step:
        """Change a step, of which all is sent back as it was read."""
        call = requests.update_step(workflow_id, step, agent_id=agent_id, order=order)
        return await self._send(call, readers.read_step)

    async def remove_step(self, workflow_id: str, step_id: str) -> None:
        """Remove a step; its success does not tell whether there was one."""
        await self._send(requests.remove_step(workflow_id, step_id), readers.read_done)

    # Runs

    async def run(
        self,
        workflow_id: str,
        text: str | None,
        *,
        session_id: str,
        about_to_send: AboutToSend = nothing,
        on_attempt: Callable[[], None] = lambda: None,
    ) -> StartedRun:
        """Order a run, and its bill. Repeated only when no byte of it can have left, or on a 429.

        Args:
            workflow_id: The workflow.
            text: The input of its first step.
            session_id: Under which the run is found again.
            about_to_send: Told once, when it has its turn.
            on_attempt: Called right before each attempt is sent.

        Raises:
            AmbiguousStart: It may or may not have taken effect, whatever was answered.
            OpusError: Proved to have had no effect.
        """
        call = requests.run(workflow_id, text, session_id=session_id)
        return await send_start(
            self._sender, call, readers.read_started, about_to_send, on_attempt=on_attempt
        )

    async def runs(
        self,
        workflow_id: str,
        *,
        page: int,
        size: int,
        priority: Priority = Priority.WORK,
        policy: RetryPolicy | None = None,
    ) -> Page[Run]:
        """Read a page of the runs of a workflow, newest first; none also where there is no such workflow."""
        call = requests.runs(workflow_id, page=page, size=size)
        return await self._send(call, readers.read_runs, priority=priority, policy=policy)

    async def resume(self, run_id: str, output: str) -> ResumedRun:
        """Answer a run that is paused. Not repeated after a lost answer: it could meet the next pause."""
        return await self._send(requests.resume(run_id, output), readers.read_resumed)

    async def continue_run(self, run_id: str, choice: str) -> ResumedRun:
        """Choose the way on which a run goes on; not repeated either."""
        return await self._send(requests.continue_run(run_id, choice), readers.read_resumed)

    async def cancel(self, run_id: str) -> None:
        """Cancel a run; one that is over stays as it is."""
        await self._send(requests.cancel(run_id), readers.read_done)

    async def route_options(self, run_id: str) -> RouteOptions:
        """Read the ways on which a run can go on."""
        return await self._send(requests.route_options(run_id), readers.read_route_options)

    # What a run left behind

    async def session_runs(self, session_id: str) -> tuple[SessionRun, ...]:
        """Read which agents were called in a session, and what they gave; for users with the role ADMIN."""
        return await self._collect(requests.session_runs(session_id), step_readers.read_session_runs)

    async def node_runs(self, run_id: str) -> tuple[NodeRun, ...]:
        """Read what the nodes of a run did; none where its workflow has no edges."""
        return await self._collect(requests.node_runs(run_id), step_readers.read_node_runs)

    async def _collect(self, call: ApiRequest, read: Callable[[ApiResponse], ValueT]) -> ValueT:
        return await self._send(call, read, priority=Priority.COLLECT)
