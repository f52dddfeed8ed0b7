"""The names of what a load test measures, as SLOs and comparisons write them: ``e2e.p95``, ``error_rate``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from opus_async.spelling import closest

E2E_INTENDED, E2E_SERVICE = "e2e_intended", "e2e_service"
"""The whole time of a job, from when it was meant to start and from when it was started."""
SERIES = (E2E_INTENDED, E2E_SERVICE)
ERROR_RATE, COMPLETED_RATE, THROTTLED_SHARE = "error_rate", "completed_rate", "throttled.share"
RATES = (ERROR_RATE, COMPLETED_RATE, THROTTLED_SHARE)
"""What is no time: jobs that did not complete over those that ended, completed jobs a second, answers with
429 over all."""
PERCENTILES: Mapping[str, float] = MappingProxyType(
    {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p999": 99.9}
)
STATISTICS = (*PERCENTILES, "mean", "max")
_ALIASES = {"e2e": E2E_INTENDED}


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure of a load test.

    Attributes:
        name: One of :data:`RATES`; of a time, a series or the name of a stage.
        statistic: Of a time, one of :data:`STATISTICS`; empty for a rate.
    """

    name: str
    statistic: str = ""

    def __str__(self) -> str:
        return f"{self.name}.{self.statistic}" if self.statistic else self.name

    @property
    def is_time(self) -> bool:
        """Whether it is told in seconds."""
        return bool(self.statistic)

    @property
    def unit(self) -> str:
        """In what its values are told: ``s``, ``share`` (from 0 to 1) or ``rate`` (a second)."""
        return unit_of(str(self))


def unit_of(expression: str) -> str:
    """The unit of the metric that an expression begins with: ``s``, ``share`` or ``rate``."""
    if expression.startswith(COMPLETED_RATE):
        return "rate"
    return "share" if expression.startswith((ERROR_RATE, THROTTLED_SHARE)) else "s"


def parse_metric(text: str, stages: Iterable[str]) -> Metric:
    """Read the name of a metric.

    Args:
        text: As it was written. ``e2e`` is ``e2e_intended``.
        stages: The names of the stages of the platform's jobs.

    Raises:
        ValueError: There is no such metric; the text says which part is wrong, what fits, and what was meant.
    """
    if text in RATES:
        return Metric(text)
    names = (*_ALIASES, *SERIES, *stages)
    name, dot, statistic = text.rpartition(".")
    if not dot:
        if text in names:
            raise ValueError(
                f"{text!r} needs a statistic: {_listed(f'{text}.{each}' for each in STATISTICS)}"
            )
        everything = (*names, *RATES)
        raise ValueError(f"{text!r} is no metric{_meant(text, everything)}; there are {_listed(everything)}")
    if name not in names:
        raise ValueError(
            f"{name!r} is no series or stage{_meant(name, names)}; there are {_listed(names)}, "
            f"and without a statistic {_listed(RATES)}"
        )
    if statistic not in STATISTICS:
        raise ValueError(
            f"{statistic!r} is no statistic{_meant(statistic, STATISTICS)}; there are {_listed(STATISTICS)}"
        )
    return Metric(_ALIASES.get(name, name), statistic)


def _meant(given: str, known: Iterable[str]) -> str:
    found = closest(given, known)
    return f" (did you mean {found!r}?)" if found else ""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))
