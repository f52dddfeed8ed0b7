"""Token bucket and adaptive rate: arithmetic on a clock that is passed in. No asyncio, no waiting."""

from __future__ import annotations

from dataclasses import dataclass

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
        """Change the rate; tokens that have come in so far stay."""
        self._fill(now)
        self._rate = rate
        self._burst = max(1.0, rate * BURST_SECONDS)
        self._tokens = min(self._tokens, self._burst)

    def _fill(self, now: float) -> None:
        if now > self._updated:
            self._tokens = min(self._burst, self._tokens + (now - self._updated) * self._rate)
            self._updated = now


class RateMeter:
    """The highest rate of events in the last seconds: a quiet moment is no sign of a slow server."""

    __slots__ = ("_began", "_count", "_peak")

    _WINDOW = 1.0
    _KEEP = 0.9  # the peak of seven seconds ago weighs half

    def __init__(self) -> None:
        self._began = 0.0
        self._count = 0
        self._peak = 0.0

    def tick(self, now: float) -> None:
        """Count one event."""
        if now - self._began >= self._WINDOW:
            self._peak = self.peak(now)
            self._began = now
            self._count = 0
        self._count += 1

    def peak(self, now: float) -> float:
        """Events a second; 0 before the first."""
        age = max(now - self._began, self._WINDOW)
        return max(self._count / age, self._peak * float(self._KEEP**age))


class AdaptiveRate:
    """A rate that is cut when a server refuses requests, and climbs back on successes alone.

    A storm is a group of refusals close together. Each cuts the rate by the share of requests that the server
    refused lately, for what it granted is what it can bear: one refusal among a hundred responses costs a
    hundredth. Then the rate is back within seconds to what the server granted, and grows slowly from there.
    The shared pause stops a storm; this rate keeps what follows it orderly.

    Args:
        ceiling: Requests a second that were set; None for no limit while the server refuses nothing.

    Attributes:
        current: Requests a second; None while nothing limits.
    """

    __slots__ = ("_before", "_ceiling", "_climbed", "_goal", "_refused", "_slowed", "current")

    DEEPEST = 0.7
    """What one storm leaves of the rate at the least; a wall of refusals is a row of storms."""
    MEMORY = 1 / 64
    """The weight of the newest answer in the share of refusals."""
    NOISE = 0.1
    """A share of refusals that says little of the server's limit."""
    FORGET = 0.85
    """What a storm above the noise leaves of the rate to climb back to."""
    RETURN = 0.35
    """Growth in a second of successes, up to most of what the server granted."""
    MOST = 0.9
    """The share of what the server granted up to which the rate climbs fast."""
    PROBE = 0.06
    """Growth in a second of successes from there on, as a share of what it granted."""
    LEAST_CLIMB = 2.0
    """Requests a second, won back each second: a quiet client that met one 429 is not slow for minutes."""
    RESTART = 0.1
    """The share of what the server granted that is sent right after an outage: it may still be weak."""
    FLOOR = 1.0
    """Requests a second at the least: slower, the end of a storm would not be noticed."""
    LIFT = 120.0
    """Seconds without a storm after which a rate without a ceiling is lifted."""

    def __init__(self, ceiling: float | None = None) -> None:
        self._ceiling = ceiling
        self._goal = 0.0
        self._before = 0.0
        self._refused = 0.0
        self._slowed = 0.0
        self._climbed = 0.0
        self.current = ceiling

    @property
    def slowed(self) -> bool:
        """Whether the rate is lower than its ceiling."""
        return self.current != self._ceiling

    def refused(self, now: float, granted: float, *, new_storm: bool) -> None:
        """Count one refused request.

        The cut deepens as the refusals of a storm come in, and it is one cut.

        Args:
            now: The clock's reading.
            granted: Requests a second that went well lately, or a guess where nothing is known yet.
            new_storm: Whether it begins a storm, and not belongs to one for which the rate was cut already.
        """
        self._refused += (1 - self._refused) * self.MEMORY
        floor = self.FLOOR if self._ceiling is None else min(self.FLOOR, self._ceiling)
        if new_storm:
            # The latest rate can be our own doing: alone it must not pull the goal down.
            kept = self._goal * (1.0 if self._refused < self.NOISE else self.FORGET)
            self._goal = max(granted, floor, kept)
            self._before = min(self.current or self._goal, self._goal)
        self._slowed = self._climbed = now
        share = max(1 - self._refused, self.DEEPEST)
        self.current = max(min(self._before * share, self.current or self._before), floor)

    def restart(self, now: float, granted: float) -> None:
        """Begin anew after an outage at a low rate, which climbs back to what was granted before it."""
        floor = self.FLOOR if self._ceiling is None else min(self.FLOOR, self._ceiling)
        self._goal = max(granted, floor, self._goal)
        self._slowed = self._climbed = now
        self.current = max(min(self._goal, self.current or self._goal) * self.RESTART, floor)

    def climb(self, now: float) -> None:
        """Count one success. Time alone is no evidence: a gap counts as one second at the most."""
        self._refused -= self._refused * self.MEMORY
        if self.current is None or not self.slowed:
            return
        step = min(max(now - self._climbed, 0.0), 1.0)
        self._climbed = max(now, self._climbed)
        known = self.current < self.MOST * self._goal
        growth = self.current * self.RETURN if known else self._goal * self.PROBE
        self.current += max(growth, self.LEAST_CLIMB) * step
        if self._ceiling is not None:
            self.current = min(self.current, self._ceiling)
        elif now - self._slowed >= self.LIFT:
            self.current = None
