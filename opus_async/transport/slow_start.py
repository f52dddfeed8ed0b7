"""The first requests to a server of which nothing is known: few at once, and twice as many soon after.

A limit is then met by few requests instead of by all that fit on the wire. A server without a limit gets
whatever there is after a second; and whoever sends less than the first rate never waits.
"""

from __future__ import annotations

from opus_async.transport.rates import BURST_SECONDS, TokenBucket

AT_ONCE = 8
RATE = 100.0
DOUBLED_IN = 0.25
"""Requests that go at once and a second, and the seconds of successes in which that rate doubles."""
LIFTED = 3200.0
"""Requests a second from which on nothing is held back: one process hardly sends more."""
UNUSED = 1.0
KNOWN = 400.0
"""Seconds after which nothing is held back either, where more than this rate is granted, and less wanted."""


class SlowStart:
    """Paces the first requests.

    Attributes:
        is_over: Whether it holds nothing back any more.
    """

    __slots__ = ("_bucket", "_grown_at", "_used", "_used_at", "is_over")

    def __init__(self) -> None:
        self._bucket = TokenBucket(RATE, burst=AT_ONCE)
        self._grown_at = self._used_at = 0.0
        self._used = self.is_over = False

    def wait(self, now: float) -> float:
        """Seconds until the next request may go."""
        wait = self._bucket.wait(now)
        if wait > 0.0:
            self._used = True
        return wait

    def take(self, now: float) -> None:
        """Let a request go."""
        self._bucket.take(now)

    def give_back(self) -> None:
        """Take a request back that did not go."""
        self._bucket.give_back()

    def succeeded(self, now: float) -> None:
        """Count a granted request: the rate grows if it was used."""
        step, self._grown_at = min(now - self._grown_at, DOUBLED_IN), now
        if not self._used:
            self.is_over = self._bucket.rate >= KNOWN and now - self._used_at >= UNUSED
        elif step > 0.0:
            self._used, self._used_at = False, now
            rate = self._bucket.rate * 2.0 ** (step / DOUBLED_IN)
            self._bucket.set_rate(rate, now, burst=max(AT_ONCE, rate * BURST_SECONDS))
            self.is_over = rate >= LIFTED
