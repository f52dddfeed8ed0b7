"""``--fail-if`` of a comparison: what must not have become worse.

- ``worse``: the whole comparison. ``e2e.p95 worse``: one metric.
- ``e2e.p95 > 10%``, ``completed_rate < -5%``: the change as a share of what it was, where it is no noise. A
  share such as ``error_rate`` takes a sign for that: ``error_rate > +50%``.
- ``e2e.p95 > 2s``, ``error_rate > 1%``, ``completed_rate < 18``: the new run itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from opus_async import text
from opus_async.load.comparison import Change, ComparedMetric, Comparison
from opus_async.load.metric import ERROR_RATE, THROTTLED_SHARE, Metric, parse_metric
from opus_async.load.slo import COMPARISONS, Measured, Slo, parse_slo

_WORSE = Change.WORSE.value
_CHANGE = re.compile(
    r"\s*(?P<metric>[^\s<>=]+)\s*(?P<comparison><=|>=|<|>)\s*(?P<sign>[+-]?)\s*(?P<percent>[0-9]+(?:\.[0-9]+)?)\s*%\s*",
    re.ASCII,
)
_ALONE = re.compile(r"\s*(?P<metric>\S+)\s+(?:is\s+)?worse\s*")


@dataclass(frozen=True, slots=True)
class FailIf:
    """One condition under which a comparison fails.

    Attributes:
        expression: As it was written.
        metric: What it is about; None for the whole comparison.
        comparison: How its change is compared with ``bound``; None to ask whether it is worse.
        bound: A change, as a fraction of what it was.
        slo: A condition on the new run itself, in place of all that.
    """

    expression: str
    metric: Metric | None = None
    comparison: str | None = None
    bound: float = 0.0
    slo: Slo | None = None

    def breach(self, found: Comparison, new: Measured) -> str | None:
        """What is said of a comparison that fails by it; None for one that does not.

        What could not be measured fails: nobody knows that it has not become worse.
        """
        if self.slo is not None:
            result = self.slo.check(new)
            if result.value is None:
                return f"{self.expression}: not measured"
            return f"{self.expression}: it is {result.value:g}" if result.ok else None
        if self.metric is None:
            return f"{self.expression}: the new run is worse" if found.verdict is Change.WORSE else None
        metric = next((each for each in found.metrics if each.name == str(self.metric)), None)
        if metric is None:
            return f"{self.expression}: not measured, or of too few jobs"
        return f"{self.expression}: {change_text(metric)}" if self._fails(metric) else None

    def _fails(self, metric: ComparedMetric) -> bool:
        if self.comparison is None:
            return metric.verdict is Change.WORSE
        if metric.change is None or metric.low is None or metric.high is None:  # it was 0
            return metric.verdict is Change.WORSE
        is_noise = metric.low <= 0 <= metric.high
        return not is_noise and COMPARISONS[self.comparison](metric.change, self.bound)


def change_text(metric: ComparedMetric) -> str:
    """By how much a metric changed: ``+12.0 % (+8.1 to +16.2 %)``."""
    if metric.change is None or metric.low is None or metric.high is None:
        return f"from {metric.base:g} to {metric.new:g}"
    return f"{100 * metric.change:+.1f} % ({100 * metric.low:+.1f} to {100 * metric.high:+.1f} %)"


def parse_fail_if(expression: str, stages: Iterable[str]) -> FailIf:
    """Read a condition.

    Args:
        expression: As it was written.
        stages: The names of the stages of the platform's jobs.

    Raises:
        ValueError: It is none; the text says which part is wrong and what fits.
    """
    shown = expression.strip()
    names = tuple(stages)
    if shown == _WORSE:
        return FailIf(shown)
    alone, change = _ALONE.fullmatch(expression), _CHANGE.fullmatch(expression)
    try:
        if alone is not None:
            return FailIf(shown, parse_metric(alone["metric"], names))
        found = None if change is None else _as_change(shown, change, names)
    except ValueError as error:
        raise ValueError(f"{text.quoted(shown)}: {error}") from None
    if found is not None:
        return found
    try:
        return FailIf(shown, slo=parse_slo(expression, names))
    except ValueError as error:
        raise ValueError(f"{error}; a change is written as e2e.p95 > 10% or e2e.p95 worse") from None


def _as_change(shown: str, found: re.Match[str], stages: Iterable[str]) -> FailIf | None:
    """A condition on a change; None for one on a share, which is told in percent itself."""
    metric = parse_metric(found["metric"], stages)
    if metric.name in {ERROR_RATE, THROTTLED_SHARE} and not found["sign"]:
        return None
    if metric.name == THROTTLED_SHARE:
        raise ValueError(f"the change of {metric} is not known, but its value is: write it without a sign")
    return FailIf(shown, metric, found["comparison"], float(f"{found['sign']}{found['percent']}") / 100)
