"""How long to wait between the attempts of a request, and when to stop: arithmetic, no clock, no sleeping."""

from __future__ import annotations

from collections.abc import Callable

import backoff

from opus_async.config import RetryPolicy

__all__ = ["BackoffSchedule"]


class BackoffSchedule:
    """The waits of one request: backoff's ``expo`` with its full jitter.

    Never more than ``policy.attempts`` attempts and no wait that ends after ``policy.max_elapsed`` seconds of
    attempts and waits. Throttled attempts use up neither.

    Args:
        policy: ``attempts``, ``max_elapsed``, ``base`` and ``cap`` are used.
        jitter: From a backoff in seconds to the wait that is taken.
    """

    __slots__ = ("_failed", "_jitter", "_policy", "_spent", "_waits")

    def __init__(self, policy: RetryPolicy, jitter: Callable[[float], float] = backoff.full_jitter) -> None:
        self._policy = policy
        self._jitter = jitter
        self._waits = backoff.expo(base=2, factor=policy.base, max_value=policy.cap)
        next(self._waits)  # the first value belongs to backoff's own send() protocol
        self._failed = 0
        self._spent = 0.0

    @property
    def patience(self) -> float:
        """Seconds of nothing but 429 after which the request is given up."""
        return self._policy.max_elapsed

    def after_failure(
        self, took: float, retry_after: float | None = None, paused: float = 0.0
    ) -> float | None:
        """The wait after a failed attempt.

        Args:
            took: Seconds that the attempt took.
            retry_after: Seconds to wait at least, as the server asked.
            paused: Seconds of the wait that are a pause of all requests: they cost nothing.

        Returns:
            Seconds to wait; None to give up.
        """
        self._failed += 1
        self._spent += took
        if self._failed >= self._policy.attempts:
            return None
        wait = max(self._next_wait(), self.capped(retry_after) or 0.0)
        cost = max(0.0, wait - paused)
        if self._spent + cost >= self._policy.max_elapsed:
            return None
        self._spent += cost
        return max(wait, paused)

    def after_throttling(self, retry_after: float | None, paused: float) -> float:
        """Seconds to wait after a 429, the pause of so many seconds included."""
        return paused if retry_after is not None else max(paused, self._next_wait())

    def capped(self, retry_after: float | None) -> float | None:
        """What a server asked for, in seconds, but at most ``max_elapsed``."""
        return None if retry_after is None else min(max(retry_after, 0.0), self._policy.max_elapsed)

    def _next_wait(self) -> float:
        return self._jitter(next(self._waits))
