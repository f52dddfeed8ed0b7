"""What is recorded of one job while it runs, as its lifecycle tells it. It is the journal of that job."""

from __future__ import annotations

from collections.abc import Callable

from opus_async.models import JobStatus
from opus_async.platform import JobJournal, StartDoubt


class JobRecord(JobJournal):
    """The record of one job; belongs to one task. Times are those of its clock.

    Args:
        index: Its place among the arrivals.
        intended: When it was meant to start.
        clock: Gives the time in seconds.

    Attributes:
        started: When it was really started.
        job_id: None before a job came to be.
        ordered: Whether the start request may have left: then it may cost money.
        accepted: When it was known to have been started; None before.
        seen_ended: When its terminal status was seen; None before.
        parts: Seconds of those requests that are told apart from their stage.
    """

    __slots__ = (
        "_clock",
        "_parts_until",
        "accepted",
        "index",
        "intended",
        "job_id",
        "ordered",
        "parts",
        "seen_ended",
        "started",
    )

    def __init__(self, index: int, intended: float, clock: Callable[[], float]) -> None:
        self.index = index
        self.intended = intended
        self.started = clock()
        self._clock = clock
        self.job_id: str | None = None
        self.ordered = False
        self.accepted: float | None = None
        self.seen_ended: float | None = None
        self.parts = 0.0
        self._parts_until = 0.0

    def add_part(self, ended: float, seconds: float) -> None:
        """Count the time of a request, but what it had in common with earlier ones: they can overlap."""
        begun = max(ended - seconds, self._parts_until)
        if ended > begun:
            self.parts += ended - begun
            self._parts_until = ended

    async def job_created(self, remote_id: str) -> None:
        """Note its id."""
        self.job_id = remote_id

    def job_identified(self, remote_id: str, alias: str) -> None:
        """Nothing to note."""

    async def start_intent(self, remote_id: str) -> None:  # noqa: ARG002 - the journal's signature
        """Note that it may be started from now on."""
        self.ordered = True

    async def start_accepted(self, remote_id: str) -> None:  # noqa: ARG002 - the journal's signature
        """Note when it was known to have been started."""
        self.accepted = self._clock()

    async def second_start_forbidden(self, remote_id: str, doubt: StartDoubt) -> None:
        """Nothing to note."""

    def status_seen(self, status: JobStatus) -> None:
        """Note when it was seen to have ended."""
        if status.is_terminal and self.seen_ended is None:
            self.seen_ended = self._clock()

    async def job_superseded(self, remote_id: str) -> None:
        """Nothing to note."""
