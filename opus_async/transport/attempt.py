"""One attempt of a request: its number, and the event that tells of its response, or that none came."""

from __future__ import annotations

from typing import NamedTuple

from opus_async.events import FailureClass, RequestKind, RequestSent, RequestUnanswered, current_job

__all__ = ["Attempt"]


class Attempt(NamedTuple):
    """One attempt of a request.

    Attributes:
        number: From 1.
        kind: What the request is for.
        waited: Seconds for which it waited for a slot.
    """

    number: int
    kind: RequestKind
    waited: float

    def answered(self, operation: str, method: str, url: str, *, status: int, seconds: float) -> RequestSent:
        """Make the event of its response, which names the current job.

        Args:
            operation: The name of the request.
            method: The HTTP method.
            url: The URL without its query.
            status: The HTTP status.
            seconds: From getting its slot to the last byte of the response.
        """
        job = current_job.get()
        return RequestSent(
            index=job.index,
            key=job.key,
            job_id=job.job_id,
            attempt=self.number,
            operation=operation,
            kind=self.kind,
            method=method,
            url=url,
            status=status,
            waited=self.waited,
            seconds=seconds,
        )

    def unanswered(
        self, operation: str, method: str, url: str, *, failure: FailureClass, seconds: float
    ) -> RequestUnanswered:
        """Make the event of an attempt without a response; arguments as in :meth:`answered`.

        Args:
            operation: The name of the request.
            method: The HTTP method.
            url: The URL without its query.
            failure: Whether it can have been sent.
            seconds: From getting its slot to the failure.
        """
        job = current_job.get()
        return RequestUnanswered(
            index=job.index,
            key=job.key,
            job_id=job.job_id,
            attempt=self.number,
            operation=operation,
            kind=self.kind,
            method=method,
            url=url,
            failure=failure,
            waited=self.waited,
            seconds=seconds,
        )
