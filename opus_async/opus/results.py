"""What a completed job gave, which can be there a little later than its status says."""

from __future__ import annotations

import asyncio

from opus_async.errors import DeadlineExceeded, NotFound, ValidationFailed
from opus_async.models import JobResults, JobStatus
from opus_async.opus.api import Api

STAGE = "results"
LAGGING_REPLICA = 3.0
"""Seconds for which "no such results" is not believed of a job that was seen completed."""


async def fetch_results(api: Api, job_id: str, *, patience: float) -> JobResults:
    """The results of a completed job, which can come a little after the status does.

    Raises:
        DeadlineExceeded: They were not ready after ``patience`` seconds of waiting for them.
        APIError: The platform went on denying that there are any.
    """
    waited, wait = 0.0, 0.25
    while True:
        try:
            found = await api.results(job_id)
        except (NotFound, ValidationFailed):
            if waited >= LAGGING_REPLICA:
                raise
        else:
            if found is not None:
                return found
        if waited >= patience:
            raise DeadlineExceeded(
                f"The job completed, but its results were not ready for {patience:g} s. It was billed: do "
                f"not run it again; jobs.results({job_id!r}) can fetch them later.",
                last_status=JobStatus.COMPLETED,
                job_id=job_id,
                stage=STAGE,
            )
        await asyncio.sleep(wait)
        waited += wait
        wait = min(wait * 2, 5.0)
