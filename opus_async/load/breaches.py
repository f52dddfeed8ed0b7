"""Tells when an objective cannot be met any more, however good the rest of a load test may be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from opus_async.load.metric import E2E_INTENDED, E2E_SERVICE, ERROR_RATE, PERCENTILES
from opus_async.load.slo import COMPARISONS, Slo
from opus_async.load.values import Sample
from opus_async.models import JobStatus

_EVERYTHING = 100.0


@dataclass(slots=True)
class _Bound:
    """An objective that holds as long as no more than so many jobs are beyond it."""

    slo: Slo
    most: int
    beyond: int = 0


class BreachWatch:
    """Counts the jobs that are beyond what objectives allow.

    Only objectives with an upper bound that count jobs can be lost before the end: percentiles, and the error
    rate. The others take all jobs.

    Args:
        slos: The objectives.
        jobs: How many jobs there will be, those of the warm-up included.
    """

    def __init__(self, slos: Sequence[Slo], jobs: int) -> None:
        self._bounds = [
            _Bound(slo, math.floor(share * jobs))
            for slo in slos
            if slo.comparison in {"<", "<="} and (share := _allowed(slo)) is not None
        ]

    def lost(self, sample: Sample) -> Slo | None:
        """Count a job that has ended; returns an objective that cannot be met any more, if there is one."""
        for bound in self._bounds:
            bound.beyond += _is_beyond(bound.slo, sample)
            if bound.beyond > bound.most:
                return bound.slo
        return None


def _allowed(slo: Slo) -> float | None:
    """The share of the jobs that may be beyond it; None of an objective that does not count jobs."""
    if slo.metric.name == ERROR_RATE:
        return slo.bound
    percent = PERCENTILES.get(slo.metric.statistic)
    return None if percent is None else (_EVERYTHING - percent) / _EVERYTHING


def _is_beyond(slo: Slo, sample: Sample) -> bool:
    if slo.metric.name == ERROR_RATE:
        return sample.status != JobStatus.COMPLETED
    if not sample.measured:
        return False
    times = {E2E_INTENDED: sample.e2e_intended, E2E_SERVICE: sample.e2e_service}
    seconds = times.get(slo.metric.name)
    if seconds is None:
        seconds = sample.stages.get(slo.metric.name, 0.0)
    return not COMPARISONS[slo.comparison](seconds, slo.bound)
