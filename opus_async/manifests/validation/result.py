"""What was found of a manifest: problems, how many rows can be run, and what these will take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from opus_async.manifests.binding.bound_column import BoundColumn
from opus_async.manifests.binding.outside_files import Outside
from opus_async.manifests.problem import Problem
from opus_async.manifests.validation.estimate import Estimate


@dataclass(slots=True)
class Cause:
    """Problems that have the same cause, over all rows.

    Attributes:
        cause: What they have in common, in words.
        first: The first of them.
        count: How many there are.
        other: The first one whose message is another; None when all say the same.
    """

    cause: str
    first: Problem
    count: int = 0
    other: Problem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """What was found of a manifest.

    Attributes:
        rows: How many rows it has, as far as they can be read.
        valid: How many of them can be run.
        errors: The first problems that keep rows from being run, at most ``limit`` of ``validate``.
        warnings: The first problems that do not, at most as many.
        error_count: How many errors there are.
        warning_count: How many warnings there are.
        causes: Errors and warnings by what they have in common: errors first, of these those that keep all
            rows from being run, then the most frequent.
        columns: What each column is for.
        estimate: What the valid rows will take.
        doomed: Whether there are errors of no single row: then none can be run.
        outside: The files outside of the manifest's folder that rows name, where that is not allowed.
        proposed_key: A column with another value in every row, where no column names the rows; None for none.
    """

    rows: int
    valid: int
    errors: Sequence[Problem]
    warnings: Sequence[Problem]
    error_count: int
    warning_count: int
    causes: Sequence[Cause]
    columns: Sequence[BoundColumn]
    estimate: Estimate
    doomed: bool
    outside: Outside = field(default_factory=Outside)
    proposed_key: str | None = None

    @property
    def invalid(self) -> int:
        """How many rows cannot be run."""
        return self.rows - self.valid

    @property
    def ok(self) -> bool:
        """Whether every row can be run."""
        return self.error_count == 0

    def as_json(self) -> dict[str, Any]:
        """Name -> value, for a machine. Problems beyond those that are kept are counted only."""
        return {
            "ok": self.ok,
            "doomed": self.doomed,
            "rows": self.rows,
            "valid": self.valid,
            "invalid": self.invalid,
            "error_count": self.error_count,
            "warning_count": self.warning_count,
            "errors": [problem.as_json() for problem in self.errors],
            "warnings": [problem.as_json() for problem in self.warnings],
            "causes": [
                {
                    "cause": cause.cause,
                    "severity": str(cause.first.severity),
                    "count": cause.count,
                    "first": cause.first.where,
                }
                for cause in self.causes
            ],
            "outside": {"count": self.outside.count, "files": self.outside.names},
            "columns": [column.as_json() for column in self.columns],
            "estimate": self.estimate.as_json(),
            "proposed_key": self.proposed_key,
        }
