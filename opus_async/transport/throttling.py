"""Slowing down when a server asks for it: one pause shared by all requests, and a rate that adapts.

After a 429 every task that sleeps the same Retry-After would wake in the same instant and fail again. So
there is one pause for all, and after it they leave one by one at a rate that climbs slowly.
"""

from __future__ import annotations

from collections.abc import Callable

from opus_async.transport.rates import AdaptiveRate, RateMeter, TokenBucket

_PAUSE_BASE = 0.5
_PAUSE_CAP = 20.0
"""Seconds of a pause whose length the server does not name: the first, doubled each time, and the longest."""
_PAUSE_FLOOR = 0.05
"""A server that says "Retry-After: 0" means at once, not in the same instant."""
_JITTER = 0.1
_STORM_LASTS = 1.0
"""Seconds within which refusals count as one storm, and slow the rate once."""


class Throttling:
    """The shared pause and the adaptive rate of one server. Every call is O(1).

    Args:
        rate: Requests a second; None for no limit until the server throttles.
        guess: Requests a second that the server is taken to grant while nothing is known of it.
        now: The clock, in seconds.
        random: A source of numbers in [0, 1).

    Attributes:
        bucket: Paces requests; None while nothing limits their rate.
        paused_until: When the pause ends, by the clock.
        pauses: Pauses since the last response that was not a throttling.
    """

    __slots__ = (
        "_adaptive",
        "_guess",
        "_meter",
        "_now",
        "_pause_began",
        "_random",
        "_storm_began",
        "_throttled_since",
        "bucket",
        "paused_until",
        "pauses",
    )

    def __init__(
        self, rate: float | None, *, guess: float, now: Callable[[], float], random: Callable[[], float]
    ) -> None:
        self.bucket = None if rate is None else TokenBucket(rate)
        self.paused_until = self._pause_began = self._storm_began = float("-inf")
        self.pauses = 0
        self._guess = guess
        self._now = now
        self._random = random
        self._adaptive = AdaptiveRate(rate)
        self._meter = RateMeter()
        self._throttled_since: float | None = None

    @property
    def rate(self) -> float | None:
        """Requests a second allowed now; None while nothing limits."""
        return self._adaptive.current

    @property
    def lasted(self) -> float:
        """Seconds for which every response was a throttling; 0 after any other."""
        return 0.0 if self._throttled_since is None else self._now() - self._throttled_since

    @property
    def granted(self) -> float:
        """Requests a second that went well lately."""
        peak = self._meter.peak(self._now())
        if self._adaptive.current is None:
            peak = max(peak, self._guess)  # few know their server after one second
        return peak

    def record_throttling(self, wait: float | None, *, sent_at: float | None = None) -> float:
        """Record a 429, or a 503 that names a wait: pause all requests, slow the rate.

        Args:
            wait: Seconds for which the server asked to wait; None when it did not say.
            sent_at: When the refused request got its slot, by the clock. Requests that were on the wire when
                a pause began belong to the same storm: they may lengthen it, and slow nothing twice.

        Returns:
            Seconds until the pause ends.
        """
        now = self._now()
        if self._throttled_since is None:
            self._throttled_since = now
        self._slow_down(now, sent_at)
        if now >= self.paused_until and (sent_at is None or sent_at >= self._pause_began):
            self.pauses += 1
            self._pause_began = now
            if wait is None:
                wait = min(_PAUSE_CAP, _PAUSE_BASE * 2.0 ** min(self.pauses - 1, 10))
        wait = None if wait is None else max(wait, _PAUSE_FLOOR)
        if wait is not None and now + wait > self.paused_until:
            self.paused_until = now + wait * (1.0 + _JITTER * self._random())
            self._follow_rate(now)
            if self.bucket is not None:
                self.bucket.hold(self.paused_until)
        return max(0.0, self.paused_until - now)

    def record_overload(self, *, sent_at: float) -> None:
        """Record a 503 that names no wait: slow the rate without a pause.

        Counts once for all requests that were on the wire when it began; see :meth:`record_throttling`.
        """
        self.record_response()
        now = self._now()
        self._slow_down(now, sent_at)
        self._follow_rate(now)

    def record_success(self) -> None:
        """Record a success: the rate climbs back a little."""
        now = self._now()
        self._meter.tick(now)
        self._throttled_since = None
        self.pauses = 0
        if now >= self.paused_until:
            self._adaptive.climb(now)
            if self.bucket is not None:
                self._follow_rate(now)

    def record_response(self) -> None:
        """Record an error response that is not a throttling: the storm is over, the rate stays."""
        self._throttled_since = None
        self.pauses = 0

    def restart(self, granted: float) -> None:
        """Begin anew after an outage, at a low rate that climbs back to what was granted before it."""
        now = self._now()
        self._adaptive.restart(now, granted)
        self._follow_rate(now)

    def _slow_down(self, now: float, sent_at: float | None) -> None:
        """Slow the rate, once for all refusals of one storm."""
        lasts = now < max(self.paused_until, self._storm_began + _STORM_LASTS)
        new = not lasts and (sent_at is None or sent_at >= self._storm_began)
        if new:
            self._storm_began = now
        self._adaptive.refused(now, self.granted, new_storm=new)

    def _follow_rate(self, now: float) -> None:
        rate = self._adaptive.current
        if rate is None:
            self.bucket = None
        elif self.bucket is None:
            self.bucket = TokenBucket(rate, now=now)
        else:
            self.bucket.set_rate(rate, now)
