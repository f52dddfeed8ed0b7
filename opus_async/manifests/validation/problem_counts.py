"""Problems of a manifest, counted: memory does not follow their number."""

from __future__ import annotations

from collections.abc import Callable

from opus_async.manifests.problem import Problem, Severity
from opus_async.manifests.validation.result import Cause

_MOST_CAUSES = 500
_OTHER = "something else"
"""The cause of those for which no more causes are kept apart."""


class ProblemCounts:
    """Counts problems by severity and by cause, and keeps the first of them.

    Args:
        on_problem: Told of every problem, kept or not.
        limit: How many errors, and as many warnings, are kept.

    Attributes:
        kept: The first problems of each severity.
        counts: How many there are of each severity.
        doomed: Whether there are errors of no single row: then none can be run.
    """

    def __init__(self, on_problem: Callable[[Problem], object] | None, limit: int) -> None:
        self.kept: dict[Severity, list[Problem]] = {severity: [] for severity in Severity}
        self.counts: dict[Severity, int] = dict.fromkeys(Severity, 0)
        self._causes: dict[tuple[Severity, str], Cause] = {}
        self.doomed = False
        self._on_problem = on_problem
        self._limit = limit

    def add(self, problem: Problem) -> None:
        """Count one."""
        self.counts[problem.severity] += 1
        self.doomed = self.doomed or (problem.is_error and problem.index is None)
        if len(self.kept[problem.severity]) < self._limit:
            self.kept[problem.severity].append(problem)
        cause = problem.cause
        if (problem.severity, cause) not in self._causes and len(self._causes) >= _MOST_CAUSES:
            cause = _OTHER
        kind = self._causes.setdefault((problem.severity, cause), Cause(cause, problem))
        kind.count += 1
        if kind.other is None and cause != _OTHER and problem.message != kind.first.message:
            kind.other = problem
        if self._on_problem is not None:
            self._on_problem(problem)

    def causes(self) -> list[Cause]:
        """Problems by cause, in the order of :attr:`Validation.causes`."""
        return sorted(self._causes.values(), key=_urgency)


def _urgency(cause: Cause) -> tuple[bool, bool, int]:
    return not cause.first.is_error, cause.first.index is not None, -cause.count
