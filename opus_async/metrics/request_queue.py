"""How many requests wait in the client for their turn: for a slot, a rate, the end of a pause."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple

from opus_async.events import RequestKind, RequestRetried, RequestSent
from opus_async.metrics.outages import RATE_WINDOW

_REMEMBERED = 120.0
"""Seconds for which a client sends less after a 429, at most: see ``AdaptiveRate.LIFT`` of the transport."""


class Queued(NamedTuple):
    """Requests that waited for their turn at a time, on average.

    Attributes:
        work: That start jobs or fetch results. Each is a job that waits.
        polls: That ask for a status. Each is a job whose end may not be known yet.
    """

    work: float
    polls: float

    @property
    def all(self) -> float:
        """Both."""
        return self.work + self.polls


class RequestQueue:
    """Adds up what the requests of the last :data:`~.outages.RATE_WINDOW` seconds had waited.

    Waiting is not seen while it lasts, only when the request has been answered; but what waited so long in so
    many seconds was so many requests at a time, as Little's law has it.

    Args:
        clock: Gives the time in seconds, from any beginning.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._waits: deque[tuple[float, float, bool]] = deque()
        self._work = self._polls = 0.0
        self._throttled_at = float("-inf")

    def add(self, event: RequestSent | RequestRetried) -> None:
        """Count an attempt. One that was answered and failed comes twice, and counts once."""
        now = self._clock()
        if event.status == HTTPStatus.TOO_MANY_REQUESTS:
            self._throttled_at = now
        if isinstance(event, RequestRetried) and event.status is not None:
            return
        if event.kind is RequestKind.STORAGE or not event.waited:
            return
        self._waits.append((now, event.waited, event.kind is RequestKind.POLL))
        self._count(event.waited, poll=event.kind is RequestKind.POLL)
        self._forget(now)

    def now(self) -> Queued:
        """How many wait now."""
        self._forget(self._clock())
        return Queued(max(self._work, 0.0) / RATE_WINDOW, max(self._polls, 0.0) / RATE_WINDOW)

    @property
    def slowed(self) -> bool:
        """Whether the platform has answered with 429 so lately that less is sent for it."""
        return self._clock() - self._throttled_at <= _REMEMBERED

    def _forget(self, now: float) -> None:
        while self._waits and self._waits[0][0] < now - RATE_WINDOW:
            _, waited, poll = self._waits.popleft()
            self._count(-waited, poll=poll)

    def _count(self, seconds: float, *, poll: bool) -> None:
        if poll:
            self._polls += seconds
        else:
            self._work += seconds
