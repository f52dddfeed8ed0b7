"""Polls for each job, in simulated time, next to the best fixed interval: one as late in noticing an end.

The real poller runs on a clock that jumps, so that the figures are the same on every machine. One round is
one seed of run times and jitter; nothing was tuned on these seeds. The fixed interval is the one whose mean
lateness over the same run times is that of the poller: nobody who has to choose an interval beforehand knows
it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence

from benchmarks.harness.comparison import progress
from benchmarks.harness.figures import Figure, Settings
from benchmarks.harness.simulated_time import poll_simulation

MEDIAN = 60.0
"""Seconds that jobs run, or begin with."""
LATER = 180.0
"""Seconds that they run after the drift or the step."""
SIGMA = 0.3
"""Of the run times that change, around what they are just then."""
IN_FLIGHT = 20
DETECT_LAG = 0.06
FIRST_SEED = 1013
SEEDS = 5

SHORTEST = "jobs of 0.2 s"

Draw = Callable[[random.Random, float], float]
"""The run time of a job that comes after this share of all."""


def _log_normal(sigma: float) -> Draw:
    return lambda drawn, _: MEDIAN * math.exp(drawn.gauss(0, sigma))


def _around(median: Callable[[float], float]) -> Draw:
    return lambda drawn, share: median(share) * math.exp(drawn.gauss(0, SIGMA))


RUN_TIMES: dict[str, Draw] = {
    "log-normal 0.3": _log_normal(0.3),
    "log-normal 0.5": _log_normal(0.5),
    "log-normal 1.0": _log_normal(1.0),
    "drift from 60 to 180 s": _around(lambda share: MEDIAN + share * (LATER - MEDIAN)),
    "step from 60 to 180 s": _around(lambda share: MEDIAN if share < 0.5 else LATER),
}


def run(settings: Settings) -> Iterator[Figure]:
    """Simulate each distribution, then crowds, then the shortest jobs."""
    seeds = range(FIRST_SEED, FIRST_SEED + settings.size(SEEDS, 1))
    for name, draw in RUN_TIMES.items():
        if not settings.wants(name):
            continue
        progress(f"polls: {name}")
        yield _against_fixed(name, draw, settings.size(500, 40), seeds)
    yield from _crowds(settings)
    if settings.wants(SHORTEST):
        yield _smallest_lag(settings)


def _against_fixed(name: str, draw: Draw, jobs: int, seeds: Sequence[int]) -> Figure:
    simulation = poll_simulation()
    ratios, polls, lags = [], [], []
    for seed in seeds:
        drawn = random.Random(seed)
        run_times = [draw(drawn, number / jobs) for number in range(jobs)]
        crowd = simulation.watch_crowd(
            simulation.one_after_another(run_times), in_flight=IN_FLIGHT, detect_lag=DETECT_LAG, seed=seed
        )
        fixed = fixed_interval(run_times, crowd.mean - simulation.LATENCY)
        ratios.append(crowd.polls_per_job / polls_at(run_times, fixed))
        polls.append(crowd.polls_per_job)
        lags.append(crowd.mean)
    return Figure(
        benchmark="polls",
        name=f"{name}: polls a job / best fixed interval as late",
        unit="ratio",
        values=ratios,
        detail=f"{sum(polls) / len(polls):.1f} polls a job, {sum(lags) / len(lags):.1f} s late (mean)",
    )


def polls_at(run_times: Sequence[float], interval: float) -> float:
    """Polls a job at a fixed interval."""
    return sum(math.ceil(seconds / interval) for seconds in run_times) / len(run_times)


def fixed_interval(run_times: Sequence[float], lateness: float) -> float:
    """The longest fixed interval whose mean lateness is this; lateness grows with it, but for small waves."""
    low, high = lateness, 4 * lateness
    while high - low > 1e-4 * high:
        middle = (low + high) / 2
        late = sum(math.ceil(seconds / middle) * middle - seconds for seconds in run_times) / len(run_times)
        low, high = (middle, high) if late <= lateness else (low, middle)
    return low


def _crowds(settings: Settings) -> Iterator[Figure]:
    """How late ends are noticed in large crowds, by a client that manages 1,000 polls a second."""
    simulation, jobs = poll_simulation(), settings.size(10_000, 50)
    of_a_minute = simulation.uniform(jobs, 20, 60, per_second=300)
    crowds = {
        f"{jobs:,} jobs of 20 to 60 s, 300 started a second": (of_a_minute, None),
        f"{jobs:,} jobs of 20 to 60 s, started at once": (simulation.uniform(jobs, 20, 60), None),
        f"{2 * jobs:,} jobs of 20 to 60 s, {jobs:,} in flight": (
            simulation.one_after_another(job.run_time for job in simulation.uniform(2 * jobs, 20, 60)),
            jobs,
        ),
    }
    for name, (crowd_jobs, in_flight) in crowds.items():
        if not settings.wants(name):
            continue
        progress(f"polls: {name}")
        crowd = simulation.watch_crowd(crowd_jobs, in_flight=in_flight)
        for which, share in (("median", 0.5), ("p95", 0.95)):
            yield Figure(
                benchmark="polls",
                name=f"{name}: detect lag, {which}",
                unit="s",
                values=[crowd.quantile(share)],
                detail=f"{crowd.polls_per_job:.1f} polls a job",
            )


def _smallest_lag(settings: Settings) -> Figure:
    """The smallest mean lateness that can be asked for."""
    simulation, jobs = poll_simulation(), settings.size(1000, 50)
    crowd = simulation.watch_crowd(
        simulation.one_after_another([0.2] * jobs), in_flight=IN_FLIGHT, detect_lag=1e-3
    )
    return Figure(
        benchmark="polls",
        name=f"{SHORTEST}, the smallest detect lag that can be asked for",
        unit="s",
        values=[crowd.mean],
        detail=f"{crowd.polls_per_job:.1f} polls a job",
    )
