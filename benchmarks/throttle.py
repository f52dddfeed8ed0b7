"""A platform that limits requests: how much of it is used, how often it refuses, how late ends are noticed.

Each case runs in real time, from the first request of a client that knows nothing of the limit. All of them
run at once: they wait far more than they work.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from benchmarks.harness.comparison import Coroutine, Measurement, progress
from benchmarks.harness.figures import Figure, Settings, quantile
from benchmarks.serving import Config, Limit, serving

CALLS_OF_A_JOB = 4


@dataclass(frozen=True, kw_only=True)
class _Case:
    """A limit, and jobs that meet it.

    Attributes:
        name: Of the case.
        limit: What the platform grants.
        jobs: How many; each takes four requests at least.
        in_flight: At once.
        offered: Jobs that come in a second; None for as many as are wanted.
        run_time: Seconds that a job runs, at least and at most.
    """

    name: str
    limit: Limit
    jobs: int
    in_flight: int = 500
    offered: float | None = None
    run_time: tuple[float, float] = (1.0, 3.0)

    def measure(self, seed: int) -> Measurement:
        with serving(Config(run_time=self.run_time, limits=(self.limit,), seed=seed)) as server:
            return Coroutine(
                target="benchmarks.clients.throttled:jobs",
                count=self.jobs,
                arguments={"url": server.url, "in_flight": self.in_flight, "offered": self.offered},
            ).measure()


_RATES = (
    _Case(name="200/s", limit=Limit(rate=200, burst=200), jobs=1250),
    _Case(name="20/s", limit=Limit(rate=20, burst=20), jobs=122),
    _Case(name="200/s, halved after 10 s", limit=Limit(rate=200, burst=200, later=(10, 100)), jobs=1250),
)
"""Every call counts; nothing but the limit slows the jobs."""
_OFFERED = (
    _Case(
        name="12/s on initiate alone, burst 3, 16 jobs/s offered",
        limit=Limit(calls=("initiate",), rate=12, burst=3),
        jobs=640,
        offered=16,
    ),
    _Case(
        name="48/s on all calls, burst 6, 16 jobs/s offered",
        limit=Limit(rate=48, burst=6),
        jobs=640,
        offered=16,
    ),
)
"""Jobs come at a rate that is above the limit."""


def run(settings: Settings) -> Iterator[Figure]:
    """Run all cases at once, as often as there are rounds."""
    rates: tuple[_Case, ...] = _RATES
    offered: tuple[_Case, ...] = _OFFERED
    if settings.smallest:
        rates, offered = (_smallest(_RATES[0]),), (_smallest(_OFFERED[0]),)
    rates, offered = (tuple(case for case in some if settings.wants(case.name)) for some in (rates, offered))
    cases = (*rates, *offered)
    if not cases:
        return
    measured: dict[_Case, list[Measurement]] = {case: [] for case in cases}
    with ThreadPoolExecutor(len(cases)) as threads:
        for number in range(settings.long_rounds):
            progress(f"throttle: {len(cases)} limits at once, round {number + 1}")
            for case, one in zip(
                cases, threads.map(lambda case, seed=number: case.measure(seed), cases), strict=True
            ):
                measured[case].append(one)
    for case in rates:
        yield from _of_rate(case, measured[case])
    for case in offered:
        yield from _of_time(case, measured[case])


def _smallest(case: _Case) -> _Case:
    return replace(case, jobs=3, run_time=(0.05, 0.1))


def _of_rate(case: _Case, measured: list[Measurement]) -> Iterator[Figure]:
    """What is made of the limit, until so many requests were granted as the jobs take at least."""
    least = CALLS_OF_A_JOB * case.jobs
    seconds = [one.seen.granted[least - 1] - one.seen.granted[0] for one in measured]
    ideal = case.limit.seconds_for(least)
    yield _figure(
        case,
        "share of what was allowed",
        "%",
        [100 * least / (case.limit.burst + case.limit.granted_until(each)) for each in seconds],
        f"{least:,} requests in {sum(seconds) / len(seconds):.0f} s, ideally {ideal:.0f} s",
    )
    yield from _common(case, measured)


def _of_time(case: _Case, measured: list[Measurement]) -> Iterator[Figure]:
    """The time against the ideal: until the limit lets the last job go, and the mean run time."""
    limited = case.jobs * (len(case.limit.calls) or CALLS_OF_A_JOB)
    ideal = max(case.limit.seconds_for(limited), case.jobs / (case.offered or 1)) + sum(case.run_time) / 2
    yield _figure(
        case,
        "time / ideal",
        "ratio",
        [one.wall / ideal for one in measured],
        f"{sum(one.wall for one in measured) / len(measured):.0f} s / {ideal:.0f} s",
    )
    yield from _common(case, measured)


def _common(case: _Case, measured: list[Measurement]) -> Iterator[Figure]:
    yield _figure(
        case,
        "share of 429s",
        "%",
        [100 * one.seen.refused / (one.seen.refused + one.seen.requests) for one in measured],
    )
    polls = sum(one.seen.calls["status"] for one in measured) / sum(one.count for one in measured)
    yield _figure(
        case,
        "detect lag, median",
        "s",
        [quantile(one.seen.lags, 0.5) for one in measured],
        f"{polls:.1f} polls a job",
    )


def _figure(case: _Case, name: str, unit: str, values: list[float], detail: str = "") -> Figure:
    return Figure(benchmark="throttle", name=f"{case.name}: {name}", unit=unit, values=values, detail=detail)
