"""Whether a new job may take the place of a row's earlier one in a retry: **the earlier one is asked first**.

Between the end of a job and a retry hours can lie: a status may have been wrong, a person may have run a
failed node again. So the job is asked before another one is made:

=====================================================  ====================================================
what it shows                                          what follows
=====================================================  ====================================================
COMPLETED                                              it is the row's job: its results are collected
another status that is no end, and its order was       it is the row's job: it is waited for
accepted, or looks show a start
FAILED, CANCELLED, TIMED_OUT                           it gives way
what a job never started shows, for the whole grace    it gives way
no such job (404), or none yet where jobs show late    it gives way if it was known to have ended badly or
                                                       never to have started, or a person said so; else
                                                       it cannot be known (404), or its start is checked
it is denied, it cannot be read, looks contradict      it cannot be known
each other
the host is down, the key is refused                   that is no answer about this job
=====================================================  ====================================================

Where it cannot be known, and where a job that completed or runs was for other inputs than the row has now, an
error is raised and the row waits for a person; with ``accept_second_bill`` the job gives way.
"""

from __future__ import annotations

from typing import Any

from opus_async.errors import (
    AmbiguousExecution,
    NotFound,
    OpusError,
    PermissionDenied,
    ProtocolError,
    ServerError,
    ValidationFailed,
)
from opus_async.jobs.start import JobStarter
from opus_async.jobs.watch import Watcher
from opus_async.models import JobStatus
from opus_async.platform import NOT_LISTED, Platform, RetryRequest, StartDoubt

_OF_THIS_JOB = (AmbiguousExecution, NotFound, PermissionDenied, ProtocolError, ServerError, ValidationFailed)
"""Errors that concern one job alone; any other would meet every job, and a later session asks again."""


class Superseded(Exception):
    """Raised when a row's earlier job counts no more and a new one may be made; only in a retry."""


class PreviousJobs:
    """Asks the platform about the earlier jobs of rows that are retried.

    Args:
        platform: The platform adapter.
        watcher: The status poller.
        starter: Checks whether a job was ever started.
    """

    def __init__(self, platform: Platform[Any, Any], watcher: Watcher, starter: JobStarter[Any]) -> None:
        self._platform = platform
        self._watcher = watcher
        self._starter = starter

    async def ask(
        self, job_id: str, retry: RetryRequest, *, accepted: bool, doubt: StartDoubt | None = None
    ) -> JobStatus:
        """Find out whether a row's earlier job is still its job.

        Args:
            job_id: The earlier job.
            retry: What is known of it, and what may be done.
            accepted: Whether its order is known to have taken effect.
            doubt: What was learned of its start.

        Returns:
            COMPLETED, or a status that is no end: it is the row's job, as before.

        Raises:
            Superseded: A new job may be made.
            OpusError: It cannot be known.
        """
        try:
            status = await self._status(job_id, retry, accepted=accepted, doubt=doubt)
        except OpusError as error:
            give_way_if_accepted(retry, error)
            raise
        if not retry.other_inputs:
            return status
        has = "has completed" if status == JobStatus.COMPLETED else "runs"
        unwanted = AmbiguousExecution(
            f"The job {has} after all, for what the row asked for before: it asks for something else now. "
            "Settle it as done, or run it as a new job with --accept-second-bill"
        )
        give_way_if_accepted(retry, unwanted)
        raise unwanted

    async def _status(
        self, job_id: str, retry: RetryRequest, *, accepted: bool, doubt: StartDoubt | None
    ) -> JobStatus:
        try:
            ended = await self._watcher.wait(
                self._platform.status_source,
                job_id,
                workflow_id=self._platform.workflow_id,
                poll_now=True,
                return_when_seen=True,
            )
        except NotFound as error:
            if retry.known_unbilled:
                raise Superseded from error
            raise
        status = ended.status
        if status == JobStatus.COMPLETED:
            return status
        if status.is_terminal:
            raise Superseded
        if status is NOT_LISTED and retry.known_unbilled:
            raise Superseded
        untold = OpusError("An earlier process could not tell what became of the order to start")
        if not accepted and not await self._starter.looks_started(job_id, untold, doubt=doubt):
            raise Superseded
        return status


def give_way_if_accepted(retry: RetryRequest, error: OpusError) -> None:
    """Raise Superseded if this error is all that stands against a new job, and a second bill is accepted."""
    if retry.accept_second_bill and isinstance(error, _OF_THIS_JOB):
        raise Superseded from error
