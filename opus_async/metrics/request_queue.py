"""How many requests wait in the client for their turn (a slot, a rate, a pause), and how many are out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple

from opus_async.events import RequestKind, RequestRetried, RequestSent
from opus_async.metrics.outages import RATE_WINDOW

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


_WORK, _POLLS, _WIRE = Queued._fields


class RequestQueue:
    """Adds up what the requests of the last :data:`~.outages.RATE_WINDOW` seconds had waited, and had taken.

    Waiting is not seen while it lasts, only when the request has been answered; but what waited so long in so
    many seconds was so many requests at a time, as Little's law has it.

    Args:
        clock: Gives the time in seconds, from any beginning.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._recent: deque[tuple[float, str, float]] = deque()
        self._sums = dict.fromkeys((_WORK, _POLLS, _WIRE), 0.0)
        self._throttled_at = float("-inf")

    def add(self, event: RequestSent | RequestRetried) -> None:
        """Count an attempt. One that was answered and failed comes twice, and counts once."""
        if event.status == HTTPStatus.TOO_MANY_REQUESTS:
            self._throttled_at = self._clock()
        if isinstance(event, RequestRetried) and event.status is not None:
            return
        if event.kind is not RequestKind.STORAGE:
            self._count(_POLLS if event.kind is RequestKind.POLL else _WORK, event.waited)
            self._count(_WIRE, event.seconds)

    def now(self) -> Queued:
        """How many there are now."""
        self._forget()
        return Queued(**{what: max(seconds, 0.0) / RATE_WINDOW for what, seconds in self._sums.items()})

    @property
    def slowed(self) -> bool:
        """Whether the platform has answered with 429 so lately that less is sent for it."""
        return self._clock() - self._throttled_at <= _REMEMBERED

    def _count(self, what: str, seconds: float) -> None:
        if seconds:
            self._sums[what] += seconds
            self._recent.append((self._clock(), what, seconds))
            self._forget()

    def _forget(self) -> None:
        oldest = self._clock() - RATE_WINDOW
        while self._recent and self._recent[0][0] < oldest:
            _, what, seconds = self._recent.popleft()
            self._sums[what] -= seconds
