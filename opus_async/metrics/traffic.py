"""Requests, retries and bytes of files, counted: in all, and of the last seconds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, NamedTuple

from opus_async.events import (
    FailureClass,
    RequestKind,
    RequestRetried,
    UploadProgress,
)
from opus_async.metrics.event_counts import EventCounts, RetryCause
from opus_async.metrics.recent import RATE_WINDOW, Recent

_UNANSWERED = frozenset({FailureClass.SHORTAGE, FailureClass.UNSENT, FailureClass.BROKEN})
"""Failures of attempts that no complete answer came to, so that ``requests`` has none of them."""
_TOO_MANY = int(HTTPStatus.TOO_MANY_REQUESTS)
_POLL: Final = RequestKind.POLL  # a look into an enum's class takes as long as the rest of a count
_STORAGE: Final = RequestKind.STORAGE
_REMEMBERED = 180.0
"""Seconds for which a client sends less after a 429. A limit that holds requests back is met again by then:
it is kept to for 90 s at the most, then exceeded within about a minute; see ``pace`` of the transport."""


class Queued(NamedTuple):
    """Requests of the API at a time, on average.

    Attributes:
        work: That wait for their turn, to start jobs or fetch results. Each is a job that waits.
        polls: That wait for their turn, to ask for a status. Each is a job whose end may not be known yet.
        wire: That have been sent and not been answered.
    """

    work: float
    polls: float
    wire: float

    @property
    def all(self) -> float:
        """All that wait for their turn."""
        return self.work + self.polls


@dataclass(frozen=True, slots=True)
class FailedPolls:
    """Polls that were answered with an error.

    Attributes:
        number: How many, in the last :data:`RATE_WINDOW` seconds.
        status: The HTTP status that most of them got.
    """

    number: int
    status: int


class Traffic:
    """Counts what goes over the network, in all and of the last :data:`~.recent.RATE_WINDOW` seconds.

    How many requests wait in the client for their turn (a slot, a rate, a pause), and how many are out, is
    not seen while it lasts, only when the request has been answered; but what waited so long in so many
    seconds was so many requests at a time, as Little's law has it.

    Args:
        clock: Gives the time in seconds, from any beginning.

    Attributes:
        requests: Operation -> requests that were answered.
        api_requests: Of these, how many went to the platform, and not to its storage.
        throttled_responses: Of all, how many were answered with 429.
        retries: Cause -> attempts that failed and were followed by another.
        sent_bytes: Bytes of files, repeated attempts included.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.requests: dict[str, int] = defaultdict(int)  # counts in half the time of a Counter
        self.api_requests = 0
        self.throttled_responses = 0
        self.retries: Counter[RetryCause] = Counter()
        self.sent_bytes = 0
        self._sent_of: dict[tuple[int | None, str], int] = {}  # of files on the wire only
        self._clock = clock
        self._recent = Recent(_Slot, clock)
        self._throttled_at = float("-inf")

    def answered(self, operation: str, kind: RequestKind, status: int, waited: float, seconds: float) -> None:
        """Count an answer; arguments as in :class:`opus_async.events.RequestSent`."""
        self.requests[operation] += 1
        if status == _TOO_MANY:
            self.throttled_responses += 1
            self._throttled_at = self._clock()
        if kind is _STORAGE:
            return
        self.api_requests += 1
        slot = self._recent.present()
        slot.wire += seconds
        if kind is _POLL:
            slot.polls += waited
            slot.poll_answers[status] += 1
        else:
            slot.work += waited

    def retried(self, event: RequestRetried) -> None:
        """Count an attempt that failed and is followed by another; its waits, unless it was answered, too."""
        self.retries[RetryCause(event.failure, event.status, event.code)] += 1
        if event.status == _TOO_MANY:
            self._throttled_at = self._clock()
        if event.status is None and event.kind is not _STORAGE:
            slot = self._recent.present()
            slot.wire += event.seconds
            if event.kind is _POLL:
                slot.polls += event.waited
            else:
                slot.work += event.waited

    def sent(self, event: UploadProgress) -> None:
        """Count what came since the last event of the same file; less than before is a new attempt."""
        file = (event.index, event.filename)
        before = self._sent_of.pop(file, 0)
        self.sent_bytes += event.sent - before if event.sent >= before else event.sent
        if event.sent < event.size:
            self._sent_of[file] = event.sent

    def add(self, counts: EventCounts) -> None:
        """Add what was counted in another process."""
        for operation, number in counts.requests.items():
            self.requests[operation] += number
        self.api_requests += counts.api_requests
        self.throttled_responses += counts.throttled_responses
        self.retries.update(counts.retries)
        self.sent_bytes += counts.sent_bytes

    @property
    def attempts(self) -> int:
        """Attempts that were answered, or failed without an answer and were followed by another."""
        unanswered = sum(number for cause, number in self.retries.items() if cause.failure in _UNANSWERED)
        return sum(self.requests.values()) + unanswered

    @property
    def throttled(self) -> int:
        """Attempts that were turned away with 429 and followed by another."""
        return sum(number for cause, number in self.retries.items() if cause.status == _TOO_MANY)

    @property
    def slowed(self) -> bool:
        """Whether the platform has answered with 429 so lately that less is sent for it."""
        return self._clock() - self._throttled_at <= _REMEMBERED

    def queued(self) -> Queued:
        """How many requests wait and are out now."""
        slots = self._recent.slots()
        return Queued(
            work=sum(slot.work for slot in slots) / RATE_WINDOW,
            polls=sum(slot.polls for slot in slots) / RATE_WINDOW,
            wire=sum(slot.wire for slot in slots) / RATE_WINDOW,
        )

    def poll_rate(self) -> float:
        """Polls a second that are answered now."""
        return self._poll_answers().total() / RATE_WINDOW

    def failed_polls(self) -> FailedPolls | None:
        """The polls that failed, when more than half did; None otherwise. 429 does not count as failed."""
        answers = self._poll_answers()
        failed = {
            status: number
            for status, number in answers.items()
            if status >= HTTPStatus.BAD_REQUEST and status != _TOO_MANY
        }
        number = sum(failed.values())
        if 2 * number <= answers.total():
            return None
        return FailedPolls(number, max(failed, key=failed.__getitem__))

    def _poll_answers(self) -> Counter[int]:
        return sum((Counter(slot.poll_answers) for slot in self._recent.slots()), Counter())


class _Slot:
    """What the requests of a short time had waited and had taken, in seconds, and how polls were answered."""

    __slots__ = ("poll_answers", "polls", "wire", "work")

    def __init__(self) -> None:
        self.work = self.polls = self.wire = 0.0
        self.poll_answers: dict[int, int] = defaultdict(int)
        """HTTP status -> polls."""
