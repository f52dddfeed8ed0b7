"""What a watcher asks, made of plain Python: jobs that end at a given moment."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager

from opus_async.errors import OpusError
from opus_async.jobs.watch import Watcher
from opus_async.models import JobStatus


class FakeOpus:
    """Jobs that end at a given moment; keeps what it was asked, and that nothing is asked twice at once."""

    batch_size = 1

    def __init__(self, *, latency: float = 0.01) -> None:
        self.ends: dict[str, float] = {}
        self.asked: Counter[str] = Counter()
        self.moments: dict[str, list[float]] = {}
        self.open: set[str] = set()
        self.answers: dict[str, list[JobStatus | OpusError]] = {}
        self.most_at_once = 0
        self.well = False
        self._latency = latency

    async def is_well(self):
        return self.well

    async def poll(self, workflow_id, remote_ids):
        assert len(remote_ids) <= self.batch_size
        assert not self.open & set(remote_ids), "a job was asked about twice at once"
        self.open |= set(remote_ids)
        self.most_at_once = max(self.most_at_once, len(self.open))
        try:
            await asyncio.sleep(self._latency)
            return {remote_id: self._answer(remote_id) for remote_id in remote_ids}
        finally:
            self.open -= set(remote_ids)

    def _answer(self, remote_id):
        now = asyncio.get_running_loop().time()
        self.asked[remote_id] += 1
        self.moments.setdefault(remote_id, []).append(now)
        if self.answers.get(remote_id):
            return self.answers[remote_id].pop(0)
        return JobStatus.COMPLETED if now >= self.ends.get(remote_id, 0) else JobStatus.IN_PROGRESS


class Watching(Watcher):
    """A watcher whose jobs are all of one source."""

    def __init__(self, source, **options):
        super().__init__(**options)
        self._source = source

    async def wait(self, remote_id, **options):
        return await super().wait(self._source, remote_id, **options)


@asynccontextmanager
async def watching(opus, **options):
    options = {"detect_lag": 0.05, "patience": 120, "jitter": lambda: 1.0} | options
    watcher = Watching(opus, **options)
    try:
        yield watcher
    finally:
        await watcher.close()


def now() -> float:
    return asyncio.get_running_loop().time()
