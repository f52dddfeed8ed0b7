"""The results of a completed job, which can come a little later than its status."""

from __future__ import annotations

import asyncio

from opus_async.error_codes import NextAction, NextStep
from opus_async.errors import DeadlineExceeded, NotFound, ValidationFailed
from opus_async.gaps import gapped
from opus_async.models import JobResults, JobStatus
from opus_async.opus.api import Api
from opus_async.opus.protocol.hints import hint
from opus_async.opus.stages import RESULTS
from opus_async.transport.limits import Priority

LAGGING_REPLICA = 3.0
"""Seconds for which "no such results" is not believed of a job that was seen completed."""


async def fetch_results(
    api: Api, job_id: str, *, patience: float, priority: Priority = Priority.WORK
) -> JobResults:
    """Fetch the results of a completed job; wait while they are not ready yet.

    Args:
        api: The calls.
        job_id: The job, seen completed.
        patience: Seconds for which they are waited for.
        priority: Their place in the queue of the limiter.

    Raises:
        DeadlineExceeded: They were not ready after ``patience`` seconds of waiting for them.
        APIError: The platform went on denying that there are any.
    """
    waited, wait = 0.0, 0.25
    while True:
        try:
            found = await api.results(job_id, priority=priority)
        except (NotFound, ValidationFailed):
            if waited >= LAGGING_REPLICA:
                raise
        else:
            if found is not None:
                return found
        if waited >= patience:
            late = DeadlineExceeded(
                gapped(
                    "The job completed, but its results were not ready for {} s. It was billed: do not run "
                    "it again.",
                    f"{patience:g}",
                ),
                last_status=JobStatus.COMPLETED,
                job_id=job_id,
                stage=RESULTS,
            )
            raise late.advised(NextAction.FETCH_RESULTS, hint(NextStep(NextAction.FETCH_RESULTS, job_id)))
        await asyncio.sleep(wait)
        waited += wait
        wait = min(wait * 2, 5.0)
