"""The queue behind `run` and `resume`: at each tick it takes the oldest waiting jobs, and no more than N."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from opus_async.simulator.operativus.traits import QUEUE_STALLS
from opus_async.simulator.seeded_random import uniform

if TYPE_CHECKING:
    from opus_async.simulator.operativus.config import OperativusConfig

_STALLED_SHARE = 1 / 3


class JobQueue:
    """Gives out turns. When a job is taken is settled when it arrives: nobody can overtake it.

    Args:
        config: How many jobs it takes, and how often.
        seed: What stalled ticks depend on.
        started_at: The moment of tick 0, epoch seconds.
    """

    def __init__(self, config: OperativusConfig, seed: int, started_at: float) -> None:
        self._jobs = config.queue_jobs
        self._tick = config.queue_tick
        self._stalls = QUEUE_STALLS in config.active
        self._seed = seed
        self._started_at = started_at
        self._number = -1
        self._taken = 0

    def turn(self, now: float) -> tuple[float, int]:
        """Return when a job is taken that arrives now, epoch seconds, and its place in that tick, from 0.

        Args:
            now: Never earlier than in the call before.
        """
        if not self._tick:
            return now, 0
        number = math.floor((now - self._started_at) / self._tick) + 1
        if number > self._number:
            self._begin(number)
        elif self._taken == self._jobs:
            self._begin(self._number + 1)
        place = self._taken
        self._taken += 1
        return self._started_at + self._number * self._tick, place

    def _begin(self, number: int) -> None:
        while self._stalls and uniform(self._seed, "stalled tick", number) < _STALLED_SHARE:
            number += 1
        self._number, self._taken = number, 0
