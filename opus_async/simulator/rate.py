"""A token bucket: how many requests a key may make."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class TokenBucket:
    """Grants `rate` requests per second, and one second's worth at once, or `burst` of them.

    Attributes:
        rate: Requests per second.
        refilled_at: The moment up to which tokens were added, epoch seconds.
        burst: How many it grants at once; 0 for what a second grants.
    """

    rate: float
    refilled_at: float
    burst: float = 0.0
    _tokens: float = -1.0

    def take(self, now: float) -> float:
        """Take a token.

        Returns:
            0.0 if there was one, else the seconds until there will be.
        """
        capacity = self.burst or max(self.rate, 1.0)
        if self._tokens < 0:
            self._tokens = capacity
        self._tokens = min(capacity, self._tokens + max(now - self.refilled_at, 0.0) * self.rate)
        self.refilled_at = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / self.rate
