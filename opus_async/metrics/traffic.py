"""Requests, retries and bytes of files, counted."""

from __future__ import annotations

from collections import Counter
from http import HTTPStatus

from opus_async.events import (
    FailureClass,
    RequestKind,
    RequestRetried,
    UploadProgress,
)
from opus_async.metrics.event_counts import EventCounts, RetryCause

_UNANSWERED = frozenset({FailureClass.SHORTAGE, FailureClass.UNSENT, FailureClass.BROKEN})
"""Failures of attempts that no complete answer came to, so that ``requests`` has none of them."""
_TOO_MANY = int(HTTPStatus.TOO_MANY_REQUESTS)


class Traffic:
    """Counts what goes over the network.

    Attributes:
        requests: Operation -> requests that were answered.
        api_requests: Of these, how many went to the platform, and not to its storage.
        throttled_responses: Of all, how many were answered with 429.
        retries: Cause -> attempts that failed and were followed by another.
        sent_bytes: Bytes of files, repeated attempts included.
    """

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.api_requests = 0
        self.throttled_responses = 0
        self.retries: Counter[RetryCause] = Counter()
        self.sent_bytes = 0
        self._sent_of: dict[tuple[int | None, str], int] = {}  # of files on the wire only

    def answered(self, operation: str, kind: RequestKind, status: int) -> None:
        """Count an answer."""
        self.requests[operation] += 1
        if kind is not RequestKind.STORAGE:
            self.api_requests += 1
        if status == _TOO_MANY:
            self.throttled_responses += 1

    def retried(self, event: RequestRetried) -> None:
        """Count an attempt that failed and is followed by another."""
        self.retries[RetryCause(event.failure, event.status, event.code)] += 1

    def sent(self, event: UploadProgress) -> None:
        """Count what came since the last event of the same file; less than before is a new attempt."""
        file = (event.index, event.filename)
        before = self._sent_of.pop(file, 0)
        self.sent_bytes += event.sent - before if event.sent >= before else event.sent
        if event.sent < event.size:
            self._sent_of[file] = event.sent

    def add(self, counts: EventCounts) -> None:
        """Add what was counted in another process."""
        self.requests.update(counts.requests)
        self.api_requests += counts.api_requests
        self.throttled_responses += counts.throttled_responses
        self.retries.update(counts.retries)
        self.sent_bytes += counts.sent_bytes

    @property
    def attempts(self) -> int:
        """Attempts that were answered, or failed without an answer and were followed by another."""
        unanswered = sum(number for cause, number in self.retries.items() if cause.failure in _UNANSWERED)
        return self.requests.total() + unanswered

    @property
    def throttled(self) -> int:
        """Attempts that were turned away with 429 and followed by another."""
        return sum(
            number for cause, number in self.retries.items() if cause.status == HTTPStatus.TOO_MANY_REQUESTS
        )
