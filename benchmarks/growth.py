"""What many jobs in flight cost: CPU, memory, garbage collection, stalls of the loop, lateness of noticing.

Jobs run for as long as it takes that as many of them end a second in every crowd, so that the client has the
same to do in each second: what grows is what the number in flight costs. One more crowd is of jobs of 20 to
60 s, polled as usual.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.harness.comparison import Coroutine, Measurement, progress
from benchmarks.harness.figures import Figure, Settings, quantile
from benchmarks.serving import Config, serving

RATE = 500
"""Jobs that end in a second: a good half of what one core can do."""


@dataclass(frozen=True, kw_only=True)
class _Crowd:
    """Jobs that are in flight together.

    Attributes:
        size: Jobs in flight.
        jobs: In all.
        run_time: Seconds that one runs, at least and at most.
        quick: Whether polls may be closer together than half a second.
        long: Whether it takes a minute.
    """

    size: int
    jobs: int
    run_time: tuple[float, float]
    quick: bool = True
    long: bool = False

    @property
    def name(self) -> str:
        return f"{self.size:,} in flight" + ("" if self.quick else " for 20 to 60 s")

    def measure(self) -> Measurement:
        with serving(Config(run_time=self.run_time)) as server:
            return Coroutine(
                target="benchmarks.clients.crowd:jobs",
                count=self.jobs,
                arguments={"url": server.url, "in_flight": self.size, "quick": self.quick},
            ).measure()


def _at_rate(size: int, jobs: int, *, long: bool = False) -> _Crowd:
    mean = size / RATE
    return _Crowd(size=size, jobs=jobs, run_time=(0.5 * mean, 1.5 * mean), long=long)


_CROWDS = (
    _at_rate(64, 2000),
    _at_rate(1000, 2000),
    _at_rate(5000, 7500, long=True),
    _at_rate(20_000, 24_000, long=True),
    _Crowd(size=10_000, jobs=10_000, run_time=(20, 60), quick=False, long=True),
)
_SMALLEST = (_at_rate(8, 8), _at_rate(24, 24), _Crowd(size=16, jobs=16, run_time=(0.2, 0.6), quick=False))


def run(settings: Settings) -> Iterator[Figure]:
    """Measure each crowd, and compare those of the same rate with the smallest."""
    base: list[Measurement] = []
    crowds = _SMALLEST if settings.smallest else _CROWDS
    for crowd in crowds:
        if not settings.wants(crowd.name):
            continue
        measured = []
        for number in range(settings.long_rounds if crowd.long else settings.rounds):
            progress(f"growth: {crowd.name}, round {number + 1}")
            measured.append(crowd.measure())
        if crowd is crowds[0]:
            base = measured
        yield from _figures(crowd, measured)
        if base and crowd.quick and measured is not base:
            yield _growth(crowd, measured, base)


def _growth(crowd: _Crowd, measured: Sequence[Measurement], base: Sequence[Measurement]) -> Figure:
    of_base = statistics.median(map(_per_request, base))
    each = [_per_request(one) for one in measured]
    return Figure(
        benchmark="growth",
        name=f"CPU per request, {crowd.name} / the smallest crowd",
        unit="ratio",
        values=[one / of_base for one in each],
        detail=f"{statistics.median(each) * 1e6:,.0f} / {of_base * 1e6:,.0f} us a request",
    )


def _per_request(one: Measurement) -> float:
    return one.cpu / one.seen.requests


def _figures(crowd: _Crowd, measured: Sequence[Measurement]) -> Iterator[Figure]:
    def figure(name: str, unit: str, values: Sequence[float], detail: str = "") -> Figure:
        return Figure(
            benchmark="growth", name=f"{crowd.name}: {name}", unit=unit, values=values, detail=detail
        )

    yield figure(
        "memory per job",
        "kB",
        [(one.peak - one.before) / crowd.size / 1e3 for one in measured],
        "what the client needs once, connections included, is in it",
    )
    yield figure(
        "share of garbage collection",
        "%",
        [100 * one.more["gc"] / one.cpu for one in measured],
        f"longest {max(one.more['gc_longest'] for one in measured) * 1e3:.0f} ms",
    )
    yield figure("longest stall of the loop", "ms", [1e3 * one.more["stall"] for one in measured])
    polls = statistics.median(one.seen.calls["status"] / one.count for one in measured)
    low, high = crowd.run_time
    for name, share in (("median", 0.5), ("p95", 0.95)):
        yield figure(
            f"detect lag, {name}",
            "s",
            [quantile(one.seen.lags, share) for one in measured],
            f"jobs of {low:.2g} to {high:.2g} s; {polls:.1f} polls a job; "
            f"{statistics.median(one.cpu / one.wall for one in measured):.0%} of a core",
        )
