"""Counts of events of one process, as a value: such values add up over processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from opus_async.events import FailureClass


class RetryCause(NamedTuple):
    """Why an attempt failed that was followed by another.

    Attributes:
        failure: The class of the failure.
        status: The HTTP status; None where there was no answer.
        code: The error code in the answer, where there was one.
    """

    failure: FailureClass
    status: int | None
    code: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCounts:
    """Counts of events.

    Attributes:
        requests: Operation -> requests that were answered.
        api_requests: Of these, how many went to the platform, and not to its storage.
        throttled_responses: Of all, how many with 429.
        retries: Cause -> attempts that failed and were followed by another.
        sent_bytes: Bytes of files, repeated attempts included.
        left_stage: Stage -> jobs that have left it for the next.
    """

    requests: Mapping[str, int] = field(default_factory=dict)
    api_requests: int = 0
    throttled_responses: int = 0
    retries: Mapping[RetryCause, int] = field(default_factory=dict)
    sent_bytes: int = 0
    left_stage: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: EventCounts) -> EventCounts:
        return EventCounts(
            requests=Counter(self.requests) + Counter(other.requests),
            api_requests=self.api_requests + other.api_requests,
            throttled_responses=self.throttled_responses + other.throttled_responses,
            retries=Counter(self.retries) + Counter(other.retries),
            sent_bytes=self.sent_bytes + other.sent_bytes,
            left_stage=Counter(self.left_stage) + Counter(other.left_stage),
        )

    def __sub__(self, other: EventCounts) -> EventCounts:
        """What was counted since ``other``, which are earlier counts of the same process."""
        return EventCounts(
            requests=Counter(self.requests) - Counter(other.requests),
            api_requests=self.api_requests - other.api_requests,
            throttled_responses=self.throttled_responses - other.throttled_responses,
            retries=Counter(self.retries) - Counter(other.retries),
            sent_bytes=self.sent_bytes - other.sent_bytes,
            left_stage=Counter(self.left_stage) - Counter(other.left_stage),
        )
