"""Servers that limit requests, in virtual time, and the real limiter against them.

Requests are told apart by operation alone; each waits for its turn, is on the wire for a while, and is sent
again when it was refused.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from virtual_time import run_virtual

from opus_async.transport.limits import Priority, RequestLimiter

LATENCY = (0.0005, 0.003)
"""Seconds from sending a request to its answer, at least and at most."""


class _Counted:
    """Notes when requests were granted and refused."""

    def __init__(self, retry_after: float | None) -> None:
        self.retry_after = retry_after
        self.granted: list[float] = []
        self.refused: list[float] = []

    @property
    def refusals(self) -> float:
        """The share of refused requests."""
        return len(self.refused) / (len(self.refused) + len(self.granted))


class TokenBucketServer(_Counted):
    """Grants ``burst`` requests at once, and ``rate`` a second.

    Args:
        rate: Requests a second.
        burst: Saved up at most, and there at the start.
        operations: Those that are counted; None for all.
        retry_after: Seconds that a refusal names; None when it names none.
        later: (seconds, rate): from then on, another rate.
    """

    def __init__(
        self,
        rate: float,
        burst: float,
        *,
        operations: frozenset[str] | None = None,
        retry_after: float | None = 1.0,
        later: Sequence[tuple[float, float]] = (),
    ) -> None:
        super().__init__(retry_after)
        self._burst, self._operations = burst, operations
        self._rates = [(0.0, rate), *later]
        self._tokens, self._filled = burst, 0.0

    def came_in(self, seconds: float) -> float:
        """Tokens within so many seconds from the first request on."""
        ends = [*(at for at, _ in self._rates[1:]), float("inf")]
        return sum(
            rate * max(min(end, seconds) - start, 0.0)
            for (start, rate), end in zip(self._rates, ends, strict=True)
        )

    def grants(self, operation: str, now: float) -> bool:
        if self._operations is not None and operation not in self._operations:
            return True
        since = now - self.granted[0] if self.granted else 0.0
        came_in = self.came_in(since) - self.came_in(self._filled)
        self._tokens, self._filled = min(self._burst, self._tokens + came_in), since
        if self._tokens < 1:
            self.refused.append(now)
            return False
        self._tokens -= 1
        self.granted.append(now)
        return True

    @property
    def share(self) -> float:
        """The share of what was allowed that was granted, until the last request."""
        return len(self.granted) / (self._burst + self.came_in(self.granted[-1] - self.granted[0]))


class WindowServer(_Counted):
    """Grants so many requests in each window of the clock, and names the wait until the next."""

    def __init__(self, requests: int, seconds: float) -> None:
        super().__init__(None)
        self._requests, self._seconds = requests, seconds
        self._window, self._left = -1, 0

    def grants(self, operation: str, now: float) -> bool:
        window = int(now // self._seconds)
        if window != self._window:
            self._window, self._left = window, self._requests
        self.retry_after = (window + 1) * self._seconds - now
        if not self._left:
            self.refused.append(now)
            return False
        self._left -= 1
        self.granted.append(now)
        return True


class UnlimitedServer(_Counted):
    """Grants all, but for those that it is told to refuse, by their number."""

    def __init__(self, refuses: frozenset[int] = frozenset(), retry_after: float | None = 1.0) -> None:
        super().__init__(retry_after)
        self._refuses = refuses

    def grants(self, operation: str, now: float) -> bool:
        refused = len(self.granted) + len(self.refused) in self._refuses
        (self.refused if refused else self.granted).append(now)
        return not refused


Server = TokenBucketServer | WindowServer | UnlimitedServer


@dataclass
class Client:
    """What became of the requests of a client.

    Attributes:
        seconds: Until the last was granted.
        waited: Of each request, by operation: seconds until it was sent first.
    """

    seconds: float = 0.0
    waited: dict[str, list[float]] = field(default_factory=dict)


def send_all(
    server: Server,
    requests: int,
    *,
    operations: Sequence[str] = ("initiate", "execute", "status", "results"),
    at_once: int = 500,
    offered: float | None = None,
    until: float = float("inf"),
    latency: tuple[float, float] = LATENCY,
    slots: int = 64,
    start_slowly: bool = True,
    seed: int = 101,
) -> Client:
    """Send so many requests, each until it is granted.

    Args:
        server: The server.
        requests: How many.
        operations: In turn.
        at_once: So many wait for their turn, or are on the wire.
        offered: Requests that come in a second; None for as many as are wanted.
        until: Seconds after which no more come.
        latency: Seconds on the wire, at least and at most.
        slots: On the wire at once.
        start_slowly: See :class:`RequestLimiter`.
        seed: Of latencies and pauses.
    """
    drawn, client = random.Random(seed), Client(waited={name: [] for name in operations})

    async def main() -> None:
        loop = asyncio.get_running_loop()
        limiter = RequestLimiter(slots, random=drawn.random, start_slowly=start_slowly)
        began, tickets = loop.time(), asyncio.Semaphore(at_once)

        async def send(operation: str) -> None:
            came, first = loop.time(), True
            while True:
                await limiter.acquire(Priority.WORK, operation)
                sent = loop.time()
                if first:
                    client.waited[operation].append(sent - came)
                first, way = False, drawn.uniform(*latency) / 2
                await asyncio.sleep(way)
                granted, wait = server.grants(operation, loop.time()), server.retry_after
                await asyncio.sleep(way)
                if granted:
                    limiter.throttling.record_success(operation, sent_at=sent)
                else:
                    limiter.throttling.record_throttling(wait, operation=operation, sent_at=sent)
                limiter.release()
                if granted:
                    break
            tickets.release()

        async with asyncio.TaskGroup() as group:
            for number in range(requests):
                if offered is not None:
                    await asyncio.sleep(began + number / offered - loop.time())
                await tickets.acquire()
                if loop.time() - began >= until:
                    break
                group.create_task(send(operations[number % len(operations)]))
        client.seconds = loop.time() - began
        limiter.close()

    run_virtual(main())
    return client
