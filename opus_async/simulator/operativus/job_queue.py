"""The queue behind `run` and `resume`: at each tick it takes the oldest waiting jobs, and no more than N."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


_GAP = 0.0005
"""Seconds between two jobs of a tick, whose handlers begin one after the other; less where they are many."""


class JobQueue:
    """Gives out turns. When a job is taken is settled when it arrives: nobody can overtake it.

    Args:
        jobs: How many it takes at each tick.
        tick: Seconds between two ticks; 0 takes every job at once.
        started_at: The moment of tick 0, epoch seconds.
        stalls: Whether nothing is taken at a tick, by its number.
    """

    def __init__(self, jobs: int, tick: float, started_at: float, stalls: Callable[[int], bool]) -> None:
        self._jobs = jobs
        self._tick = tick
        self._gap = min(_GAP, tick / (2 * jobs))
        self._started_at = started_at
        self._stalls = stalls
        self._number = -1
        self._taken = 0

    def turn(self, now: float) -> float:
        """Return when a job is taken that arrives now, epoch seconds.

        Args:
            now: Never earlier than in the call before.
        """
        if not self._tick:
            return now
        number = math.floor((now - self._started_at) / self._tick) + 1
        if number > self._number:
            self._begin(number)
        elif self._taken == self._jobs:
            self._begin(self._number + 1)
        moment = self._started_at + self._number * self._tick + self._taken * self._gap
        self._taken += 1
        return moment

    def _begin(self, number: int) -> None:
        while self._stalls(number):
            number += 1
        self._number, self._taken = number, 0
