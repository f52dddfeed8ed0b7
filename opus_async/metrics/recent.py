"""What happened lately, added up by quarter seconds: to keep each event apart would cost far more."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

SlotT = TypeVar("SlotT")

RATE_WINDOW = 10.0
"""Seconds over which current rates are computed: polls, requests, bytes and 429s."""
SLOT = 0.25
"""Seconds whose events are added up together."""


class Recent(Generic[SlotT]):
    """Slots of :data:`SLOT` seconds, for what happened in the last :data:`RATE_WINDOW`.

    Args:
        slot: Makes a slot in which nothing has happened.
        clock: Gives the time in seconds, from any beginning.
    """

    def __init__(self, slot: Callable[[], SlotT], clock: Callable[[], float]) -> None:
        self._new = slot
        self._clock = clock
        self._slots: deque[SlotT] = deque()
        self._ends: deque[float] = deque()
        self._present, self._end = slot(), float("-inf")
        """The last slot and its end; one of its own before the first."""

    def present(self) -> SlotT:
        """The slot of what happens now."""
        now = self._clock()
        if now >= self._end:
            self._forget(now)
            self._present, self._end = self._new(), now + SLOT
            self._slots.append(self._present)
            self._ends.append(self._end)
        return self._present

    def slots(self) -> deque[SlotT]:
        """The slots of what happened lately, the oldest first."""
        self._forget(self._clock())
        return self._slots

    def _forget(self, now: float) -> None:
        oldest = now - RATE_WINDOW
        while self._ends and self._ends[0] < oldest:
            self._ends.popleft()
            self._slots.popleft()
