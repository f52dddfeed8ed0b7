"""Set limits, and count events with a listener.

Run it without a key:

opus-async simulate --faults flaky -- python examples/limits_and_listeners.py
"""

import asyncio
from collections import Counter

from opus_async import Event, JobStageChanged, Limits, OpusClient, RequestRetried, RequestSent, RetryPolicy

WORKFLOW = "T3xtOnlyWorkfl0w"


class Counts:
    """A listener: any callable, sync or async. What it raises is logged and breaks no job."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.retries: Counter[str] = Counter()
        self.stages: Counter[str] = Counter()

    def __call__(self, event: Event) -> None:
        """Count one event."""
        match event:
            case RequestSent():
                self.requests[f"{event.operation} {event.status}"] += 1
            case RequestRetried():
                self.retries[event.reason] += 1
            case JobStageChanged():
                self.stages[event.stage] += 1


async def main() -> None:
    """Run 40 jobs, never more than 10 at once, at most 50 requests a second."""
    counts = Counts()
    async with OpusClient(
        limits=Limits(max_in_flight=10, api_rate=50),
        retry=RetryPolicy(attempts=10, execute_grace=2),
        listeners=[counts],
    ) as opus:
        rows = ({"Text": f"text number {number}"} for number in range(40))
        done = Counter([outcome.status async for outcome in opus.run_many(WORKFLOW, rows)])

    print("jobs    ", dict(done))
    print("requests", dict(counts.requests))
    print("retries ", dict(counts.retries))
    print("stages  ", dict(counts.stages))


asyncio.run(main())
