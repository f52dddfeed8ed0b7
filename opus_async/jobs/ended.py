"""What the status poller returns for a job: its status, and how late that was noticed at most."""

from __future__ import annotations

import enum
from typing import NamedTuple

from opus_async.models import JobStatus

AFTER_DEADLINE = 5.0
"""Seconds that a last poll at the deadline, and the results of a job that it shows ended, may take."""


class ToldBy(enum.StrEnum):
    """Why the poll that saw the end was made."""

    CALLBACK = "callback"
    """A callback had named the job."""
    POLL = "poll"
    """It was due."""


class Overdue(Exception):
    """The wait for a job had a deadline, and a poll that left after it has not shown the end."""


class Ended(NamedTuple):
    """The end of the wait for a job. Times are seconds of the event loop's clock.

    Attributes:
        status: Terminal, unless the wait was for another status, too.
        seen_at: When that was seen.
        last_seen_running: When the last poll left that showed it running, or the wait began, if the job was
            started right before; None when it may have ended long ago.
        told_by: Why that poll was made.
        waited: Seconds for which that poll waited for its turn, from when it was due until it left.
    """

    status: JobStatus
    seen_at: float
    last_seen_running: float | None
    told_by: ToldBy
    waited: float = 0.0

    @property
    def detect_lag(self) -> float | None:
        """Seconds by which the end was noticed late, at most; None when nothing bounds it."""
        return None if self.last_seen_running is None else self.seen_at - self.last_seen_running
