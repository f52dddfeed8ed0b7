"""The verdict of a load run: PASS, FAIL, or INVALID when its figures are not those of the platform."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from opus_async.exits import Exit
from opus_async.load.figures import Counts, Health
from opus_async.load.metric import E2E_INTENDED, PERCENTILES
from opus_async.load.reasons import Reason, ReasonCode
from opus_async.load.slo import Measured, Slo, SloResult
from opus_async.load.steady import Backlog

_CONFIDENCE = 0.95
"""That the highest of the jobs measured lies above a percentile: fewer jobs say nothing about it."""
_FEW = 5
"""Jobs for a mean at least."""
MOST_DROPPED = 0.01
"""Share of the arrivals that may be dropped."""
_LITTLE_OFF = 0.1
"""By how much jobs in flight may differ from rate x time."""
LATENESS_SHARE, LATENESS = 0.05, 0.1
"""Of the median end-to-end time, and in seconds: how late starts may be, 99th percentile."""
CPU_SHARE = 0.9
"""Of one core: the most that the process may take."""
LOOP_LAG = 0.1
"""Seconds that the event loop may be late, 99th percentile."""


class Verdict(StrEnum):
    """What a load test came to."""

    PASS = "PASS"  # noqa: S105 - no password
    FAIL = "FAIL"
    """An objective was not met."""
    INVALID = "INVALID"
    """The figures are not those of the platform under this load, or are of a part of the run."""

    @property
    def exit(self) -> Exit:
        """The exit code of a command that ends with it, unless it was interrupted."""
        return _EXITS[self]


_EXITS = {Verdict.PASS: Exit.OK, Verdict.FAIL: Exit.SLO_FAILED, Verdict.INVALID: Exit.INVALID_LOAD}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a run is judged by.

    Attributes:
        measured: Its figures.
        counts: Its jobs.
        health: How the process was.
        backlog: The trend of latency; None where none was looked for: too few jobs, a rate that was to
            change, a closed model.
        little: Jobs in flight over rate x time; None without jobs.
        slos: The objectives, and whether they were met.
        cut_short: Why it did not run to its end; none if it did.
    """

    measured: Measured
    counts: Counts
    health: Health
    backlog: Backlog | None = None
    little: float | None = None
    slos: Sequence[tuple[Slo, SloResult]] = ()
    cut_short: Sequence[Reason] = ()


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and why.

    Attributes:
        verdict: The verdict.
        reasons: Why it is no PASS; of an INVALID run the objectives that it did not meet come last.
    """

    verdict: Verdict
    reasons: tuple[Reason, ...] = ()

    @property
    def exit(self) -> Exit:
        """The exit code: that of the verdict, unless somebody ended the run early."""
        if any(reason.code is ReasonCode.INTERRUPTED for reason in self.reasons):
            return Exit.INTERRUPTED
        return self.verdict.exit


def judge(evidence: Evidence) -> Judgement:
    """Judge a run. What makes its figures worthless counts before what they say."""
    invalid = (*evidence.cut_short, *unhealthy(evidence), *_gaps(evidence), *_unsteady(evidence))
    breaches = tuple(
        Reason(ReasonCode.SLO, {"expression": slo.expression, "value": result.value, "unit": slo.metric.unit})
        for slo, result in evidence.slos
        if not result.ok
    )
    if invalid:
        return Judgement(Verdict.INVALID, (*invalid, *breaches))
    return Judgement(Verdict.FAIL if breaches else Verdict.PASS, breaches)


def jobs_needed(statistic: str) -> int:
    """How many jobs a statistic takes at least: 59 for the 95th percentile, 299 for the 99th."""
    if statistic in PERCENTILES:
        return math.ceil(math.log(1 - _CONFIDENCE) / math.log(PERCENTILES[statistic] / 100) - 1e-9)
    return _FEW if statistic == "mean" else 1


def unhealthy(evidence: Evidence) -> Iterator[Reason]:
    """What says that this process was the bottleneck, and not the platform."""
    health = evidence.health
    e2e = evidence.measured.latency.get(E2E_INTENDED)
    limit = LATENESS if e2e is None or e2e.p50 is None else min(LATENESS, LATENESS_SHARE * e2e.p50)
    late = health.start_lateness_p99
    if late is not None and late > limit:
        yield Reason(ReasonCode.LATE_STARTS, {"seconds": late, "limit": limit})
    if health.cpu_share is not None and health.cpu_share > CPU_SHARE:
        yield Reason(ReasonCode.CPU, {"share": health.cpu_share})
    if health.loop_lag_p99 is not None and health.loop_lag_p99 > LOOP_LAG:
        yield Reason(ReasonCode.LOOP_LAG, {"seconds": health.loop_lag_p99})


def _gaps(evidence: Evidence) -> Iterator[Reason]:
    """What is missing: jobs that were not started, and jobs without which a figure says nothing."""
    counts, latency = evidence.counts, evidence.measured.latency
    if counts.all_dropped > MOST_DROPPED * counts.offered:
        yield Reason(
            ReasonCode.TOO_MANY_DROPPED, {"dropped": dict(counts.dropped), "offered": counts.offered}
        )
    e2e = latency.get(E2E_INTENDED)
    if e2e is None or not e2e.count:
        yield Reason(ReasonCode.NO_JOBS)
        return
    for metric in dict.fromkeys(slo.metric for slo, _ in evidence.slos if slo.metric.is_time):
        there = latency.get(metric.name)
        jobs, needed = 0 if there is None else there.count, jobs_needed(metric.statistic)
        if jobs < needed:
            yield Reason(ReasonCode.TOO_FEW_JOBS, {"metric": str(metric), "jobs": jobs, "needed": needed})


def _unsteady(evidence: Evidence) -> Iterator[Reason]:
    if evidence.backlog is not None and evidence.backlog.growing:
        yield Reason(ReasonCode.BACKLOG, {"slope": evidence.backlog.slope})
    if evidence.little is not None and abs(evidence.little - 1) > _LITTLE_OFF:
        yield Reason(ReasonCode.LITTLE, {"ratio": evidence.little})
