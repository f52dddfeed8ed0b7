"""The search for the highest rate that holds: a state machine that says what to run next, and learns.

It doubles the rate until one does not hold, comes closer by bisection, and confirms the highest that held in
a longer window. A step that was saturated tells more than that it failed: what the platform completed
meanwhile is what it can do, and the next rates are taken around that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opus_async.load.steps import FailureKind, Step, StepKind, StepResult
from opus_async.load.usl import Fit, fit
from opus_async.load.verdict import Verdict

RATE_LIMIT = "rate_limit"
"""The limiting stage where the platform turns requests away."""
_PRECISION = 1.05
"""Ratio of the lowest rate that failed to the highest that held, from which on the search is close enough."""
_BELOW, _ABOVE = 0.96, 1.03
"""Rates tried around what a saturated platform completed, as shares of it."""
_LONGER = 3.0
"""How many times longer a window of confirmation is."""
_LOWER = 0.95
"""What is tried next, as a share of a rate that held in a short window and not in a longer one."""
_CONFIRMATIONS = 6
_FEW_JOBS = 10
"""Jobs in a window at least: below the rate that makes so few, none is looked for."""
_SETTLE_SHARE, _SETTLE_TIMES, _MOST_SETTLE = 0.2, 2.0, 2.0
"""A step settles for this share of its window, or for so many times what jobs took lately, up to so many
windows."""
PILED = 3.0
"""How many times the most jobs in flight of a rate that holds are a pile, and no level."""
_SAME = 0.85
"""Share of the most that a saturated step completed, above which others tell of the same ceiling."""
_OF_STEP = frozenset({"rate", "duration", "jobs", "warm_up"})
_GREW = 1.1
"""By how much the time in a stage has to grow for that stage to be what limits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPlan:
    """How to search.

    Attributes:
        start_rate: Jobs a second of the first step.
        window: Seconds of the window of a step.
        max_jobs: Jobs that may be started in all.
    """

    start_rate: float = 1.0
    window: float = 30.0
    max_jobs: int = 20_000

    def workload(self, of_run: Mapping[str, Any]) -> dict[str, Any]:
        """The workload of the search: that of a run, without what differs from step to step."""
        alike = {name: value for name, value in of_run.items() if name not in _OF_STEP}
        return alike | {"start_rate": self.start_rate, "window": self.window}


class SearchEnd:
    """Why a search found no more; texts that its summary has."""

    CAP = "the next step would take more jobs than may be started: raise --max-jobs"
    GENERATOR = "this machine was the bottleneck: the platform may hold more"
    NOTHING_HOLDS = "no rate holds, not even the lowest that can be measured: see a longer --window"
    UNCONFIRMED = "no rate that held in a short window held in a longer one"


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOutcome:
    """What a search found.

    Attributes:
        verdict: PASS for a rate that was confirmed, FAIL where none holds, INVALID where the search came to
            no end.
        rate: The highest rate that held, in jobs a second, as it was really offered; None where none did.
        confirmed: Whether it held in a longer window.
        limiting_stage: The stage whose time grew most where the rate did not hold any more, or
            :data:`RATE_LIMIT`; None where that is not seen.
        reasons: Why it is no PASS.
        fit: The scalability law, where it can be told and the platform throttled nothing.
    """

    verdict: Verdict
    rate: float | None
    confirmed: bool
    limiting_stage: str | None
    reasons: tuple[str, ...]
    fit: Fit | None


class Search:
    """The state of a search.

    Args:
        plan: How to search.

    Attributes:
        results: The steps that were run, in their order.
    """

    def __init__(self, plan: SearchPlan) -> None:
        self.plan = plan
        self.results: list[StepResult] = []

    def take(self, result: StepResult) -> None:
        """Learn from a step that was run."""
        self.results.append(result)

    def next_step(self) -> Step | None:
        """What to run now; None at the end."""
        step = self._wanted()
        return step if step is not None and self.jobs + step.jobs <= self.plan.max_jobs else None

    @property
    def jobs(self) -> int:
        """Jobs that were started so far."""
        return sum(result.started for result in self.results)

    @property
    def ceiling(self) -> float | None:
        """Jobs a second that the platform completes where more come; None where that was not seen.

        The mean of what saturated steps completed, by their jobs. Where too much load makes it complete
        less, steps that completed far less than others do not count.
        """
        saturated = [result for result in self.results if result.is_saturated and result.completed_rate > 0]
        most = max((result.completed_rate for result in saturated), default=0.0)
        near = [result for result in saturated if result.completed_rate > _SAME * most]
        jobs = sum(result.started for result in near)
        return sum(result.started * result.completed_rate for result in near) / jobs if jobs else None

    def holds(self, result: StepResult) -> bool:
        """Whether the rate of a step holds, by all that is known now."""
        return not result.failures(self.ceiling)

    def outcome(self, cut_short: Sequence[str] = ()) -> SearchOutcome:
        """What was found so far.

        Args:
            cut_short: Why the search was ended from outside; none where it ended by itself.
        """
        confirmed = self._confirmed()
        best = confirmed or self._best()
        reasons = tuple(cut_short) or (() if confirmed else (self._why_unconfirmed(),))
        verdict = Verdict.PASS if not reasons else Verdict.INVALID
        if reasons == (SearchEnd.NOTHING_HOLDS,):
            verdict = Verdict.FAIL
        throttled = any(result.is_throttled for result in self.results)
        return SearchOutcome(
            verdict=verdict,
            rate=None if best is None else best.offered,
            confirmed=confirmed is not None,
            limiting_stage=self._limiting_stage(),
            reasons=reasons,
            fit=None if throttled else fit(self._levels()),
        )

    def _wanted(self) -> Step | None:
        """What to run next, whatever it takes."""
        confirmations = self._of_kind(StepKind.CONFIRM)
        if self._confirmed() or self._generator_failed() or len(confirmations) == _CONFIRMATIONS:
            return None
        if confirmations:
            return self._step(StepKind.CONFIRM, min(result.step.rate for result in confirmations) * _LOWER)
        return self._closer(*self._bounds())

    def _closer(self, low: float | None, high: float | None) -> Step | None:
        """What to run between the highest rate that held and the lowest that did not."""
        if high is None:
            return self._step(StepKind.DOUBLE, self.plan.start_rate if low is None else 2 * low)
        if low is None:
            lower = high / 2 if self.ceiling is None else min(_BELOW * self.ceiling, high / 2)
            return self._step(StepKind.BISECT, lower) if lower * self.plan.window >= _FEW_JOBS else None
        if high / low > _PRECISION:
            return self._step(StepKind.BISECT, self._between(low, high))
        return self._step(StepKind.CONFIRM, low)

    def _bounds(self) -> tuple[float | None, float | None]:
        """The highest rate that held, and the lowest above it that did not."""
        low = max((result.step.rate for result in self.results if self.holds(result)), default=None)
        failed = [result.step.rate for result in self.results if not self.holds(result)]
        return low, min((rate for rate in failed if low is None or rate > low), default=None)

    def _between(self, low: float, high: float) -> float:
        """A rate between two, close to what a saturated platform completed where that lies between them."""
        if self.ceiling is not None:
            for rate in (_BELOW * self.ceiling, _ABOVE * self.ceiling):
                if low * _PRECISION < rate < high / _PRECISION:
                    return rate
        return math.sqrt(low * high)

    def _step(self, kind: StepKind, rate: float) -> Step:
        window = self.plan.window
        lately = max((result.p95 or 0.0 for result in self.results if self.holds(result)), default=0.0)
        settle = min(max(_SETTLE_SHARE * window, _SETTLE_TIMES * lately), _MOST_SETTLE * window)
        return Step(kind, rate, settle, window * (_LONGER if kind is StepKind.CONFIRM else 1.0))

    def _of_kind(self, kind: StepKind) -> list[StepResult]:
        return [result for result in self.results if result.step.kind is kind]

    def _confirmed(self) -> StepResult | None:
        return next((result for result in self._of_kind(StepKind.CONFIRM) if self.holds(result)), None)

    def _best(self) -> StepResult | None:
        """The step with the highest rate that held, below those that a longer window refuted."""
        refuted = min((result.step.rate for result in self._of_kind(StepKind.CONFIRM)), default=math.inf)
        held = [result for result in self.results if self.holds(result) and result.step.rate < refuted]
        return max(held, key=lambda result: result.step.rate, default=None)

    def _generator_failed(self) -> bool:
        return any(
            failure.kind is FailureKind.GENERATOR
            for result in self.results
            for failure in result.failures(self.ceiling)
        )

    def _why_unconfirmed(self) -> str:
        if self._generator_failed():
            return SearchEnd.GENERATOR
        if self._wanted() is not None:
            return SearchEnd.CAP
        return SearchEnd.UNCONFIRMED if self._of_kind(StepKind.CONFIRM) else SearchEnd.NOTHING_HOLDS

    def _levels(self) -> list[tuple[float, float]]:
        """Jobs in flight and completed jobs a second, of steps in which the first is a level.

        Far beyond what holds it is none: jobs pile up for as long as the step lasts.
        """
        held = [result.in_flight for result in self.results if self.holds(result)]
        most = PILED * max(held, default=math.inf)
        return [
            (result.in_flight, result.completed_rate) for result in self.results if result.in_flight <= most
        ]

    def _limiting_stage(self) -> str | None:
        """What the lowest rate that failed tells, next to the lowest that held."""
        failed = [result for result in self.results if not self.holds(result) and not result.unhealthy]
        worst = min(failed, key=lambda result: result.step.rate, default=None)
        if worst is None:
            return None
        if worst.is_throttled:
            return RATE_LIMIT
        held = [result for result in self.results if self.holds(result)]
        calm = min(held, key=lambda result: result.step.rate, default=None)
        before = {} if calm is None else calm.stages
        grown = {name: seconds - before.get(name, 0.0) for name, seconds in worst.stages.items()}
        stage = max(grown, key=lambda name: grown[name], default=None)
        if stage is None or worst.stages[stage] < _GREW * before.get(stage, 0.0):
            return None
        return stage
