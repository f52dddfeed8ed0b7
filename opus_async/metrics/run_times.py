"""How long jobs take from their first stage to their end, and what follows for those that are in flight."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from opus_async.metrics.throughput import TimeLeft

_REMEMBERED = 200
"""Durations that are kept, of the latest jobs."""
_LEAST = 5
"""Jobs that must have ended before anything follows from how long they took."""
_USUAL, _LONG = 0.5, 0.95


class RunTimes:
    """Remembers when jobs began, and how long the latest ones took.

    Args:
        clock: Gives the time in seconds, from any beginning.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began: dict[int, float] = {}  # of jobs in flight only
        self._took: deque[float] = deque(maxlen=_REMEMBERED)

    def begin(self, index: int) -> None:
        """Note that a job entered its first stage."""
        self._began[index] = self._clock()

    def end(self, index: int, *, done: bool) -> None:
        """Note that a job is done, or parked: how long that one took says nothing of the others."""
        began = self._began.pop(index, None)
        if began is not None and done:
            self._took.append(self._clock() - began)

    def left(self) -> TimeLeft | None:
        """How long the jobs in flight will take if they take as long as those before.

        The youngest of them is the last to end: it takes as long as most, or as long as the longest. None
        when too few have ended, or even the youngest has taken longer already: then nothing is known.
        """
        if len(self._took) < _LEAST or not self._began:
            return None
        took = sorted(self._took)
        age = self._clock() - max(self._began.values())
        most = took[int(_LONG * (len(took) - 1))] - age
        return TimeLeft(max(took[int(_USUAL * (len(took) - 1))] - age, 0.0), most) if most > 0 else None
