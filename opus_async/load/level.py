"""How many jobs are in flight, counted while they are: apart from their times, to check these by."""

from __future__ import annotations

import bisect

from opus_async.load.values import Window


class LevelMeter:
    """Keeps a number that changes over time."""

    def __init__(self) -> None:
        self._at: list[float] = [0.0]
        self._levels: list[int] = [0]

    def change(self, at: float, level: int) -> None:
        """Take the number as it is from a moment on.

        Args:
            at: In seconds; not before the last one.
            level: The number.
        """
        self._at.append(at)
        self._levels.append(level)

    def copy(self) -> LevelMeter:
        """Another meter of the same number, as far as it was taken."""
        twin = LevelMeter()
        twin._at, twin._levels = self._at.copy(), self._levels.copy()
        return twin

    def mean(self, window: Window) -> float | None:
        """The mean over a window of time; None for one without length."""
        if window.seconds <= 0:
            return None
        area, before = 0.0, window.start
        first = max(bisect.bisect_right(self._at, window.start) - 1, 0)
        for place in range(first, len(self._at)):
            until = self._at[place + 1] if place + 1 < len(self._at) else window.end
            until = min(until, window.end)
            if until > before:
                area += self._levels[place] * (until - before)
                before = until
            if before >= window.end:
                break
        return area / window.seconds

    def most(self, window: Window) -> int:
        """The highest in a window of time, as it was at its beginning included."""
        first = max(bisect.bisect_right(self._at, window.start) - 1, 0)
        last = bisect.bisect_right(self._at, window.end)
        return max(self._levels[first:last], default=0)
