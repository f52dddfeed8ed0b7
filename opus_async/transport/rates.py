"""How many a second: arithmetic on a clock that is passed in. No asyncio, no waiting."""

from __future__ import annotations

import math

_EPSILON = 1e-9
"""Seconds or tokens: rounding of floats must not make a timer fire twice for one token."""

BURST_SECONDS = 0.05
"""What may go out at once after a quiet moment: a loop that wakes 50 ms late must not lose its rate."""


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

    def set_rate(self, rate: float, now: float) -> None:
        """Go on at another rate; what has come in so far stays."""
        self._fill(now)
        self._rate = rate
        self._burst = max(1.0, rate * BURST_SECONDS)
        self._tokens = min(self._tokens, self._burst)

    def _fill(self, now: float) -> None:
        if now > self._updated:
            self._tokens = min(self._burst, self._tokens + (now - self._updated) * self._rate)
            self._updated = now


class RateMeter:
    """Events a second, the recent ones weighing most (an exponential window of two seconds)."""

    __slots__ = ("_began", "_seen", "_value")

    _WINDOW = 2.0
    _LEAST = 0.1  # the first events of a burst must not look like millions a second

    def __init__(self) -> None:
        self._value = 0.0
        self._began: float | None = None
        self._seen = 0.0

    def tick(self, now: float) -> None:
        """One event."""
        if self._began is None:
            self._began = self._seen = now
        if now > self._seen:
            self._value *= math.exp((self._seen - now) / self._WINDOW)
            self._seen = now
        self._value += 1.0 / self._WINDOW

    def rate(self, now: float) -> float:
        """Events a second; 0 before the first."""
        if self._began is None:
            return 0.0
        value = self._value * math.exp(min(0.0, (self._seen - now) / self._WINDOW))
        age = max(now - self._began, self._LEAST)
        return value / -math.expm1(-age / self._WINDOW)


class AdaptiveRate:
    """A rate that a server has to ask for: halved by each storm, climbing back on successes alone.

    Attributes:
        current: Requests a second; None while nothing limits.
    """

    __slots__ = ("_ceiling", "_climbed", "_goal", "_slowed", "current")

    CUT = 0.5
    CLIMB = 0.04
    """A second of successes wins back 4 % of the rate that was too much: after 12 s it is reached again."""
    LEAST_CLIMB = 0.5
    """Requests a second, won back each second: a quiet client that met one 429 is not slow for minutes."""
    FLOOR = 1.0
    """Requests a second that are always tried: slower, the end of a storm would not be noticed."""
    LIFT = 120.0
    """Seconds without a storm after which a rate that nobody asked for is lifted."""

    def __init__(self, ceiling: float | None = None) -> None:
        self._ceiling = ceiling
        self._goal = 0.0
        self._slowed = 0.0
        self._climbed = 0.0
        self.current = ceiling

    @property
    def slowed(self) -> bool:
        """Whether the rate is lower than what was set."""
        return self.current != self._ceiling

    def slow(self, now: float, observed: float) -> float:
        """One storm. ``observed``: the requests a second that went well before it."""
        goal = observed if self.current is None else min(self.current, max(observed, self.FLOOR))
        floor = self.FLOOR if self._ceiling is None else min(self.FLOOR, self._ceiling)
        self._goal = max(goal, floor)
        self._slowed = self._climbed = now
        self.current = max(goal * self.CUT, floor)
        return self.current

    def climb(self, now: float) -> None:
        """One success. Time alone is no evidence: a gap counts as one second at the most."""
        if self.current is None or not self.slowed:
            return
        step = min(max(now - self._climbed, 0.0), 1.0)
        self._climbed = max(now, self._climbed)
        self.current += max(self._goal * self.CLIMB, self.LEAST_CLIMB) * step
        if self._ceiling is not None:
            self.current = min(self.current, self._ceiling)
        elif now - self._slowed >= self.LIFT:
            self.current = None
