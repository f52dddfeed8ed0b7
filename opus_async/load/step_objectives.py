"""Whether the objectives of a search are met in one of its steps, and whether a breach could be chance.

A step has few jobs. At a low rate the 95th percentile of some tens of them passes a bound by chance that it
keeps on the whole, and the search would begin to look below a rate that is far from what holds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from opus_async.load.figures import Latency
from opus_async.load.metric import ERROR_RATE, PERCENTILES, SERIES
from opus_async.load.slo import Measured, Slo
from opus_async.load.values import Sample
from opus_async.metrics.histogram import Histogram

_COMPLETED = "COMPLETED"
_CERTAIN = 1.645
"""Standard deviations that a share lies above what is allowed by chance in one case of 20."""


@dataclass(frozen=True, slots=True)
class Breach:
    """An objective that was not met.

    Attributes:
        expression: As it was written.
        certain: Whether that is hardly chance.
    """

    expression: str
    certain: bool = True


def breaches(
    slos: Sequence[Slo],
    samples: Sequence[Sample],
    *,
    completed_rate: float,
    throttled_share: float | None,
) -> tuple[Breach, ...]:
    """The objectives that the jobs of a step do not meet.

    Args:
        slos: The objectives.
        samples: The jobs of its window.
        completed_rate: Jobs a second that completed.
        throttled_share: Answers with 429 over all answers; None without answers.
    """
    completed = [sample for sample in samples if sample.status == _COMPLETED]
    unknown = sum(sample.status is None for sample in samples)
    times = {slo.metric.name: _times(slo.metric.name, completed) for slo in slos if slo.metric.is_time}
    measured = Measured(
        latency={name: Latency.of(Histogram(values)) for name, values in times.items()},
        completed=len(completed),
        failed=len(samples) - len(completed) - unknown,
        unknown=unknown,
        completed_rate=completed_rate,
        throttled_share=throttled_share,
    )
    return tuple(_found(slos, measured, times, len(samples)))


def _found(
    slos: Sequence[Slo], measured: Measured, times: dict[str, list[float]], jobs: int
) -> Iterator[Breach]:
    for slo in slos:
        if slo.check(measured).ok:
            continue
        statistic = slo.metric.statistic
        if slo.metric.name == ERROR_RATE and slo.comparison in {"<", "<="}:
            bad = measured.failed + measured.unknown
            yield Breach(slo.expression, _is_certain(bad, jobs, slo.bound))
        elif statistic in PERCENTILES and slo.comparison in {"<", "<="}:
            values = times[slo.metric.name]
            beyond = sum(value > slo.bound for value in values)
            yield Breach(slo.expression, _is_certain(beyond, len(values), 1 - PERCENTILES[statistic] / 100))
        else:
            yield Breach(slo.expression)


def _is_certain(number: int, jobs: int, share: float) -> bool:
    """Whether so many of the jobs are more than chance makes of a share that is allowed."""
    deviation = math.sqrt(jobs * share * (1 - share))
    return number - 0.5 - jobs * share > _CERTAIN * deviation


def _times(name: str, samples: Sequence[Sample]) -> list[float]:
    if name in SERIES:
        return [getattr(sample, name) for sample in samples]
    return [sample.stages.get(name, 0.0) for sample in samples]
