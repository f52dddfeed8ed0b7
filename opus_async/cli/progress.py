"""What runs now, counted from events. For eyes only: losing all of it loses nothing of a job."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from opus_async.events import Event, JobStageChanged, RequestRetried, RequestSent, UploadProgress

DONE = "done"
COMPLETED = "COMPLETED"
_RATE_OVER = 10.0
"""Seconds that a rate looks back: long enough to be calm, short enough to show a pause."""


_TELLING = 0.05
"""Share of the jobs that must have ended before their rate tells anything of the rest."""


class Progress:
    """A listener that counts jobs by stage, bytes, requests and retries.

    Args:
        stages: The platform's stage names, in order.
        total: Rows in all; None when that is not known yet.
        clock: Seconds.

    Attributes:
        completed: Jobs that ended as COMPLETED.
        failed: Jobs that ended in any other way.
        passed: Stage -> jobs that have left it for the next.
        inside: Stage -> jobs that are in it now.
        sent_bytes: Of files, repeated attempts included.
        requests: Operation -> requests that were answered.
        retries: Reason -> attempts that failed and were followed by another.
    """

    def __init__(
        self, stages: Sequence[str], total: int | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.stages = tuple(stages)
        self.total = total
        self.completed = 0
        self.failed = 0
        self.passed: Counter[str] = Counter()
        self.inside: Counter[str] = Counter()
        self.sent_bytes = 0
        self.requests: Counter[str] = Counter()
        self.retries: Counter[str] = Counter()
        self._clock = clock
        self._began = clock()
        self._stage_of: dict[int, str] = {}  # of jobs in flight only
        self._sent_of: dict[str, int] = {}  # of files on the wire only
        self._samples: deque[tuple[float, int, int]] = deque([(self._began, 0, 0)])

    def __call__(self, event: Event) -> None:
        """Count one event."""
        if isinstance(event, UploadProgress):
            self._count_bytes(event)
        elif isinstance(event, RequestSent):
            self.requests[event.operation] += 1
        elif isinstance(event, RequestRetried):
            self.retries[reason_class(event.reason)] += 1
        elif isinstance(event, JobStageChanged):
            self._move(event)

    @property
    def done(self) -> int:
        """Jobs that ended, in whatever way."""
        return self.completed + self.failed

    @property
    def in_flight(self) -> int:
        """Jobs between their first stage and their end."""
        return len(self._stage_of)

    @property
    def throttled(self) -> int:
        """Requests that were turned away with 429."""
        return sum(number for reason, number in self.retries.items() if "429" in reason)

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self._began

    def rates(self) -> Rates:
        """How fast it goes now; call it at every drawing."""
        now = self._clock()
        while len(self._samples) > 1 and now - self._samples[1][0] >= _RATE_OVER:
            self._samples.popleft()
        then, done, sent = self._samples[0]
        self._samples.append((now, self.done, self.sent_bytes))
        seconds = max(now - then, 1e-9)
        jobs = (self.done - done) / seconds
        left = None
        if self.total is not None and jobs and self.done >= self.total * _TELLING:
            left = (self.total - self.done) / jobs
        return Rates(jobs=jobs, bytes=(self.sent_bytes - sent) / seconds, seconds_left=left)

    def _move(self, event: JobStageChanged) -> None:
        before = self._stage_of.pop(event.index, None)
        if before is not None:
            self.inside[before] -= 1
        if event.stage == DONE:
            self._end(event, before)
            return
        if before is not None:
            self.passed[before] += 1
        self._stage_of[event.index] = event.stage
        self.inside[event.stage] += 1

    def _end(self, event: JobStageChanged, before: str | None) -> None:
        if event.status != COMPLETED:
            self.failed += 1
            return
        self.completed += 1
        if before is not None:
            self.passed[before] += 1

    def _count_bytes(self, event: UploadProgress) -> None:
        before = self._sent_of.pop(event.filename, 0)
        self.sent_bytes += event.sent - before if event.sent >= before else event.sent
        if event.sent < event.size:
            self._sent_of[event.filename] = event.sent


@dataclass(frozen=True, slots=True)
class Rates:
    """How fast it goes now.

    Attributes:
        jobs: Jobs that end, per second.
        bytes: Bytes of files, per second.
        seconds_left: Until all have ended at this rate; None when that cannot be said.
    """

    jobs: float
    bytes: float
    seconds_left: float | None


def reason_class(reason: str) -> str:
    """A retry's reason without what differs from request to request: ``broken``, ``throttled: HTTP 429``."""
    kind, _, seen = reason.partition(": ")
    return reason if seen.startswith("HTTP ") else kind
