"""Polls the statuses of runs, of all workflows of a client: one list answers for all runs of a workflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from opus_async.clients.sender import ONE_TRY
from opus_async.config import RetryPolicy
from opus_async.errors import OpusError
from opus_async.models import JobStatus
from opus_async.operativus import start_judge
from opus_async.operativus.api import Api
from opus_async.operativus.listing.listing import RunListing
from opus_async.operativus.models import Run
from opus_async.operativus.protocol.pages import Page
from opus_async.operativus.protocol.requests import LARGEST_PAGE
from opus_async.operativus.start_judge import StartJudge
from opus_async.transport.limits import Priority

WORKFLOWS = 200
"""Workflows that are remembered while no run of theirs is looked after."""


class WorkflowRuns:
    """What a client knows of the runs of one workflow.

    Args:
        workflow_id: The workflow.
        api: The calls.
        policy: What is needed of it to judge uncertain starts.

    Attributes:
        listing: The list of its runs.
        starts: The starts of this client, for judging those whose answer was lost.
    """

    def __init__(self, workflow_id: str, api: Api, policy: RetryPolicy) -> None:
        self.starts = StartJudge(max(policy.execute_grace, start_judge.VISIBLE_FOR))
        read_page = partial(_read_page, api, workflow_id)
        self.listing = RunListing(read_page, partial(_read_top, api, workflow_id), self.starts.shown)


async def _read_page(api: Api, workflow_id: str, number: int) -> Page[Run]:
    return await api.runs(workflow_id, page=number, size=LARGEST_PAGE, priority=Priority.POLL, policy=ONE_TRY)


async def _read_top(api: Api, workflow_id: str) -> Run | None:
    page = await api.runs(workflow_id, page=0, size=1)
    return page.items[0] if page.items else None


class RunSource:
    """The runs of all workflows of one client; see :class:`opus_async.platform.StatusSource`.

    Args:
        api: The calls.
        policy: Of the client.
    """

    batch_size = 1_000_000  # a list answers for all runs that are in it

    def __init__(self, api: Api, policy: RetryPolicy) -> None:
        self._api = api
        self._policy = policy
        self._workflows: dict[str, WorkflowRuns] = {}

    def of(self, workflow_id: str) -> WorkflowRuns:
        """What is known of the runs of a workflow, the same object at each call, unless it was long idle."""
        known = self._workflows.pop(workflow_id, None)
        if known is None:
            known = WorkflowRuns(workflow_id, self._api, self._policy)
            self._forget_idle()
        self._workflows[workflow_id] = known  # at the end: the first was not asked for longest
        return known

    async def poll(self, workflow_id: str, remote_ids: Sequence[str]) -> Mapping[str, JobStatus | OpusError]:
        """See how these runs stand, in one reading of the list."""
        return await self.of(workflow_id).listing.look(remote_ids)

    async def is_well(self) -> bool:
        """Whether the server answers a request that names no run."""
        try:
            await self._api.workflows(page=0, size=1, policy=ONE_TRY)
        except OpusError:
            return False
        return True

    def _forget_idle(self) -> None:
        if len(self._workflows) < WORKFLOWS:
            return
        idle = next((key for key, runs in self._workflows.items() if runs.listing.is_idle), None)
        if idle is not None:
            del self._workflows[idle]
