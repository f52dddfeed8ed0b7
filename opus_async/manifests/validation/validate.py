"""Every row of a manifest, held against the live workflow and the disk before a cent is spent.

Rows are streamed, files are looked at and not read, and memory does not follow the number of rows.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any

from opus_async.errors import ManifestError, OpusError
from opus_async.manifests import Manifest, Record
from opus_async.manifests.binding.binding import Binding
from opus_async.manifests.binding.bound_column import BoundColumn
from opus_async.manifests.binding.outside_files import Outside
from opus_async.manifests.binding.row_keys import cells_digest
from opus_async.manifests.problem import Problem, Severity
from opus_async.manifests.validation.duplicates import DuplicateIndex
from opus_async.manifests.validation.estimate import ORDINARY, Estimate, ThroughputAssumptions, estimate
from opus_async.manifests.validation.row_check import Checked, RecordCheck, RowCheck
from opus_async.platform import Platform
from opus_async.text import quoted

KEPT = 1000
"""Errors, and as many warnings, that are kept; of more, only how many have the same cause."""
_MOST_CAUSES = 500
_OTHER = "something else"
_TURN = 0.02
"""Seconds after which the loop gets its turn."""


@dataclass(slots=True)
class Cause:
    """Problems that are the same but for what names the row.

    Attributes:
        cause: What they have in common.
        first: The first of them.
        count: How many they are.
        other: One of them that says something else of another row; None when all say the same.
    """

    cause: str
    first: Problem
    count: int = 0
    other: Problem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """What was found of a manifest.

    Attributes:
        rows: How many there are, as far as they can be read.
        valid: How many of them can be run.
        errors: The first of what keeps rows from being run.
        warnings: The first of what a person should know.
        error_count: How many errors there are.
        warning_count: How many warnings.
        causes: Errors and warnings by what they have in common: first what dooms all rows, then the most
            frequent.
        columns: What each column is for.
        estimate: What the valid rows will take.
        doomed: Whether there are errors of no single row: then none can be run.
        outside: The files outside of the manifest's folder, where they are not allowed.
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
        }


async def validate(
    manifest: Manifest,
    binding: Binding,
    platform: Platform[Any, Any],
    *,
    checks: Sequence[RecordCheck] = (),
    on_problem: Callable[[Problem], object] | None = None,
    on_progress: Callable[[int], object] | None = None,
    limit: int = KEPT,
    pace: ThroughputAssumptions = ORDINARY,
) -> Validation:
    """Check every row; nothing is sent but the question for the workflow, if that is not known yet.

    Args:
        manifest: What to run.
        binding: From its cells to requests.
        platform: Open.
        checks: Further checks of each record, of whoever will run the rows.
        on_problem: Told of every problem, kept or not, as it is found.
        on_progress: Told now and then, and at the end, how many rows were checked.
        limit: How many errors, and as many warnings, are kept.
        pace: What the estimate of the time rests on.

    Raises:
        OpusError: The platform cannot be asked, or there is no room for temporary files.
    """
    tally = _Tally(on_problem, limit)
    work = _Work(manifest, binding, platform, tally, checks)
    try:
        await work.run(on_progress or (lambda _: None))
    except sqlite3.Error as error:
        raise OpusError(
            f"The rows could not be compared with each other ({error}): make room in the folder for "
            "temporary files, or name another one in SQLITE_TMPDIR"
        ) from error
    finally:
        work.close()
    return Validation(
        rows=work.rows,
        valid=work.valid,
        errors=tally.kept[Severity.ERROR],
        warnings=tally.kept[Severity.WARNING],
        error_count=tally.counts[Severity.ERROR],
        warning_count=tally.counts[Severity.WARNING],
        causes=sorted(tally.causes.values(), key=_urgency),
        columns=binding.table(work.columns, scattered=manifest.columns is None),
        estimate=estimate(
            jobs=work.jobs, files=work.files, size=work.bytes, requests=work.requests, pace=pace
        ),
        doomed=tally.doomed,
        outside=work.outside,
    )


def _urgency(cause: Cause) -> tuple[bool, bool, int]:
    return not cause.first.is_error, cause.first.index is not None, -cause.count


class _Tally:
    """Counts problems, and keeps the first of them."""

    def __init__(self, on_problem: Callable[[Problem], object] | None, limit: int) -> None:
        self.kept: dict[Severity, list[Problem]] = {severity: [] for severity in Severity}
        self.counts: dict[Severity, int] = dict.fromkeys(Severity, 0)
        self.causes: dict[tuple[Severity, str], Cause] = {}
        self.doomed = False
        self._on_problem = on_problem
        self._limit = limit

    def add(self, problem: Problem) -> None:
        self.counts[problem.severity] += 1
        self.doomed = self.doomed or (problem.is_error and problem.index is None)
        if len(self.kept[problem.severity]) < self._limit:
            self.kept[problem.severity].append(problem)
        cause = problem.cause
        if (problem.severity, cause) not in self.causes and len(self.causes) >= _MOST_CAUSES:
            cause = _OTHER
        kind = self.causes.setdefault((problem.severity, cause), Cause(cause, problem))
        kind.count += 1
        if kind.other is None and cause != _OTHER and problem.message != kind.first.message:
            kind.other = problem
        if self._on_problem is not None:
            self._on_problem(problem)


class _Work:
    """One way through the manifest.

    Attributes:
        columns: Those there are, in the order in which they came.
        rows: So far.
        valid: Of them.
        jobs: Of valid rows.
        files: To upload, each path once.
        bytes: Of these files.
        requests: That the jobs take.
        outside: Files that rows name and may not.
    """

    def __init__(
        self,
        manifest: Manifest,
        binding: Binding,
        platform: Platform[Any, Any],
        tally: _Tally,
        checks: Sequence[RecordCheck],
    ) -> None:
        self.columns: Sequence[str] = manifest.columns or ()
        self.rows = self.valid = self.jobs = self.files = self.bytes = self.requests = 0
        self.outside = Outside()
        self._manifest = manifest
        self._binding = binding
        self._platform = platform
        self._tally = tally
        self._check = RowCheck(
            binding,
            platform,
            manifest.base,
            columns=self.columns,
            more=checks,
        )
        self._seen = DuplicateIndex()

    def close(self) -> None:
        self._seen.close()

    async def run(self, on_progress: Callable[[int], object]) -> None:
        found = dict.fromkeys(self.columns)
        if found:
            self._add(*self._binding.problems(self.columns))
        turn = time.monotonic()
        with closing(self._records()) as records:
            for record in records:
                self.rows += 1
                found.update(dict.fromkeys(record.cells))
                await self._row(record)
                if time.monotonic() - turn > _TURN:
                    on_progress(self.rows)
                    await asyncio.sleep(0)
                    turn = time.monotonic()
        on_progress(self.rows)
        if self.rows and not self.columns:
            self.columns = tuple(found)
            self._add(*self._binding.problems(self.columns, scattered=True))
        if not self.rows and not self._tally.doomed:
            self._add(_of_the_whole("the manifest has no rows", Severity.ERROR))
        self._add(*(_of_the_whole(warning, Severity.WARNING) for warning in self._manifest.warnings))

    def _records(self) -> Generator[Record]:
        """The rows that can be read; of the others what is told in the end."""
        try:
            yield from self._manifest.records()
        except ManifestError as error:
            for sentence in error.problems or (error.message,):
                self._add(_of_the_whole(sentence, Severity.ERROR, "a row or the manifest cannot be read"))

    async def _row(self, record: Record) -> None:
        checked = await self._check.check(record)
        self._add(*checked.problems)
        for path in checked.outside:
            if self._seen.file(path):
                self.outside.add(path)
        repeat = self._repeat(record, checked)
        if repeat is not None:
            self._add(repeat)
        if checked.ok and not (repeat and repeat.is_error):
            self.valid += 1
            if checked.cells is not None:
                self._count(checked.cells)

    def _repeat(self, record: Record, checked: Checked) -> Problem | None:
        """The problem with a row whose key or content came before."""
        if checked.cells is None:
            return None
        content = cells_digest(self._binding, checked.cells)
        earlier = self._seen.row(checked.key or content, content, record.where)
        if earlier is None:
            return None
        severity, fix = Severity.WARNING, None
        if checked.key is None or content == earlier.content:
            named = "" if checked.key is None else f", key {quoted(checked.key)} included"
            message = f"the same as {earlier.where}{named}: it is run, and billed, once more"
            cause, fix = "identical to an earlier row, and run once more", "take it out unless that is wanted"
        else:
            message = f"{earlier.where} has the key {quoted(checked.key)}, too, and asks for something else"
            cause, fix = "a key that comes twice", "give each row a key of its own"
            severity = Severity.ERROR
        return Problem(
            message=message,
            cause=cause,
            severity=severity,
            fix=fix,
            index=record.index,
            where=record.where,
            key=checked.key,
            parts=() if checked.key is None else (quoted(checked.key),),
        )

    def _count(self, cells: Mapping[str, Any]) -> None:
        """Count a row that is run, and the files that no row before it names."""
        files = [
            path for path in self._binding.files.of(cells, self._manifest.base) if self._seen.file(str(path))
        ]
        for path in files:
            with suppress(OSError):  # gone since it was looked at: the upload will tell
                self.bytes += path.stat().st_size
        self.jobs += 1
        self.files += len(files)
        self.requests += self._platform.estimated_requests(len(files))

    def _add(self, *problems: Problem) -> None:
        for problem in problems:
            self._tally.add(problem)


def _of_the_whole(message: str, severity: Severity, cause: str | None = None) -> Problem:
    return Problem(message=message, cause=cause or message, severity=severity)
