"""Ten thousand jobs that are only polled, at 60 % of what bare aiohttp could send: do polls leave in time?

How many polls a job takes is asked of the simulation, which knows the platform's run times; from that and
from what bare aiohttp manages in the same run follows for how long the jobs have to run.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from benchmarks.harness.comparison import Coroutine, Measurement, progress
from benchmarks.harness.figures import Figure, Settings, quantile
from benchmarks.harness.simulated_time import poll_simulation
from benchmarks.serving import Config, serving

LOAD = 0.6
"""The share of what bare aiohttp can send."""
STATUSES = 5000
"""What bare aiohttp sends, to find out how much that is."""


def run(settings: Settings) -> Iterator[Figure]:
    """Measure what bare aiohttp saturates at, then watch jobs; once in each round."""
    jobs = settings.size(10_000, 16)
    bare, watched = [], []
    for number in range(settings.rounds):
        progress(f"watch: {jobs:,} jobs, round {number + 1}")
        bare.append(_statuses(settings.size(STATUSES, 50)))
        rate = LOAD / bare[-1].each
        watched.append(_watch(jobs, _run_time(jobs, rate) if not settings.smallest else 0.3))
    saturated = [1 / one.each for one in bare]

    def figure(name: str, unit: str, values: list[float], detail: str = "") -> Figure:
        return Figure(
            benchmark="watch", name=f"{jobs:,} jobs: {name}", unit=unit, values=values, detail=detail
        )

    rates = [one.more["middle"] for one in watched]
    yield figure(
        "polls a second / what tuned aiohttp saturates at",
        "ratio",
        [rate / most for rate, most in zip(rates, saturated, strict=True)],
        f"{statistics.median(rates):,.0f} / {statistics.median(saturated):,.0f} a second",
    )
    yield figure(
        "CPU per poll / per request of tuned aiohttp",
        "ratio",
        [one.cpu / one.seen.calls["status"] / other.each for one, other in zip(watched, bare, strict=True)],
        f"{statistics.median(one.cpu / one.seen.calls['status'] for one in watched) * 1e6:.0f} / "
        f"{statistics.median(one.each for one in bare) * 1e6:.0f} us",
    )
    for name, share in (("median", 0.5), ("p99", 0.99)):
        yield figure(
            f"lateness of polls, {name}", "ms", [1e3 * quantile(one.more["late"], share) for one in watched]
        )
    yield figure("longest stall of the loop", "ms", [1e3 * one.more["stall"] for one in watched])
    yield figure("memory per job", "kB", [(one.peak - one.before) / jobs / 1e3 for one in watched])


def _statuses(count: int) -> Measurement:
    with serving() as server:
        return Coroutine(
            target="benchmarks.clients.whole_job:statuses",
            count=count,
            arguments={"client": "tuned", "url": server.url, "in_flight": 64},
        ).measure()


def _watch(jobs: int, run_time: float) -> Measurement:
    with serving(Config(run_time=(0.5 * run_time, 1.5 * run_time))) as server:
        return Coroutine(
            target="benchmarks.clients.watching:jobs", count=jobs, arguments={"url": server.url}
        ).measure()


def _run_time(jobs: int, rate: float) -> float:
    """The mean run time at which so many jobs take so many polls a second."""
    simulation = poll_simulation()
    mean = 10.0
    for _ in range(2):
        crowd = simulation.watch_crowd(simulation.uniform(1000, 0.5 * mean, 1.5 * mean, per_second=200))
        mean = jobs * crowd.polls_per_job / rate
    return mean
