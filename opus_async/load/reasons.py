"""Why a load test is not a PASS: codes with values, and the words for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from opus_async import text

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class ReasonCode(StrEnum):
    """Why a run is not a PASS; the names in brackets are those of the values of a Reason with this code."""

    INTERRUPTED = "interrupted"
    """Somebody ended it early."""
    STOPPED_AT_BREACH = "stopped_at_breach"
    """It was to end when an objective could not be met any more (``expression``)."""
    CAP_REACHED = "cap_reached"
    """As many jobs were started as may be (``jobs``)."""
    STOPPED_BY_ERROR = "stopped_by_error"
    """An error ended it that every other job would have met (``error``)."""
    NOT_DRAINED = "not_drained"
    """Jobs were not waited for to the end (``jobs``, ``seconds``)."""
    NO_JOBS = "no_jobs"
    """No job of the measured window completed."""
    TOO_FEW_JOBS = "too_few_jobs"
    """Too few jobs completed for the percentile of an objective (``metric``, ``jobs``, ``needed``)."""
    TOO_MANY_DROPPED = "too_many_dropped"
    """Too many arrivals were not started (``dropped``: reason -> jobs, ``offered``)."""
    BACKLOG = "backlog"
    """More jobs came than ended (``slope``: seconds of latency more a second)."""
    LITTLE = "little"
    """Jobs in flight, rate and time contradict each other (``ratio``)."""
    LATE_STARTS = "late_starts"
    """This process started jobs too late (``seconds``, ``limit``)."""
    CPU = "cpu"
    """This process used up a core (``share``)."""
    LOOP_LAG = "loop_lag"
    """This process came too late to what was due (``seconds``)."""
    SLO = "slo"
    """An objective was not met (``expression``, ``value`` and ``unit``: ``s``, ``share`` or ``rate``)."""


GENERATOR = frozenset({ReasonCode.LATE_STARTS, ReasonCode.CPU, ReasonCode.LOOP_LAG})
"""What says that the process that makes the load was the bottleneck."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason.

    Attributes:
        code: What it is.
        values: Its figures by name; see :class:`ReasonCode`.
    """

    code: ReasonCode
    values: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)

    def __str__(self) -> str:
        return _WORDS[self.code](self.values)


def _dropped(values: Mapping[str, Any]) -> str:
    reasons = ", ".join(f"{text.count(number)} {name}" for name, number in values["dropped"].items())
    number = sum(values["dropped"].values())
    return (
        f"{text.share(number, values['offered'])} of the arrivals were not started ({reasons}): "
        "it was not the load that was asked for"
    )


def measured(value: float | None, unit: str) -> str:
    """A figure with its unit: ``s``, ``share`` or ``rate``."""
    if value is None:
        return "not measured"
    if unit == "s":
        return text.duration(value)
    return text.share(value, 1) if unit == "share" else f"{text.figure(value)} a second"


_WORDS: Mapping[ReasonCode, Callable[[Mapping[str, Any]], str]] = {
    ReasonCode.INTERRUPTED: lambda _: "interrupted: the figures are of a part of the run",
    ReasonCode.STOPPED_AT_BREACH: lambda of: (
        f"stopped early, because {of['expression']} cannot be met any more"
    ),
    ReasonCode.CAP_REACHED: lambda of: (
        f"stopped early, at the cap of {text.counted(of['jobs'], 'job')}: raise --max-jobs to run to the end"
    ),
    ReasonCode.STOPPED_BY_ERROR: lambda of: f"stopped by an error: {of['error']}",
    ReasonCode.NOT_DRAINED: lambda of: (
        f"{text.counted(of['jobs'], 'job was', 'jobs were')} not waited for to the end, but for "
        f"{text.duration(of['seconds'])}: the slowest are missing"
    ),
    ReasonCode.NO_JOBS: lambda _: "no job of the measured window completed",
    ReasonCode.TOO_FEW_JOBS: lambda of: (
        f"too few jobs: {of['metric']} is of {text.count(of['jobs'])} and takes {text.count(of['needed'])}"
    ),
    ReasonCode.TOO_MANY_DROPPED: _dropped,
    ReasonCode.BACKLOG: lambda of: (
        f"not steady: the backlog grew, each second made jobs {text.duration(of['slope'])} slower"
    ),
    ReasonCode.LITTLE: lambda of: (
        f"jobs in flight are {text.figure(of['ratio'])} of rate x time (Little's law): "
        "the figures contradict each other"
    ),
    ReasonCode.LATE_STARTS: lambda of: (
        f"this machine was the bottleneck: jobs were started {text.duration(of['seconds'])} late "
        f"(99th percentile; the limit is {text.duration(of['limit'])})"
    ),
    ReasonCode.CPU: lambda of: (
        f"this machine was the bottleneck: the load took {text.share(of['share'], 1)} of a core"
    ),
    ReasonCode.LOOP_LAG: lambda of: (
        f"this machine was the bottleneck: its event loop was {text.duration(of['seconds'])} late "
        "(99th percentile)"
    ),
    ReasonCode.SLO: lambda of: f"{of['expression']} was not met: {measured(of['value'], of['unit'])}",
}
