"""Storage hosts: each has a request limiter and a circuit breaker of its own.

Storage hosts are named by the platform, in one presigned URL at a time. One that cannot be reached delays
requests to it and no others. One that has never answered counts as down only once several files have failed
to reach it: a single URL may be wrong.
"""

from __future__ import annotations

from collections.abc import Callable

from opus_async.config import RetryPolicy
from opus_async.events import RequestKind
from opus_async.transport.circuit_breaker import CircuitBreaker
from opus_async.transport.dispatch import Dispatcher
from opus_async.transport.limits import RequestLimiter
from opus_async.transport.retry import Retrier
from opus_async.transport.urls import without_query

__all__ = ["Hosts", "Storage"]

NAME = "file storage"
"""In messages and events: which bucket it was is not told."""
MOST = 64
"""Hosts that are told apart, about 2 kB each; all others share one limiter."""

Storage = Callable[[str], Retrier]
"""From a presigned URL to the retrier of its host."""


class Hosts:
    """The storage hosts of one client.

    Args:
        policy: How often and how long a request is repeated.
        slots: Requests on the wire at once to one host; requests to all hosts together are bounded where
            uploads and downloads are made.
        notify: Told of requests and outages.
    """

    def __init__(self, policy: RetryPolicy, slots: int, notify: Dispatcher) -> None:
        self._policy = policy
        self._slots = slots
        self._notify = notify
        self._hosts: dict[str, Retrier] = {}
        self._limiters: list[tuple[RequestLimiter, CircuitBreaker]] = []
        self._closed = False

    def at(self, url: str) -> Retrier:
        """The retrier of this URL's host."""
        host = without_query(url).split("/")[2:3]  # an odd URL has none, and is refused by whoever sends it
        name = host[0].lower() if host else ""
        if name not in self._hosts and len(self._hosts) >= MOST:
            name = ""
        if name not in self._hosts:
            self._hosts[name] = self._new()
        return self._hosts[name]

    def stop(self) -> None:
        """Start no more requests, and leave no timer behind."""
        self._closed = True
        for limiter, breaker in self._limiters:
            breaker.close()
            limiter.stop()

    def close(self) -> None:
        """Start no more requests; those that wait get a TransportError."""
        self.stop()
        for limiter, _ in self._limiters:
            limiter.close()

    def _new(self) -> Retrier:
        limiter = RequestLimiter(self._slots)
        breaker = CircuitBreaker(NAME, limiter, self._policy, notify=self._notify, known_host=False)
        self._limiters.append((limiter, breaker))
        if self._closed:
            breaker.close()
            limiter.close()
        return Retrier(self._policy, limiter, breaker=breaker, kind=RequestKind.STORAGE, notify=self._notify)
