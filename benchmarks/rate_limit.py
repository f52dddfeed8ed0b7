"""The limit that the platform of the benchmarks keeps: a token bucket."""

from __future__ import annotations

from benchmarks.serving import Limit


class Bucket:
    """Grants the requests of a limit: ``burst`` at once, and ``rate`` a second."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._tokens = float(limit.burst)
        self._began = self._filled = 0.0

    def take(self, now: float) -> bool:
        """Take a token; False when there is none."""
        self._began = self._began or now
        self._tokens = min(self._limit.burst, self._tokens + self._came_in(now))
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _came_in(self, now: float) -> float:
        """Tokens since the last request."""
        if not self._filled:
            return 0.0
        return self._limit.granted_until(now - self._began) - self._limit.granted_until(
            self._filled - self._began
        )
