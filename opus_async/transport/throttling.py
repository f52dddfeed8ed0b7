"""Slowing down when a server asks for it: pauses and limits, of each kind of request and of all together."""

from __future__ import annotations

from collections.abc import Callable

from opus_async.transport.limit_scope import LimitScope, Operation
from opus_async.transport.rate_history import recent_peak
from opus_async.transport.rates import TokenBucket
from opus_async.transport.slow_start import SlowStart

__all__ = ["Operation", "Throttling"]

RESTART = 0.1
"""The share of what the server granted that is sent right after an outage: it may still be weak."""


class Throttling:
    """The limits of one server, as far as they are known.

    While no limit is known, a request costs no more than being counted. Every call is O(1), but for the first
    after a pause: a limit is fitted then, in up to a tenth of a second.

    Args:
        rate: Requests a second at the most; None for as many as the server grants.
        guess: Requests a second that the server is taken to grant while nothing is known of it.
        start_slowly: Whether the first requests go slowly; see :class:`.slow_start.SlowStart`.
        now: The clock, in seconds.
        random: A source of numbers in [0, 1).

    Attributes:
        is_free: Whether nothing bounds requests, so that there is nothing to wait for and to take.
        is_probing: Whether the server is down, and single requests find out: what one is told holds for all.
        pauses: Pauses since the last response that was not a throttling.
    """

    def __init__(
        self,
        rate: float | None,
        *,
        guess: float,
        start_slowly: bool = False,
        now: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        self._ceiling = None if rate is None else TokenBucket(rate)
        self._slow_start = SlowStart() if start_slowly else None
        self._scope = LimitScope(random)
        self.is_probing = False
        self.pauses = 0
        self._guess = guess
        self._now = now
        self._throttled_since: float | None = None
        self.is_free = self._is_calm = False
        """The second: whether, besides, none was refused since the last response."""
        self._look()

    def operation(self, name: str) -> Operation:
        """What is known of a kind of request; the same object at each call."""
        return self._scope.operation(name)

    # Before a request is sent

    def wait(self, operation: Operation, now: float) -> float:
        """Seconds until limits and pauses let a request go; 0 when it may go now."""
        return max(self.wait_of_all(now), self.own_wait(operation, now))

    def wait_of_all(self, now: float) -> float:
        """The same by what holds all operations back alike: their limits, and the slow start."""
        wait = self.shared_wait(now)
        return wait if self._slow_start is None else max(wait, self._slow_start.wait(now))

    def shared_wait(self, now: float) -> float:
        """The same by the limits that all operations share."""
        wait = 0.0 if self._ceiling is None else self._ceiling.wait(now)
        shared = self._scope.shared
        return wait if shared is None else max(wait, shared.wait(now))

    def own_wait(self, operation: Operation, now: float) -> float:
        """The same by the limit of this operation alone."""
        return 0.0 if operation.limit is None else operation.limit.wait(now)

    def take(self, operation: Operation, now: float) -> None:
        """Let a request go."""
        for each in (self._ceiling, self._slow_start, self._scope.shared, operation.limit):
            if each is not None:
                each.take(now)

    def give_back(self, operation: Operation) -> None:
        """Take a request back that did not go."""
        for each in (self._ceiling, self._slow_start, self._scope.shared, operation.limit):
            if each is not None:
                each.give_back()

    # After a response

    def record_success(self, operation: str = "", *, sent_at: float | None = None) -> None:
        """Record a granted request: rates may grow.

        Args:
            operation: Its name.
            sent_at: When it got its slot, by the clock; None for now.
        """
        found = self._scope.operation(operation)
        found.history.add(self._now() if sent_at is None else sent_at)
        if not self._is_calm:
            self._after_success(found)

    def record_response(self, operation: str = "", *, sent_at: float | None = None) -> None:
        """Record an error response that is not a throttling: it was granted, and raises no rate."""
        found = self._scope.operation(operation)
        found.history.add(self._now() if sent_at is None else sent_at)
        self._answered()

    def record_throttling(
        self, wait: float | None, *, operation: str = "", sent_at: float | None = None
    ) -> float:
        """Record a 429, or a 503 that names a wait: pause what its limit counts, and learn the limit.

        Args:
            wait: Seconds for which the server asked to wait; None when it did not say.
            operation: Its name.
            sent_at: When the refused request got its slot, by the clock; None for now. Requests that were on
                the wire when a pause began belong to the same storm: they may lengthen it, and count once.

        Returns:
            Seconds until the pause ends.
        """
        now, found = self._now(), self._scope.operation(operation)
        sent_at = now if sent_at is None else sent_at
        if self._throttled_since is None:
            self._throttled_since = now
        scope = self._scope
        limit = scope.share(now) if self.is_probing else scope.met(found, now, sent_at)
        self.pauses += limit.begins_pause(now, sent_at)
        seconds = limit.refused(now, wait, sent_at)
        self._look()
        return seconds

    def record_overload(self, operation: str = "", *, sent_at: float) -> None:
        """Record a 503 that names no wait: slow all requests without a pause.

        Counts once for all requests that were on the wire when it began; see :meth:`record_throttling`.
        """
        self.record_response(operation, sent_at=sent_at)
        now, granted = self._now(), self.granted
        self._scope.share(now).overloaded(now, sent_at, granted)
        self._look()

    def restart(self, granted: float) -> None:
        """Begin anew after an outage, at a low rate that climbs back to what was granted before it."""
        now = self._now()
        self._scope.share(now).restart(RESTART * granted, now)
        self._look()

    # What is known

    @property
    def rate(self) -> float | None:
        """Requests a second allowed now, of what is allowed least; None while nothing limits."""
        rates = [limit.pace.rate for limit in self._scope.limits()]
        if self._ceiling is not None:
            rates.append(self._ceiling.rate)
        return min(rates, default=None)

    @property
    def granted(self) -> float:
        """Requests a second that went well lately."""
        peak = recent_peak(self._scope.histories(), self._now())
        return max(peak, self._guess) if self.rate is None else peak  # few know it after one second

    @property
    def lasted(self) -> float:
        """Seconds for which every response was a throttling; 0 after any other."""
        return 0.0 if self._throttled_since is None else self._now() - self._throttled_since

    def _after_success(self, operation: Operation) -> None:
        now, scope = self._now(), self._scope
        self._answered()
        if self._slow_start is not None:
            self._slow_start.succeeded(now)
            if self._slow_start.is_over:
                self._slow_start = None
        if scope.shared is not None and scope.shared.succeeded(now):
            scope.shared = None
        if operation.limit is not None and operation.limit.succeeded(now):
            operation.limit = None
        self._look()

    def _look(self) -> None:
        """See whether there is anything to be done for each request."""
        bounded = self._slow_start is not None or any(True for _ in self._scope.limits())
        self.is_free = not bounded and self._ceiling is None
        self._is_calm = not bounded and self._throttled_since is None

    def _answered(self) -> None:
        """Note a response that is not a throttling."""
        self._throttled_since = None
        self.pauses = 0
