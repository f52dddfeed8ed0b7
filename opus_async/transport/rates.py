"""Token buckets: arithmetic on a clock that is passed in. No asyncio, no waiting."""

from __future__ import annotations

from opus_async.lazy_dataclass import dataclass

_EPSILON = 1e-9
"""Seconds or tokens: rounding of floats must not make a timer fire twice for one token."""

BURST_SECONDS = 0.05
"""What may go out at once after a quiet moment: a loop that wakes 50 ms late must not lose its rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationLimit:
    """A rate for some kinds of requests, out of the rate of all.

    Attributes:
        operations: The names of the operations that share it.
        rate: Requests a second.
        burst: Requests that may go out at once after a quiet time; None for 50 ms worth, at least one.
    """

    operations: frozenset[str]
    rate: float
    burst: float | None = None


class TokenBucket:
    """Tokens that come in at a steady rate and can be saved up to ``burst``.

    Over any stretch of T seconds at most ``burst + rate * T`` are taken. Starts full.

    Args:
        rate: Tokens a second.
        burst: The most that can be saved; by default 50 ms worth, at least one.
        now: The clock's reading.
    """

    __slots__ = ("_burst", "_rate", "_tokens", "_updated")

    def __init__(self, rate: float, *, burst: float | None = None, now: float = 0.0) -> None:
        self._rate = rate
        self._burst = max(1.0, rate * BURST_SECONDS) if burst is None else burst
        self._tokens = self._burst
        self._updated = now

    @property
    def rate(self) -> float:
        """Tokens a second."""
        return self._rate

    def tokens(self, now: float) -> float:
        """What is there."""
        self._fill(now)
        return self._tokens

    def wait(self, now: float, amount: float = 1.0) -> float:
        """Seconds until ``amount`` can be taken; 0 when it can be now."""
        self._fill(now)
        missing = amount - self._tokens
        if missing <= _EPSILON:
            return 0.0
        return missing / self._rate + max(0.0, self._updated - now)

    def take(self, now: float, amount: float = 1.0) -> bool:
        """Take ``amount``, or leave all as it is and return False."""
        if self.wait(now, amount) > 0:
            return False
        self._tokens -= amount
        return True

    def give_back(self, amount: float = 1.0) -> None:
        """Return what was taken and not used."""
        self._tokens = min(self._burst, self._tokens + amount)

    def reserve(self, now: float, amount: float) -> float:
        """Take ``amount`` in any case and return the seconds to wait before using it.

        Those who come later wait for the debt of those before: first come, first served.
        """
        self._fill(now)
        self._tokens -= amount
        return max(0.0, -self._tokens / self._rate)

    def hold(self, until: float) -> None:
        """Empty it; nothing comes in before ``until``."""
        self._tokens = min(self._tokens, 0.0)
        self._updated = max(self._updated, until)

    def set_rate(self, rate: float, now: float, *, burst: float | None = None) -> None:
        """Change the rate and what can be saved; tokens that have come in so far stay."""
        self._fill(now)
        self._rate = rate
        self._burst = max(1.0, rate * BURST_SECONDS) if burst is None else burst
        self._tokens = min(self._tokens, self._burst)

    def refill(self, tokens: float, now: float) -> None:
        """Set what has been saved up; less than nothing is a debt."""
        self._tokens = min(self._burst, tokens)
        self._updated = now

    def _fill(self, now: float) -> None:
        if now > self._updated:
            self._tokens = min(self._burst, self._tokens + (now - self._updated) * self._rate)
            self._updated = now
