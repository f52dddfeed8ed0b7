"""Crowds of jobs watched in simulated time: the real poller, a platform of plain Python, and no waiting.

How late an end is noticed is known here to the millisecond, because the platform knows when each job ended.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from virtual_time import run_virtual

from opus_async.jobs.watch import Watcher
from opus_async.models import JobStatus
from opus_async.transport.limits import Priority, RequestLimiter

LATENCY = 0.02
"""Seconds that a poll takes."""
WORKERS = 64


@dataclass(frozen=True)
class SimulatedJob:
    """A job of a crowd: when it is started, for how long it runs (seconds), of which workflow it is.

    Attributes:
        start: Seconds from the beginning; None for as soon as a slot is free.
    """

    start: float | None
    run_time: float
    workflow: str = "w"


@dataclass(frozen=True)
class Noticed:
    """An end that was noticed: of which job, how many seconds late."""

    job: SimulatedJob
    late: float


@dataclass
class Crowd:
    """What became of a crowd.

    Attributes:
        noticed: In the order of noticing.
        polls: In all.
        seconds: Of simulated time.
    """

    noticed: list[Noticed] = field(default_factory=list)
    polls: int = 0
    seconds: float = 0.0

    @property
    def polls_per_job(self) -> float:
        return self.polls / len(self.noticed)

    @property
    def mean(self) -> float:
        return sum(each.late for each in self.noticed) / len(self.noticed)

    def quantile(self, share: float) -> float:
        """The lateness that this share of the ends stays under."""
        late = sorted(each.late for each in self.noticed)
        return late[min(int(share * len(late)), len(late) - 1)]

    def of(self, workflow: str) -> Crowd:
        """Those of one workflow; polls are counted for all."""
        return Crowd(
            [each for each in self.noticed if each.job.workflow == workflow], self.polls, self.seconds
        )


class _Platform:
    """Answers so many polls a second; knows when its jobs end."""

    batch_size = 1

    def __init__(self, polls_per_second: float, limiter: RequestLimiter | None = None) -> None:
        self.limiter = RequestLimiter(WORKERS) if limiter is None else limiter
        self.ends: dict[str, float] = {}
        self.polls = 0
        self._spacing = 1 / polls_per_second
        self._free_at = 0.0

    async def is_well(self) -> bool:
        return True

    async def poll(self, workflow_id: str, remote_ids: Sequence[str]) -> dict[str, JobStatus]:
        self.polls += 1
        loop = asyncio.get_running_loop()
        async with self.limiter.slot(Priority.POLL):
            self._free_at = max(loop.time(), self._free_at) + self._spacing
            await asyncio.sleep(self._free_at - loop.time() + LATENCY)
        now = loop.time()
        return {
            each: JobStatus.COMPLETED if now >= self.ends[each] else JobStatus.IN_PROGRESS
            for each in remote_ids
        }


def watch_crowd(
    jobs: Iterable[SimulatedJob],
    *,
    polls_per_second: float = 1000.0,
    in_flight: int | None = None,
    detect_lag: float = 0.05,
    started_long_ago: bool = False,
    seed: int = 0,
) -> Crowd:
    """Watch a crowd of jobs to its end.

    Args:
        jobs: The crowd.
        polls_per_second: What the client can do.
        in_flight: Jobs at once, for jobs without a start of their own.
        detect_lag: See :class:`opus_async.config.Limits`.
        started_long_ago: Whether the jobs are found running, as after a restart: a run time is what is left.
        seed: Of the jitter.
    """
    drawn = random.Random(seed)
    crowd = Crowd()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        platform, began = _Platform(polls_per_second), loop.time()
        watcher = Watcher(
            detect_lag=detect_lag, patience=600, workers=WORKERS, jitter=lambda: drawn.uniform(0.9, 1.1)
        )

        async def run(number: int, job: SimulatedJob) -> None:
            if job.start is not None:
                await asyncio.sleep(max(0.0, began + job.start - loop.time()))
            ends = platform.ends[str(number)] = loop.time() + job.run_time
            await watcher.wait(
                platform,
                str(number),
                workflow_id=job.workflow,
                poll_now=started_long_ago,
                exists=started_long_ago,
            )
            crowd.noticed.append(Noticed(job, loop.time() - ends))

        if in_flight is None:
            await asyncio.gather(*(run(number, job) for number, job in enumerate(jobs)))
        else:
            numbered = iter(enumerate(jobs))

            async def worker() -> None:
                for number, job in numbered:
                    await run(number, job)

            await asyncio.gather(*(worker() for _ in range(in_flight)))
        await watcher.close()
        crowd.polls, crowd.seconds = platform.polls, loop.time() - began

    run_virtual(main())
    return crowd


def run_crowd(jobs: Iterable[SimulatedJob], *, api_rate: float, in_flight: int, seed: int = 0) -> Crowd:
    """Start, watch and collect jobs within a rate of requests, as a client does.

    Two requests start a job, polls follow, one request fetches its results.

    Args:
        jobs: Jobs without a start of their own.
        api_rate: Requests a second.
        in_flight: Jobs at once, between their first request and their results.
        seed: Of the jitter.
    """
    drawn = random.Random(seed)
    crowd = Crowd()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        limiter = RequestLimiter(WORKERS, rate=api_rate)
        platform, began = _Platform(math.inf, limiter), loop.time()
        watcher = Watcher(
            detect_lag=0.05,
            patience=600,
            workers=WORKERS,
            jitter=lambda: drawn.uniform(0.9, 1.1),
            sparing=lambda: limiter.held_back,
        )

        async def request(priority: Priority) -> None:
            async with limiter.slot(priority):
                await asyncio.sleep(LATENCY)

        numbered = iter(enumerate(jobs))

        async def worker() -> None:
            for number, job in numbered:
                await request(Priority.WORK)
                await request(Priority.WORK)
                ends = platform.ends[str(number)] = loop.time() + job.run_time
                await watcher.wait(platform, str(number), workflow_id=job.workflow)
                crowd.noticed.append(Noticed(job, loop.time() - ends))
                await request(Priority.COLLECT)

        await asyncio.gather(*(worker() for _ in range(in_flight)))
        await watcher.close()
        limiter.close()
        crowd.polls, crowd.seconds = platform.polls, loop.time() - began

    run_virtual(main())
    return crowd


def uniform(
    count: int,
    low: float,
    high: float,
    *,
    per_second: float | None = None,
    seed: int = 1,
    workflow: str = "w",
) -> list[SimulatedJob]:
    """Jobs of ``low`` to ``high`` seconds; all started at once, or so many a second."""
    drawn = random.Random(seed)
    gap = 0.0 if per_second is None else 1 / per_second
    return [SimulatedJob(number * gap, drawn.uniform(low, high), workflow) for number in range(count)]


def one_after_another(run_times: Iterable[float]) -> list[SimulatedJob]:
    """Jobs that start whenever a slot is free."""
    return [SimulatedJob(None, seconds) for seconds in run_times]
