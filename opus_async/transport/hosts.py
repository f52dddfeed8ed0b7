"""Where files go and come from: each storage host has a gate and a breaker of its own.

Storage hosts are named by the platform, in one presigned URL at a time. One that cannot be reached holds up
what goes there and nothing else; and one that never answered anybody is not waited for on the word of one
file alone.
"""

from __future__ import annotations

from collections.abc import Callable

from opus_async.config import RetryPolicy
from opus_async.events import Event, RequestKind
from opus_async.transport.circuit_breaker import CircuitBreaker
from opus_async.transport.limits import RequestLimiter
from opus_async.transport.retry import Retrier
from opus_async.transport.urls import without_query

__all__ = ["Hosts", "Storage"]

NAME = "file storage"
"""In messages and events: which bucket it was is nobody's business."""
MOST = 64
"""Hosts that are told apart, about 2 kB each; what comes beyond them shares one gate."""

Storage = Callable[[str], Retrier]
"""From a presigned URL to who repeats requests to its host."""


class Hosts:
    """The storage hosts of one client.

    Args:
        policy: How often and how long a request is repeated.
        slots: Requests on the wire at once to one host; all of them together are bounded by whoever uploads
            and downloads.
        notify: Told of trouble.
    """

    def __init__(self, policy: RetryPolicy, slots: int, notify: Callable[[Event], None]) -> None:
        self._policy = policy
        self._slots = slots
        self._notify = notify
        self._hosts: dict[str, Retrier] = {}
        self._gates: list[tuple[RequestLimiter, CircuitBreaker]] = []
        self._closed = False

    def at(self, url: str) -> Retrier:
        """Who repeats requests to the host of this URL."""
        host = without_query(url).split("/")[2:3]  # an odd URL has none, and is refused by whoever sends it
        name = host[0].lower() if host else ""
        if name not in self._hosts and len(self._hosts) >= MOST:
            name = ""
        if name not in self._hosts:
            self._hosts[name] = self._new()
        return self._hosts[name]

    def close(self) -> None:
        """Leave no timer behind; whoever waits is told."""
        self._closed = True
        for gate, breaker in self._gates:
            breaker.close()
            gate.close()

    def _new(self) -> Retrier:
        gate = RequestLimiter(self._slots)
        breaker = CircuitBreaker(NAME, gate, self._policy, notify=self._notify, certain=False)
        self._gates.append((gate, breaker))
        if self._closed:
            breaker.close()
            gate.close()
        return Retrier(self._policy, gate, breaker=breaker, kind=RequestKind.STORAGE, notify=self._notify)
