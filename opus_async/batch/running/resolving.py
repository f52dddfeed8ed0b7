"""Asks the platform about jobs that a person is about to decide about; changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from opus_async.batch.ledger.decisions import STARTED
from opus_async.batch.ports import Client
from opus_async.batch.world import Job, place_of
from opus_async.errors import AuthenticationError, HostDown, first_error
from opus_async.models import JobStatus
from opus_async.platform import Platform
from opus_async.tasks import start_in

ASKED_AT_ONCE = 32
LOOKS = 2
"""At one job, where the first cannot be had."""


async def started(client: Client, workflow_id: str, jobs: Sequence[Job]) -> dict[str, str]:
    """Which of these jobs the platform shows as started: key -> status.

    One that it does not know, or whose answer cannot be read, is not among them, and neither is one that was
    made elsewhere.

    Raises:
        OpusError: The platform cannot be asked at all.
    """
    platform = client.lifecycle(workflow_id).platform
    await platform.open()
    known = [job for job in jobs if place_of(job.world) == place_of(platform.identity)]
    slots = asyncio.Semaphore(ASKED_AT_ONCE)
    found: dict[str, str] = {}

    async def ask(job: Job) -> None:
        async with slots:
            status = await _look(platform, job.remote_id)
        if status in STARTED:
            found[job.key] = str(status)

    for start in range(0, len(known), 10 * ASKED_AT_ONCE):  # a task for each of many would be much memory
        try:
            async with asyncio.TaskGroup() as group:
                for job in known[start : start + 10 * ASKED_AT_ONCE]:
                    start_in(group, ask, job)
        except BaseExceptionGroup as errors:
            raise first_error(errors) from None
    return found


async def _look(platform: Platform[Any, Any], job_id: str) -> JobStatus | None:
    for _ in range(LOOKS):
        seen: Any = (await platform.status_source.poll(platform.workflow_id, [job_id])).get(job_id)
        if isinstance(seen, JobStatus):
            return seen
        if isinstance(seen, AuthenticationError | HostDown):
            raise seen
    return None
