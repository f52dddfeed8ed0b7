"""The real poller and the real API calls, and nothing else: jobs that are only waited for."""

from __future__ import annotations

import asyncio
import time

from benchmarks.answers import KEY, TEXT
from benchmarks.clients import raw
from benchmarks.clients.ours import LAG
from benchmarks.clients.whole_job import by_workers
from benchmarks.harness.meter import Meter
from benchmarks.harness.strain import Strain
from opus_async import OpusClient
from opus_async.jobs.watch import Watcher
from opus_async.testing import quick_polls

WORKERS = 64
STARTED = 2000.0
"""Jobs that start in a second."""
WARM = 6000
"""Polls before: a new client begins with few requests a second, which is not the question here."""
TOGETHER = 50
"""Jobs that one request starts: what it costs to start them is not the question here."""


async def jobs(meter: Meter, count: int, *, url: str) -> dict[str, object]:
    """Watch so many jobs, all at once, to their end.

    Returns:
        The figures of :class:`benchmarks.harness.strain.Strain`; ``late``, the seconds by which each poll
        left after it was due; ``middle``, the polls a second in the middle half of the time.
    """
    strain = Strain()
    late: list[float] = []
    sent: list[float] = []
    with quick_polls(LAG):
        async with OpusClient(KEY, base_url=url) as opus, raw.Client(url) as starter:
            source = opus.lifecycle(TEXT).platform.status_source
            watcher = Watcher(detect_lag=0.05, patience=600, workers=WORKERS)
            queue = watcher._queue  # noqa: SLF001 - what was due when is known nowhere else
            take_due = queue.take_due

            def taken(now: float) -> object:
                due = take_due(now)
                if due is not None:
                    late.extend(now - job.ready for job in due[1])
                    sent.append(time.monotonic())
                return due

            await starter.call("POST", "/job/execute", {"jobExecutionId": ["first"]})
            await by_workers(lambda _: source.poll(TEXT, ["first"]), WARM if count > WORKERS else 1, WORKERS)
            queue.take_due = taken  # type: ignore[assignment, method-assign]
            with meter.against(url):
                async with strain, asyncio.TaskGroup() as group:
                    for first in range(0, count, TOGETHER):
                        ids = [str(number) for number in range(first, min(first + TOGETHER, count))]
                        await starter.call("POST", "/job/execute", {"jobExecutionId": ids})
                        for each in ids:
                            group.create_task(watcher.wait(source, each, workflow_id=TEXT))
                        await asyncio.sleep(TOGETHER / STARTED)
            await watcher.close()
    return {**strain.figures, "late": late, "middle": _middle_rate(sent)}


def _middle_rate(times: list[float]) -> float:
    began, length = times[0], times[-1] - times[0]
    middle = [each for each in times if 0.25 * length <= each - began <= 0.75 * length]
    return len(middle) / (0.5 * length) if length else 0.0
