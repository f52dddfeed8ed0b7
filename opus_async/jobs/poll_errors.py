"""Which errors of polling a job end the wait for it, and which are waited out.

=========================================================  ===================================================
error                                                      the wait
=========================================================  ===================================================
``InvalidInputs``, ``ConfigurationError``                  ends at once: it will never be otherwise
401, 403; 404 of a job that is not known to exist          ends at the third in a row: one can be a gateway's
``HostDown``                                               ends where the policy bounds an outage
another refusal, a response that is not understood         ends after ``patience``; sooner if the platform
                                                           answers well otherwise
a broken connection, 5xx, 429                              goes on; ends after ``outage`` where there is one
=========================================================  ===================================================
"""

from __future__ import annotations

import logging

from opus_async.errors import (
    APIError,
    AuthenticationError,
    ConfigurationError,
    HostDown,
    InvalidInputs,
    NotFound,
    OpusError,
    PermissionDenied,
    ProtocolError,
    ServerError,
    TransportError,
)
from opus_async.jobs.watched import WatchedJob

log = logging.getLogger("opus_async.jobs")

DENIALS_BELIEVED = 3
"""Consecutive denials that are believed (401, 403, 404 of a foreign job): one can be a gateway's."""
OWN_ERROR_AFTER = 30.0
"""Seconds after which unreadable responses about one job end the wait for it, if the platform answers well
otherwise: longer than it takes to replace a broken server behind it."""


class PollErrors:
    """Decides which errors of polling end the wait for a job.

    Args:
        patience: Seconds for which malformed or contradictory answers about a job are tolerated.
        outage: Seconds for which the platform may be down; None for as long as it takes.
    """

    def __init__(self, patience: float, outage: float | None) -> None:
        self._patience = patience
        self._outage = outage

    async def ends_wait(self, job: WatchedJob, error: OpusError, now: float) -> bool:
        """Count an error of polling a job, one more in a row.

        Args:
            job: The job.
            error: What the poll of it gave.
            now: Seconds of the event loop's clock.

        Returns:
            Whether it ends the wait for the job.
        """
        job.consecutive_errors += 1
        if job.failing_since is None:
            job.failing_since = now
        log.debug(
            "job %s: status could not be read (%d in a row): %s", job.remote_id, job.consecutive_errors, error
        )
        if isinstance(error, InvalidInputs | ConfigurationError):
            return True
        if isinstance(error, AuthenticationError | PermissionDenied) or (
            isinstance(error, NotFound) and job.foreign and job.last_status is None
        ):
            job.denials += 1
            return job.denials >= DENIALS_BELIEVED
        if isinstance(error, HostDown):
            return self._outage is not None
        lasting = now - job.failing_since
        over = self._is_bounded(job, error) and lasting >= self._patience_with(error)
        return over or await _is_its_own(job, error, lasting)

    def _is_bounded(self, job: WatchedJob, error: OpusError) -> bool:
        """Whether the error is tolerated for a limited time only."""
        bounded = (self._outage is not None and isinstance(error, APIError)) or (
            job.return_when_seen and isinstance(error, ServerError)
        )
        return bounded or _is_lasting(error)

    def _patience_with(self, error: OpusError) -> float:
        if isinstance(error, ProtocolError) or not _is_lasting(error):  # of something in between, maybe
            return max(self._patience, self._outage or 0.0)
        return self._patience


async def _is_its_own(job: WatchedJob, error: OpusError, lasting: float) -> bool:
    """Whether only this job gets such an error: then waiting for the platform does not help."""
    answered = not isinstance(error, TransportError) or error.request_sent
    if lasting < OWN_ERROR_AFTER or not answered or not _is_lasting(error):
        return False
    return await job.workflow.source.is_well()


def _is_lasting(error: OpusError) -> bool:
    """Whether waiting is unlikely to help: a refusal, or a connection that cannot be made."""
    if isinstance(error, TransportError):
        return not error.retryable
    refused = isinstance(error, APIError) and error.status < 500 and error.status != 429  # noqa: PLR2004 - HTTP
    return refused or isinstance(error, ProtocolError)
