"""Service level objectives of a load test: their grammar, and whether they were met.

A time: ``<series or stage>.<p50|p90|p95|p99|p999|mean|max> <|<=|>|>= <number><ms|s|m>``, as in
``e2e.p95 < 90s``. A share: ``error_rate`` or ``throttled.share``, as in ``error_rate < 1%`` or ``< 0.01``. A
rate: ``completed_rate``, in jobs a second, as in ``completed_rate >= 18``.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from opus_async.load.figures import Counts, Latency, Rates, Throttled
from opus_async.load.metric import COMPLETED_RATE, ERROR_RATE, THROTTLED_SHARE, Metric, parse_metric

COMPARISONS: Mapping[str, Callable[[float, float], bool]] = MappingProxyType(
    {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}
)
SECONDS: Mapping[str, float] = MappingProxyType({"ms": 0.001, "s": 1.0, "m": 60.0})
"""Units of a time."""
_PARTS = re.compile(
    r"\s*(?P<metric>[^\s<>=!]+)\s*(?P<comparison>[<>=!]+)\s*(?P<bound>\S(?:.*\S)?)\s*", re.DOTALL
)
_BOUND = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*(?P<unit>[^0-9.\s]\S*)?", re.ASCII)
_PERCENT, _PER_SECOND = "%", "/s"
_SHAPE = "write it as e2e.p95 < 90s, error_rate < 1% or completed_rate >= 18"


@dataclass(frozen=True, slots=True)
class Slo:
    """One objective.

    Attributes:
        expression: As it was written.
        metric: What is measured.
        comparison: One of :data:`COMPARISONS`.
        bound: What it is compared with: seconds, a share from 0 to 1, or jobs a second.
    """

    expression: str
    metric: Metric
    comparison: str
    bound: float

    def check(self, measured: Measured) -> SloResult:
        """Compare it with what was measured; what could not be measured meets no objective."""
        value = measured.value(self.metric)
        is_met = value is not None and COMPARISONS[self.comparison](value, self.bound)
        return SloResult(self.expression, value, is_met)


@dataclass(frozen=True, slots=True)
class SloResult:
    """Whether an objective was met.

    Attributes:
        expression: As it was written.
        value: What was measured, in the unit of ``Slo.bound``; None where there was nothing to measure.
        ok: Whether it was met.
    """

    expression: str
    value: float | None
    ok: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What objectives are compared with.

    Attributes:
        latency: Series or stage -> its statistics. A stage that no job had is missing.
        completed: Jobs that completed.
        failed: Jobs that ended otherwise.
        unknown: Jobs of which it is not known how they ended.
        completed_rate: Completed jobs a second; None where nothing lasted long enough to tell.
        throttled_share: Answers with 429 over all answers, 0 to 1; None without answers.
    """

    latency: Mapping[str, Latency]
    completed: int
    failed: int
    unknown: int
    completed_rate: float | None
    throttled_share: float | None

    @classmethod
    def of(
        cls, latency: Mapping[str, Latency], counts: Counts, rates: Rates, throttled: Throttled
    ) -> Measured:
        """What the figures of a run say of it."""
        return cls(
            latency=latency,
            completed=counts.completed,
            failed=counts.failed,
            unknown=counts.unknown,
            completed_rate=rates.completed,
            throttled_share=throttled.share,
        )

    @property
    def error_rate(self) -> float | None:
        """Jobs that failed or are unknown over those that ended; None when none ended."""
        ended = self.completed + self.failed + self.unknown
        return (self.failed + self.unknown) / ended if ended else None

    def value(self, metric: Metric) -> float | None:
        """What was measured; None where there was nothing to measure."""
        if metric.name == ERROR_RATE:
            return self.error_rate
        if metric.name == COMPLETED_RATE:
            return self.completed_rate
        if metric.name == THROTTLED_SHARE:
            return self.throttled_share
        latency = self.latency.get(metric.name)
        return None if latency is None else latency.value(metric.statistic)


def parse_slo(expression: str, stages: Iterable[str]) -> Slo:
    """Read an objective.

    Args:
        expression: As it was written.
        stages: The names of the stages of the platform's jobs.

    Raises:
        ValueError: It is none; the text says which part is wrong, what fits there, and what was meant.
    """
    shown = repr(expression.strip())
    found = _PARTS.fullmatch(expression)
    if found is None:
        raise ValueError(f"{shown} is no objective: {_SHAPE}")
    if found["comparison"] not in COMPARISONS:
        raise ValueError(f"{shown}: {found['comparison']!r} is no comparison; there are <, <=, > and >=")
    try:
        metric = parse_metric(found["metric"], stages)
        bound = parse_bound(found["bound"], metric)
    except ValueError as error:
        raise ValueError(f"{shown}: {error}") from None
    return Slo(expression.strip(), metric, found["comparison"], bound)


def parse_bound(text: str, metric: Metric) -> float:
    """Read what a metric is compared with, in the unit of that metric: see :class:`Slo`.

    Raises:
        ValueError: It is no number, or its unit is missing or does not fit; the text says what does.
    """
    units = _units_of(metric)
    found = _BOUND.fullmatch(text)
    wanted = _wanted(metric)
    if found is None:
        raise ValueError(f"{text!r} is no {wanted}")
    unit = found["unit"] or ""
    if unit not in units:
        missing = f"{text!r} has no unit" if not unit else f"{unit!r} is no unit of {metric}"
        raise ValueError(f"{missing}: write {wanted}")
    bound = float(found["number"]) * units[unit]
    if metric.name in {ERROR_RATE, THROTTLED_SHARE} and bound > 1:
        raise ValueError(f"{text!r} is more than everything: write {wanted}")
    return bound


def _units_of(metric: Metric) -> Mapping[str, float]:
    if metric.is_time:
        return SECONDS
    return {"": 1.0, _PER_SECOND: 1.0} if metric.name == COMPLETED_RATE else {"": 1.0, _PERCENT: 0.01}


def _wanted(metric: Metric) -> str:
    if metric.is_time:
        return "time with its unit, like 800ms, 90s or 2m"
    if metric.name == COMPLETED_RATE:
        return "number of jobs a second, like 18 or 0.5"
    return "share, like 1% or 0.01"
