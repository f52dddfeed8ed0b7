"""What carries the requests of one client: connections, limits, retries and circuit breakers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from opus_async.config import Limits, RetryPolicy, Timeouts
from opus_async.remote.hold import Hold
from opus_async.transport.bandwidth import Bandwidth
from opus_async.transport.circuit_breaker import CircuitBreaker
from opus_async.transport.dispatch import Dispatcher
from opus_async.transport.hosts import Hosts
from opus_async.transport.http import Http
from opus_async.transport.limits import RequestLimiter
from opus_async.transport.rates import OperationLimit
from opus_async.transport.retry import Retrier

if TYPE_CHECKING:
    import aiohttp


class Network:
    """Built once for each client; every request of it goes through here.

    Args:
        base_url: Of the API.
        limits: How much happens at once.
        timeouts: How long one attempt may take.
        retry: What happens when a request fails.
        session: A session of the caller's, which is not closed here; None for one of our own.
        notify: Where events go.
        operation_limits: The rates that the platform demands of some kinds of requests.

    Attributes:
        http: Makes one attempt of a request.
        limiter: Bounds the requests to the API, all kinds together.
        breaker: Holds them back while the API's host is down.
        retrier: Repeats them.
        file_slots: Bounds the files on the wire, both ways.
        bandwidth: Shared by all uploads; None for no bound.
        storage: Limits, retries and breakers of each storage host.
        remote: Connections to where documents lie that are read from there.
    """

    def __init__(
        self,
        base_url: str,
        *,
        limits: Limits,
        timeouts: Timeouts,
        retry: RetryPolicy,
        session: aiohttp.ClientSession | None,
        notify: Dispatcher,
        operation_limits: Sequence[OperationLimit] = (),
    ) -> None:
        self.http = Http(timeouts, session=session)
        self.limiter = RequestLimiter(
            limits.api_concurrency,
            rate=limits.api_rate,
            poll_rate=limits.poll_rate,
            start_slowly=True,
            operation_limits=operation_limits,
        )
        host = urlsplit(base_url).hostname or base_url
        self.breaker = CircuitBreaker(host, self.limiter, retry, notify=notify)
        self.retrier = Retrier(retry, self.limiter, breaker=self.breaker, notify=notify)
        self.file_slots = RequestLimiter(limits.upload_concurrency)
        self.bandwidth = Bandwidth(limits.upload_bandwidth) if limits.upload_bandwidth else None
        self.storage = Hosts(retry, limits.upload_concurrency, notify)
        self.remote = Hold()

    def stop(self) -> None:
        """Start no more requests. Whoever waits for a turn waits on, to be cancelled, until it is closed."""
        self.breaker.close()
        self.storage.stop()
        self.limiter.stop()
        self.file_slots.stop()

    async def close(self) -> None:
        """Close the connections; whoever still waits for a turn gets an error."""
        self.stop()
        self.storage.close()
        self.limiter.close()
        self.file_slots.close()
        try:
            await self.http.close()
        finally:
            await self.remote.release()
