"""Compares two runs of the same workload: what became better or worse, and what is noise."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

from opus_async import text
from opus_async.errors import LoadRefused
from opus_async.load.bootstrap import Statistic, intervals
from opus_async.load.figures import Figures
from opus_async.load.metric import COMPLETED_RATE, E2E_INTENDED, ERROR_RATE
from opus_async.load.recorded_run import RecordedRun, statistics_of
from opus_async.load.summary import rounded
from opus_async.load.verdict import Verdict

FLOOR = 0.05
"""Change below which a metric is unchanged, as a fraction of what it was."""
_SHORTEST = 0.001
"""Seconds: a time that changed by less is unchanged, however short it was."""
_SMALLEST = 0.005
"""The same for a share: half a job of a hundred."""
_MOST_TOLD = 12


class Change(StrEnum):
    """What became of a metric, or of all."""

    BETTER = "better"
    WORSE = "worse"
    UNCHANGED = "unchanged"


class ComparedMetric(Figures):
    """One figure of both runs.

    Attributes:
        name: Like ``e2e_intended.p50``, ``error_rate``, ``completed_rate``.
        base: What it was: seconds, a share, or jobs a second.
        new: What it is.
        change: By how much it changed, as a fraction of what it was; None where it was 0.
        low: The least that the change may be in truth, with a confidence of 99 %.
        high: The most.
        verdict: ``better``, ``worse``, or ``unchanged`` within the noise.
    """

    name: str
    base: float
    new: float
    change: float | None
    low: float | None
    high: float | None
    verdict: Change


class Comparison(Figures):
    """Two runs compared.

    Attributes:
        verdict: Of the end-to-end time from the intended start, the error rate and the rate of completed
            jobs: ``worse`` if one of them is, else ``better`` if one of them is, else ``unchanged``.
        same_workload: True: other runs are not compared.
        metrics: All figures.
        warnings: What else should be known: a run that is INVALID, say.
    """

    verdict: Change
    same_workload: bool
    metrics: list[ComparedMetric]
    warnings: list[str]


def compare_runs(base: RecordedRun, new: RecordedRun) -> Comparison:
    """Compare two runs.

    Raises:
        LoadRefused: Their workloads differ (the message names the fields), or one has nothing to compare.
    """
    if differing := _differing(base.summary.workload, new.summary.workload):
        raise LoadRefused(
            f"{text.quoted(base.name)} and {text.quoted(new.name)} ran different workloads, so that their "
            f"figures do not compare: {'; '.join(differing)}"
        )
    before, after = statistics_of(base), statistics_of(new)
    pairs = {name: (before[name], after[name]) for name in before if name in after}
    metrics = [
        metric
        for (name, pair), found in zip(pairs.items(), intervals(list(pairs.values())), strict=True)
        if found is not None and (metric := _compared(name, pair, found)) is not None
    ]
    verdicts = {metric.verdict for metric in metrics if _is_headline(metric.name)}
    overall = next((each for each in (Change.WORSE, Change.BETTER) if each in verdicts), Change.UNCHANGED)
    warnings = [
        f"{text.quoted(run.name)} is INVALID: {'; '.join(run.summary.reasons)}"
        for run in (base, new)
        if run.summary.verdict is Verdict.INVALID
    ]
    return Comparison(verdict=overall, same_workload=True, metrics=metrics, warnings=warnings)


def _compared(
    name: str, pair: tuple[Statistic, Statistic], found: tuple[float, float]
) -> ComparedMetric | None:
    base, new = (statistic.of([1] * statistic.blocks) for statistic in pair)
    if base is None or new is None:
        return None
    low, high = found
    return ComparedMetric(
        name=name,
        base=round(base, 6),
        new=round(new, 6),
        change=rounded((new - base) / base) if base else None,
        low=rounded(low / base) if base else None,
        high=rounded(high / base) if base else None,
        verdict=_verdict(name, base, new, found),
    )


def _verdict(name: str, base: float, new: float, found: tuple[float, float]) -> Change:
    least = {ERROR_RATE: _SMALLEST, COMPLETED_RATE: 0.0}.get(name, _SHORTEST)
    low, high = found
    if low <= 0 <= high or abs(new - base) < max(FLOOR * base, least):
        return Change.UNCHANGED
    return Change.BETTER if (new > base) == (name == COMPLETED_RATE) else Change.WORSE


def _is_headline(name: str) -> bool:
    return name in {ERROR_RATE, COMPLETED_RATE} or name.startswith(f"{E2E_INTENDED}.")


def _differing(base: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The fields in which two workloads differ, with both values."""
    before, after = dict(_flat(base)), dict(_flat(new))
    names = [name for name in dict.fromkeys((*before, *after)) if before.get(name) != after.get(name)]
    told = [
        f"{name}: {_shown(before.get(name))} and {_shown(after.get(name))}"
        for name in itertools.islice(names, _MOST_TOLD)
    ]
    return [*told, f"and {len(names) - _MOST_TOLD} more"] if len(names) > _MOST_TOLD else told


def _flat(values: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    """The values of all objects, by their full names."""
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{within}{name}.")
        else:
            yield f"{within}{name}", value


def _shown(value: Any) -> str:
    return text.quoted(value) if isinstance(value, str) else json.dumps(value)[:80]
