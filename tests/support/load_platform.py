"""A platform whose runs queue for servers as the theory of queues has it, in virtual time, and its client."""

from __future__ import annotations

import asyncio
import heapq
import random

from fake_platform import FakePlatform

from opus_async.config import Limits, RetryPolicy
from opus_async.jobs.lifecycle import Lifecycle
from opus_async.jobs.watch import Watcher
from opus_async.load.client import LIMITS
from opus_async.models import JobStatus
from opus_async.transport.dispatch import Dispatcher


class QueueingPlatform(FakePlatform):
    """Runs take their turn on so many servers: M/M/c, where run times are exponential.

    Args:
        servers: How many runs work at once; None for any number.
        run_time: Seconds on average; exponential unless ``constant``.
        step: Seconds that each request takes.
    """

    def __init__(self, *, servers=None, run_time=1.0, step=0.0, constant=False, seed=1, overhead=0.0) -> None:
        super().__init__(step=step, run_time=run_time)
        self.servers = servers
        self.constant = constant
        self.overhead = overhead
        self.ends: dict[str, float] = {}
        self.truth: dict[str, float] = {}
        """Job -> seconds from its start to its end."""
        self.fails: set[str] = set()
        self._random = random.Random(seed)
        self._free: list[float] = []
        self._made = 0

    async def _do(self, name, what):
        if self.step:
            await asyncio.sleep(self.step)
        error = self.fail.get(name, lambda _: None)(what)
        if error is not None:
            raise error

    async def create(self, bound):
        await self._do("create", bound)
        self._made += 1
        return f"job-{self._made}"

    async def start(self, remote_id, ready, about_to_send=None):
        if (telling := about_to_send()) is not None:
            await telling
        await self._do("start", remote_id)
        now = asyncio.get_running_loop().time()
        begin = now
        if self.servers is not None and len(self._free) >= self.servers:
            begin = max(now, heapq.heappop(self._free))
        work = self.run_time if self.constant else self._random.expovariate(1 / self.run_time)
        self.ends[remote_id] = begin + work
        self.truth[remote_id] = begin + work - now
        if self.servers is not None:
            heapq.heappush(self._free, begin + work)

    async def poll(self, workflow_id, remote_ids):
        await asyncio.sleep(0.001)
        now = asyncio.get_running_loop().time()
        return {
            remote_id: JobStatus.IN_PROGRESS if now < self.ends[remote_id] else self._end_of(remote_id)
            for remote_id in remote_ids
        }

    def _end_of(self, remote_id):
        return JobStatus.FAILED if remote_id in self.fails else JobStatus.COMPLETED


class FakeClient:
    """A client of that platform; entered, it is as new."""

    is_production = False

    def __init__(self, platform: FakePlatform, *, limits: Limits = LIMITS) -> None:
        self.platform = platform
        self.limits = limits
        self.notify = Dispatcher(())
        self.asked: dict[str, object] = {}
        self._watchers: list[Watcher] = []

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_error):
        await self.close()

    async def close(self):
        for watcher in self._watchers:
            await watcher.close()

    def metering(self, meter):
        return self.notify.metering(meter)

    def load_lifecycle(self, workflow_id, **asked):
        self.asked = asked
        watcher = Watcher(
            detect_lag=self.limits.detect_lag,
            patience=60,
            jitter=lambda: 1.0,
        )
        self._watchers.append(watcher)
        return Lifecycle(self.platform, watcher, policy=RetryPolicy(), job_timeout=None, notify=self.notify)
