"""How late the end of a job is noticed, and for how many polls: median, 95th percentile, polls a job.

python benchmarks/detect_lag.py [simulated] [real] [--jobs 10000] [--run-time 20-60] [--rate-limit 200]

``simulated``: crowds of jobs in simulated time (tests/support/poll_simulation.py): the real poller, a
platform of plain Python, a client that manages 1,000 polls a second. The same figures on every machine.

``real``: the whole client against the embedded simulator, which runs as a process of its own: ``--jobs`` text
jobs of 20 to 60 s, all in flight; then a quarter as many of 1 to 3 s, 500 in flight, against ``--rate-limit``
requests a second, once as a limit of the server's and once as ``Limits.api_rate``. Audits tell the true ends.

To compare with another checkout, run this file with PYTHONPATH set to that checkout.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import opus_async
from opus_async import Limits, OpusClient
from opus_async.events import Event, JobStatusSeen, RequestKind, RequestSent
from opus_async.simulator import SimulatorConfig, SimulatorProcess

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from poll_simulation import Crowd, SimulatedJob, one_after_another, uniform, watch_crowd

TEXT_WORKFLOW = "T3xtOnlyWorkfl0w"
AUDITED = 2000
"""Jobs whose audit is read, spread over all."""


def _line(name: str, late: list[float], polls: float, seconds: float) -> None:
    late = sorted(late)
    middle, most = late[len(late) // 2], late[min(int(0.95 * len(late)), len(late) - 1)]
    print(
        f"{name:52} median {middle:6.2f} s  p95 {most:6.2f} s  polls/job {polls:5.1f}  in {seconds:5.0f} s",
        flush=True,
    )


# In simulated time


def _crowds(jobs: int) -> Iterator[tuple[str, Crowd]]:
    few = max(jobs // 5, 16)
    started = "300 started a second"
    yield f"{jobs:,} jobs of 20-60 s, {started}", watch_crowd(uniform(jobs, 20, 60, per_second=300))
    yield f"{jobs:,} jobs of 20-60 s, started in one moment", watch_crowd(uniform(jobs, 20, 60))
    going_on = [job.run_time for job in uniform(2 * jobs, 20, 60)]
    yield (
        f"{2 * jobs:,} jobs of 20-60 s, {jobs:,} in flight",
        watch_crowd(one_after_another(going_on), in_flight=jobs),
    )
    yield "64 jobs of 20-60 s", watch_crowd(uniform(64, 20, 60, per_second=300))
    yield f"{few:,} jobs of 1-3 s, {started}", watch_crowd(uniform(few, 1, 3, per_second=300))
    yield f"{few:,} jobs of 3-10 min, {started}", watch_crowd(uniform(few, 180, 600, per_second=300))
    drawn = random.Random(1)
    two = [
        SimulatedJob(n / 300, (5 if drawn.random() < 0.5 else 300) * drawn.uniform(0.9, 1.1))
        for n in range(few)
    ]
    both = watch_crowd(two)
    yield f"{few:,} jobs of 5 s or 300 s: those of 5 s", _part(both, 0, 50)
    yield f"{few:,} jobs of 5 s or 300 s: those of 300 s", _part(both, 50, math.inf)
    step = [(300 if n < few / 4 else 5) * drawn.uniform(0.8, 1.2) for n in range(few)]
    stepped = watch_crowd(one_after_another(step), in_flight=max(few // 20, 1))
    yield f"a step from 300 s to 5 s, {max(few // 20, 1)} in flight: those of 5 s", _part(stepped, 0, 50)
    for sigma in (0.3, 0.5, 1.0):
        run_times = [60 * math.exp(drawn.gauss(0, sigma)) for _ in range(500)]
        yield (
            f"500 jobs, log-normal {sigma}, median 60 s, 20 in flight",
            watch_crowd(one_after_another(run_times), in_flight=20),
        )


def _part(crowd: Crowd, low: float, high: float) -> Crowd:
    noticed = [each for each in crowd.noticed if low <= each.job.run_time < high]
    return Crowd(noticed, round(crowd.polls * len(noticed) / len(crowd.noticed)), crowd.seconds)


def simulated(jobs: int) -> None:
    """Print a line for each crowd."""
    print("simulated time, 1,000 polls a second at most")
    for name, crowd in _crowds(jobs):
        _line(name, [each.late for each in crowd.noticed], crowd.polls_per_job, crowd.seconds)


# In real time


class _Noted:
    """Notes from events when ends were noticed, and how many polls there were."""

    def __init__(self) -> None:
        self.ended: dict[str, float] = {}
        self.polls = 0

    def __call__(self, event: Event) -> None:
        if isinstance(event, JobStatusSeen):
            if event.status == "COMPLETED":
                self.ended[event.job_id] = event.timestamp
        elif isinstance(event, RequestSent) and event.kind is RequestKind.POLL:
            self.polls += 1


async def _watch(name: str, config: SimulatorConfig, limits: Limits, jobs: int) -> None:
    async with SimulatorProcess(config) as simulator:
        noted, began, cpu = _Noted(), time.monotonic(), time.process_time()
        async with OpusClient(
            simulator.service_key, base_url=simulator.base_url, limits=limits, listeners=[noted]
        ) as opus:
            async for outcome in opus.run_many(TEXT_WORKFLOW, ({"Text": str(n)} for n in range(jobs))):
                assert outcome.ok, outcome.error
            seconds, cpu = time.monotonic() - began, time.process_time() - cpu
            polls = noted.polls
            late = []
            for job_id in list(noted.ended)[:: max(1, jobs // AUDITED)]:
                ended_at = (await opus.jobs.audit(job_id)).ended_at
                assert ended_at is not None
                late.append(noted.ended[job_id] - ended_at)
    _line(name, late, polls / jobs, seconds)
    print(f"    {cpu / jobs * 1e6:.0f} us of CPU a job, {jobs / seconds:.0f} jobs a second")


async def real(jobs: int, run_time: str, rate: float) -> None:
    """Print a line for each run against the simulator."""
    print("real time, the simulator in a process of its own; the machine is shared: compare within one run")
    await _watch(
        f"{jobs:,} jobs of {run_time} s, all in flight",
        SimulatorConfig(run_time=run_time, queue_time=0),
        Limits(max_in_flight=jobs),
        jobs,
    )
    short, in_flight = max(jobs // 4, 1), 500
    for name, limit, api_rate in (
        (f"jobs of 1-3 s, the server grants {rate:g}/s", rate, None),
        (f"jobs of 1-3 s, api_rate={rate:g}", None, rate),
    ):
        await _watch(
            name,
            SimulatorConfig(run_time="1-3", queue_time=0, rate_limit=limit),
            Limits(max_in_flight=in_flight, api_rate=api_rate),
            short,
        )


def main() -> None:
    """Run what was asked for; both where nothing was."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", nargs="*", choices=["simulated", "real", []], help="default: both")
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--run-time", default="20-60", help="seconds, of the jobs that are all in flight")
    parser.add_argument("--rate-limit", type=float, default=200.0)
    arguments = parser.parse_args()
    print(Path(opus_async.__file__).parent)
    if not arguments.what or "simulated" in arguments.what:
        simulated(arguments.jobs)
    if not arguments.what or "real" in arguments.what:
        asyncio.run(real(arguments.jobs, arguments.run_time, arguments.rate_limit))


if __name__ == "__main__":
    main()
