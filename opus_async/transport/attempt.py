"""One attempt of a request, as whoever makes it needs to know it, and the event that tells of its answer."""

from __future__ import annotations

from typing import NamedTuple

from opus_async.events import RequestKind, RequestSent, current_job

__all__ = ["Attempt"]


class Attempt(NamedTuple):
    """One attempt of a request.

    Attributes:
        number: From 1.
        kind: What the request is for.
        waited: Seconds for which it waited for its turn; 0 when nobody listens, as nobody measures it then.
    """

    number: int
    kind: RequestKind
    waited: float

    def answered(self, operation: str, method: str, url: str, *, status: int, seconds: float) -> RequestSent:
        """The event of its answer, which names the current job."""
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
