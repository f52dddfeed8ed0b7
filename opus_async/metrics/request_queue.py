"""How many requests wait in the client for their turn (a slot, a rate, a pause), and how many are out."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple

from opus_async.events import RequestKind, RequestRetried
from opus_async.metrics.recent import RATE_WINDOW, Recent

_TOO_MANY = int(HTTPStatus.TOO_MANY_REQUESTS)
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


class RequestQueue:
    """Adds up what the requests of the last :data:`~.recent.RATE_WINDOW` seconds had waited, and had taken.

    Waiting is not seen while it lasts, only when the request has been answered; but what waited so long in so
    many seconds was so many requests at a time, as Little's law has it.

    Args:
        clock: Gives the time in seconds, from any beginning.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._recent = Recent(_Slot, clock)
        self._throttled_at = float("-inf")

    def answered(self, kind: RequestKind, status: int, waited: float, seconds: float) -> None:
        """Count an attempt that was answered."""
        if status == _TOO_MANY:
            self._throttled_at = self._clock()
        if kind is not RequestKind.STORAGE:
            self._add(kind, waited, seconds)

    def retried(self, event: RequestRetried) -> None:
        """Count an attempt that failed, unless it was answered, and so was counted."""
        if event.status == _TOO_MANY:
            self._throttled_at = self._clock()
        if event.status is None and event.kind is not RequestKind.STORAGE:
            self._add(event.kind, event.waited, event.seconds)

    def now(self) -> Queued:
        """How many there are now."""
        slots = self._recent.slots()
        return Queued(
            work=sum(slot.work for slot in slots) / RATE_WINDOW,
            polls=sum(slot.polls for slot in slots) / RATE_WINDOW,
            wire=sum(slot.wire for slot in slots) / RATE_WINDOW,
        )

    @property
    def slowed(self) -> bool:
        """Whether the platform has answered with 429 so lately that less is sent for it."""
        return self._clock() - self._throttled_at <= _REMEMBERED

    def _add(self, kind: RequestKind, waited: float, seconds: float) -> None:
        slot = self._recent.present()
        slot.wire += seconds
        if kind is RequestKind.POLL:
            slot.polls += waited
        else:
            slot.work += waited


class _Slot:
    """The seconds that the requests of a short time had waited, and had taken."""

    __slots__ = ("polls", "wire", "work")

    def __init__(self) -> None:
        self.work = self.polls = self.wire = 0.0
