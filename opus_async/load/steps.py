"""One step of a search for the highest rate: what is to be run, what was measured, and what is wrong."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Self

from opus_async import text
from opus_async.load.arrivals import Arrival
from opus_async.load.reasons import Reason
from opus_async.load.slo import Slo
from opus_async.load.steady import Backlog, backlog, mean_in_flight, rate_of_ends
from opus_async.load.step_objectives import Breach, breaches
from opus_async.load.values import Sample, Schedule, Window
from opus_async.metrics.histogram import Histogram

_COMPLETED = "COMPLETED"
_KEEPS_UP = 0.97
"""Share of the jobs offered that complete a second, from which on the platform keeps up with them."""
_ABOVE = 1.02
"""How far above the ceiling a rate lies for certain, given how well that is known."""
_MOST_ERRORS = 0.05
"""Share of the jobs that may end otherwise than completed. An objective may be stricter."""
_MOST_DROPPED = 0.01
_NOTHING: Mapping[str, float] = MappingProxyType({})


class StepKind(StrEnum):
    """What a step is for."""

    DOUBLE = "double"
    """To find a rate that does not hold."""
    BISECT = "bisect"
    """To come closer to the highest that does."""
    CONFIRM = "confirm"
    """To see a rate hold for longer."""


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be run. No job of an earlier step is in flight when it begins.

    Attributes:
        kind: What for.
        rate: Jobs a second.
        settle: Seconds at that rate before anything is measured.
        window: Seconds in which the jobs that are measured start.
    """

    kind: StepKind
    rate: float
    settle: float
    window: float

    @property
    def jobs(self) -> int:
        """How many jobs it takes."""
        return sum(_counts(self))

    def schedule(self, process: Arrival, seed: int) -> Schedule:
        """Its arrivals: exactly as many as its rate asks for, in its settling and in its window.

        Random arrivals whose number is random, too, would make one step of 400 jobs differ from the next by
        5 %, and that is what is looked for. Given their number, arrivals of a Poisson process lie anywhere.

        Args:
            process: ``poisson`` or ``uniform``.
            seed: Of the draws.
        """
        chosen = random.Random(f"step {self.kind} {self.rate} {seed}")  # noqa: S311 - draws a load
        times: list[float] = []
        for begin, seconds, number in zip(
            (0.0, self.settle), (self.settle, self.window), _counts(self), strict=True
        ):
            places = [(place + 0.5) / number for place in range(number)]
            if process == "poisson":
                places = sorted(chosen.random() for _ in range(number))
            times += (begin + seconds * place for place in places)
        return Schedule(tuple(times), self.settle + self.window)


def _counts(step: Step) -> tuple[int, int]:
    return round(step.rate * step.settle), max(round(step.rate * step.window), 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What was measured in a step.

    Attributes:
        step: The step.
        started: Jobs that were started, those of its settling included.
        offered: Jobs a second that really came in its window.
        completed_rate: Jobs a second that completed while jobs came, however late: see
            :func:`~opus_async.load.steady.rate_of_ends`.
        p95: Seconds from when a job was meant to start to its end, 95th percentile; None without any.
        in_flight: Jobs in flight in its window, on average.
        errors: Share of the jobs of its window that ended otherwise than completed.
        dropped: Share of the arrivals that were not started.
        stages: Stage -> mean seconds.
        backlog: The trend of latency; None where it could not be told.
        breaches: The objectives that were not met.
        throttled: Answers with 429.
        paused: Seconds for which all requests waited after such answers.
        unhealthy: What says that this process was the bottleneck.
    """

    step: Step
    started: int
    offered: float
    completed_rate: float
    p95: float | None
    in_flight: float
    errors: float = 0.0
    dropped: float = 0.0
    stages: Mapping[str, float] = field(default_factory=lambda: _NOTHING)
    backlog: Backlog | None = None
    breaches: tuple[Breach, ...] = ()
    throttled: int = 0
    paused: float = 0.0
    unhealthy: tuple[Reason, ...] = ()

    @classmethod
    def of(
        cls,
        step: Step,
        samples: Sequence[Sample],
        window: Window,
        *,
        slos: Sequence[Slo] = (),
        throttled_share: float | None = None,
        **more: Any,
    ) -> Self:
        """Work out what samples tell of a step.

        Args:
            step: The step.
            samples: All jobs that were started, those of its settling included, and all of them ended.
            window: Its measured window, in the time of the samples.
            slos: The objectives.
            throttled_share: Answers with 429 over all answers; None without answers.
            more: The attributes ``dropped``, ``throttled``, ``paused`` and ``unhealthy``, where they are not
                as of nothing.
        """
        inside = [sample for sample in samples if window.holds(sample.intended)]
        completed = [sample for sample in inside if sample.status == _COMPLETED]
        latencies = [(sample.intended, sample.e2e_intended) for sample in completed]
        rate = rate_of_ends(sample.ended for sample in completed)
        completed_rate = len(completed) / window.seconds if rate is None else rate
        came = 1 - more.get("dropped", 0.0)
        offered = len(inside) / window.seconds / came if came > 0 else step.rate
        return cls(
            step=step,
            started=len(samples),
            offered=offered,
            completed_rate=completed_rate,
            p95=Histogram(seconds for _, seconds in latencies).percentile(95),
            in_flight=mean_in_flight(((sample.started, sample.ended) for sample in samples), window),
            errors=1 - len(completed) / len(inside) if inside else 0.0,
            stages=_means(completed),
            backlog=backlog(latencies, window),
            breaches=breaches(slos, inside, completed_rate=completed_rate, throttled_share=throttled_share),
            **more,
        )

    @property
    def is_throttled(self) -> bool:
        """Whether the platform's rate limit was met: then it is a suspect for whatever went wrong."""
        return self.throttled > 0 or self.paused > 0

    @property
    def is_saturated(self) -> bool:
        """Whether more jobs came than the platform ends, for certain: then it ends as many as it can."""
        return self.backlog is not None and self.backlog.growing

    def failures(self, ceiling: float | None) -> tuple[StepFailure, ...]:
        """What is wrong with it; nothing where its rate holds.

        Args:
            ceiling: Jobs a second that complete where more come; None where that was not seen. Where more
                are offered than that, too few ends are no chance.
        """
        found = [StepFailure(FailureKind.GENERATOR, {"reason": str(reason)}) for reason in self.unhealthy]
        if self.dropped > _MOST_DROPPED:
            found.append(StepFailure(FailureKind.DROPPED, {"share": self.dropped}))
        found += (
            StepFailure(FailureKind.OBJECTIVE, {"expression": each.expression})
            for each in self.breaches
            if each.certain or self.step.kind is StepKind.CONFIRM
        )
        if self.errors > _MOST_ERRORS:
            found.append(StepFailure(FailureKind.ERRORS, {"share": self.errors}))
        beyond = ceiling is not None and self.offered > _ABOVE * ceiling
        if self.is_saturated or (beyond and self.completed_rate < _KEEPS_UP * self.offered):
            rates = {"completed": self.completed_rate, "offered": self.offered}
            found.append(StepFailure(FailureKind.BACKLOG, rates))
        return tuple(found)

    def why(self, ceiling: float | None) -> str:
        """What is wrong with it, in words; empty where its rate holds without a rate limit in sight."""
        said = "; ".join(str(failure) for failure in self.failures(ceiling))
        if not self.is_throttled:
            return said
        paused = f", {text.duration(self.paused)} paused" if self.paused else ""
        suspect = (
            f"rate limit of the platform met ({text.counted(self.throttled, 'answer')} with 429{paused})"
        )
        return f"{said}; {suspect}" if said else suspect


class FailureKind(StrEnum):
    """What is wrong with a step; the names in brackets are those of the values."""

    OBJECTIVE = "objective"
    """An objective was not met (``expression``)."""
    BACKLOG = "backlog"
    """Fewer jobs ended than came (``completed``, ``offered``, a second)."""
    ERRORS = "errors"
    """Too many jobs ended otherwise than completed (``share``)."""
    DROPPED = "dropped"
    """Too many arrivals were not started (``share``)."""
    GENERATOR = "generator"
    """This process was the bottleneck: what the platform would have done is not known (``reason``)."""


@dataclass(frozen=True, slots=True)
class StepFailure:
    """One thing that is wrong with a step.

    Attributes:
        kind: What.
        values: Its figures by name; see :class:`FailureKind`.
    """

    kind: FailureKind
    values: Mapping[str, Any]

    def __str__(self) -> str:
        return _WORDS[self.kind](self.values)


_WORDS: Mapping[FailureKind, Callable[[Mapping[str, Any]], str]] = {
    FailureKind.OBJECTIVE: lambda of: f"{of['expression']} was not met",
    FailureKind.BACKLOG: lambda of: (
        f"the backlog grew: {text.figure(of['completed'])} of {text.figure(of['offered'])} jobs/s completed"
    ),
    FailureKind.ERRORS: lambda of: f"{text.share(of['share'], 1)} of the jobs did not complete",
    FailureKind.DROPPED: lambda of: f"{text.share(of['share'], 1)} of the arrivals were not started",
    FailureKind.GENERATOR: lambda of: str(of["reason"]),
}


def _means(samples: Sequence[Sample]) -> dict[str, float]:
    names = dict.fromkeys(name for sample in samples for name in sample.stages)
    return {name: statistics.fmean(sample.stages.get(name, 0.0) for sample in samples) for name in names}
