"""Compares two runs from their directories, with the conditions under which that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from opus_async.errors import LoadRefused
from opus_async.exits import Exit
from opus_async.load.comparison import Comparison, compare_runs
from opus_async.load.fail_if import FailIf, parse_fail_if
from opus_async.load.recorded_run import RecordedRun, load_run


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonResult:
    """Two runs compared.

    Attributes:
        comparison: What became better or worse, and what is noise.
        breaches: The conditions under which it fails and that are met, each with what was found.
        base: The run that was compared with.
        new: The other one.
    """

    comparison: Comparison
    breaches: tuple[str, ...]
    base: RecordedRun
    new: RecordedRun

    @property
    def exit_code(self) -> int:
        """The exit code of the command."""
        return Exit.SLO_FAILED if self.breaches else Exit.OK


async def compare(
    base: str | PathLike[str], new: str | PathLike[str], *, fail_if: Sequence[str] = ()
) -> ComparisonResult:
    """Compare two runs of the same workload: what became better or worse, and what is noise.

    Args:
        base: The directory of the run that is compared with.
        new: The directory of the other one.
        fail_if: Conditions under which the comparison fails, like ``e2e.p95 > 10%`` or ``worse``; see
            :mod:`opus_async.load.fail_if`.

    Raises:
        LoadRefused: Their workloads differ, a directory holds no run, or a condition cannot be read.
    """
    return await asyncio.to_thread(_compared, Path(base), Path(new), fail_if)


def _compared(base: Path, new: Path, fail_if: Sequence[str]) -> ComparisonResult:
    before, after = load_run(base), load_run(new)
    conditions = [_condition(each, after) for each in fail_if]
    comparison = compare_runs(before, after)
    measured = after.summary.measured
    breaches = (condition.breach(comparison, measured) for condition in conditions)
    return ComparisonResult(
        comparison=comparison, breaches=tuple(filter(None, breaches)), base=before, new=after
    )


def _condition(expression: str, run: RecordedRun) -> FailIf:
    try:
        return parse_fail_if(expression, run.summary.stages)
    except ValueError as error:
        raise LoadRefused(f"--fail-if {error}") from None
