"""Checks every row of a manifest against the live workflow and the disk before a cent is spent.

Rows are streamed, files are looked at and not read, and memory does not follow the number of rows.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from itertools import islice
from typing import Any, TypeAlias

from opus_async.arguments import FUNCTION, PRICE, Kind, checked, instance, number
from opus_async.errors import ConfigurationError, ManifestError, OpusError
from opus_async.input_problems import Unfit
from opus_async.manifests import Manifest, Record
from opus_async.manifests.binding.binding import Binding
from opus_async.manifests.binding.outside_files import Outside
from opus_async.manifests.binding.row_keys import cells_digest
from opus_async.manifests.model import FOLDERS
from opus_async.manifests.problem import Problem, Severity
from opus_async.manifests.validation.duplicates import DuplicateIndex, repeat_problem
from opus_async.manifests.validation.estimate import ORDINARY, ThroughputAssumptions, estimate
from opus_async.manifests.validation.habit_hints import HabitHints
from opus_async.manifests.validation.key_proposal import KeyProposal
from opus_async.manifests.validation.problem_counts import ProblemCounts
from opus_async.manifests.validation.remote_rows import looked_up
from opus_async.manifests.validation.result import Validation
from opus_async.manifests.validation.row_check import Checked, RecordCheck, RowCheck
from opus_async.platform import Platform
from opus_async.remote.facts import RemoteFacts, facts_of, remembered
from opus_async.remote_urls import RemoteFile, kept_name
from opus_async.text import quoted

KEPT = 1000
"""Errors, and as many warnings, that are kept; of more, only how many have the same cause."""
OnRow: TypeAlias = Callable[[Record, Checked | None, bytes], Awaitable[None]]
"""Told of a row, of what its check has found (None for a row that cannot be run), and of what
:func:`~opus_async.manifests.binding.row_keys.cells_digest` says of its cells."""
_TURN = 0.02
"""Seconds of checking after which other tasks of the event loop get a turn."""
_TOGETHER = 16
"""Rows that are read together, and then checked: the processor keeps the code of each part in its caches."""


@checked(
    ConfigurationError,
    manifest=Kind(
        "a manifest, as open_manifest gives it", lambda value: callable(getattr(value, "records", None))
    ),
    binding=instance(Binding),
    on_problem=FUNCTION,
    on_progress=FUNCTION,
    on_row=FUNCTION,
    limit=number("a whole number, 0 or more", lambda value: value >= 0, whole=True),
    pace=instance(ThroughputAssumptions),
    price=PRICE,
)
async def validate(
    manifest: Manifest,
    binding: Binding,
    platform: Platform[Any, Any],
    *,
    checks: Sequence[RecordCheck] = (),
    on_problem: Callable[[Problem], object] | None = None,
    on_progress: Callable[[int], object] | None = None,
    on_row: OnRow | None = None,
    limit: int = KEPT,
    pace: ThroughputAssumptions = ORDINARY,
    price: float | None = None,
) -> Validation:
    """Check every row; nothing is sent but the question for the workflow, if that is not known yet.

    Args:
        manifest: The manifest, open.
        binding: Makes requests of its rows.
        platform: The platform that would run them, open.
        checks: Further checks of each record, by whoever will run the rows.
        on_problem: Called with every problem, kept or not, as it is found.
        on_progress: Called now and then, and at the end, with how many rows were checked.
        on_row: Awaited for every row, in their order.
        limit: How many errors, and as many warnings, are kept.
        pace: What the estimate of the time rests on.
        price: Of one job, for the estimate; None where nobody told.

    Returns:
        What was found. A manifest that cannot be read to its end is a problem too, and raises nothing.

    Raises:
        ConfigurationError: An argument is of the wrong kind.
        OpusError: The platform cannot be asked, or there is no room for temporary files.
    """
    problems = ProblemCounts(on_problem, limit)
    work = _Pass(manifest, binding, platform, problems, checks, on_row=on_row)
    try:
        with remembered():
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
        errors=problems.kept[Severity.ERROR],
        warnings=problems.kept[Severity.WARNING],
        error_count=problems.counts[Severity.ERROR],
        warning_count=problems.counts[Severity.WARNING],
        causes=problems.causes(),
        columns=binding.table(work.columns, per_row_columns=manifest.columns is None),
        estimate=estimate(
            jobs=work.jobs,
            files=work.files,
            size=work.bytes,
            requests=work.requests,
            pace=pace,
            price=price,
        ),
        doomed=problems.doomed,
        outside=work.outside,
        proposed_key=work.proposed_key,
    )


class _Pass:
    """One pass over the rows of a manifest.

    Attributes:
        columns: The columns met so far, in the order in which they came.
        rows: Rows so far.
        valid: Of these, rows that can be run.
        jobs: Of these, rows whose cells could be expanded: they are in the estimate.
        files: Files to upload, each path once.
        bytes: The size of these files.
        requests: Requests that the jobs take at least.
        outside: Files outside of the manifest's folder that rows name and may not.
        proposed_key: A column that could name the rows, where nothing does so far; None for none.
    """

    def __init__(
        self,
        manifest: Manifest,
        binding: Binding,
        platform: Platform[Any, Any],
        problems: ProblemCounts,
        checks: Sequence[RecordCheck],
        *,
        on_row: OnRow | None,
    ) -> None:
        self.columns: Sequence[str] = manifest.columns or ()
        self.rows = self.valid = self.jobs = self.files = self.bytes = self.requests = 0
        self.outside = Outside()
        self.proposed_key: str | None = None
        self._manifest = manifest
        self._binding = binding
        self._platform = platform
        self._problems = problems
        self._on_row = on_row
        self._check = RowCheck(binding, platform, manifest.base, columns=self.columns, more=checks)
        self._hints = HabitHints(binding)
        self._seen = DuplicateIndex()
        named = manifest.kind in FOLDERS or any(binding.column(name).is_key for name in self.columns)
        self._keys = None if named else KeyProposal(self._seen)
        self._uncertain = 0
        """Documents of which not every change shows."""
        self._first_uncertain = ""
        self._fills_input = False
        """Whether a row fills an input, or might if it could be read."""
        self._found: dict[str, None] = {}
        """The columns met so far, where the manifest does not name them."""

    def close(self) -> None:
        """Delete the temporary file."""
        self._seen.close()

    async def run(self, on_progress: Callable[[int], object]) -> None:
        """Check the columns, each row, and then what only the whole tells."""
        if self.columns:
            self._add(*self._binding.problems(self.columns))
        turn = time.monotonic()
        on_progress(0)
        with closing(self._noted()) as records:
            async for record in looked_up(records, self._binding, self._manifest.base):
                self.rows += 1
                await self._row(record)
                if time.monotonic() - turn > _TURN:
                    on_progress(self.rows)
                    await asyncio.sleep(0)
                    turn = time.monotonic()
        on_progress(self.rows)
        self._check.raise_if_all_unreached(self.rows)
        self.proposed_key = None if self._keys is None else self._keys.column
        if self.rows and not self.columns:
            self.columns = tuple(self._found)
            self._add(*self._binding.problems(self.columns, per_row_columns=True))
        if self.rows and not self._fills_input and self._binding.workflow.inputs:
            self._add(self._fills_nothing())
        if not self.rows and not self._problems.doomed:
            self._add(_of_the_whole("the manifest has no rows", Severity.ERROR))
        if self._uncertain:
            self._add(self._uncertain_documents())
        self._add(*self._hints.problems(), *self._hints.doubts())
        self._add(*(_of_the_whole(warning, Severity.WARNING) for warning in self._manifest.warnings))

    def _fills_nothing(self) -> Problem:
        """The problem with a manifest of which no row fills any input: all jobs would be the same."""
        inputs = ", ".join(quoted(field.display_name) for field in self._binding.workflow.inputs.values())
        message = f"no row fills any input of the workflow, which takes {inputs}"
        return Problem(
            message=message,
            cause=message,
            fix="name the columns after the inputs in the first line, which is no title and no row of data, "
            "or say with --map COLUMN=INPUT what a column fills; in JSON the inputs stand at the top of each "
            "object, not in one inside of it",
        )

    def _noted(self) -> Generator[Record]:
        """The rows, looked at for what only the whole tells."""
        for some in self._read():
            for record in some:
                self._note(record)
            yield from some

    def _note(self, record: Record) -> None:
        if not self._fills_input:  # one row is enough to tell
            readable = not record.unreadable
            self._fills_input = not (readable and self._binding.fills_no_input(record.cells))
        if not self.columns:
            self._found.update(dict.fromkeys(record.columns))
        self._hints.note(record.cells)
        self._note_keys(record.cells)

    def _read(self) -> Generator[Sequence[Record]]:
        """The rows; where the manifest cannot be read to its end, that becomes a problem of the whole."""
        try:
            yield from _read_together(self._manifest.records())
        except ManifestError as error:
            for sentence in error.problems or (error.message,):
                self._add(_of_the_whole(sentence, Severity.ERROR, "the manifest cannot be read"))

    def _note_keys(self, cells: Mapping[str, Any]) -> None:
        """Look for a column that could name the rows, as long as none does."""
        if self._keys is None:
            return
        if self._manifest.columns is None and any(self._binding.column(name).is_key for name in cells):
            self._keys = None
        else:
            self._keys.add(cells)

    async def _row(self, record: Record) -> None:
        checked = await self._check.check(record)
        self._add(*checked.problems)
        for path in checked.outside:
            if self._seen.file(path):
                self.outside.add(path)
        content = b"" if checked.cells is None else cells_digest(self._binding, checked.cells)
        repeat = self._repeat(record, checked, content)
        if repeat is not None:
            self._add(repeat)
        valid = checked.ok and not (repeat and repeat.is_error)
        if self._on_row is not None:
            await self._on_row(record, checked if valid else None, content)
        if valid:
            self.valid += 1
            if checked.cells is not None:
                files = await self._new_files(checked.cells) if self._binding.files.any_named else 0
                self.jobs += 1
                self.files += files
                self.requests += self._platform.estimated_requests(files)

    def _repeat(self, record: Record, checked: Checked, content: bytes) -> Problem | None:
        """The problem with a row whose key or content came before."""
        if checked.cells is None:
            return None
        earlier = self._seen.row(checked.key or content, content, record.where)
        return None if earlier is None else repeat_problem(record, checked.key, content, earlier)

    async def _new_files(self, cells: Mapping[str, Any]) -> int:
        """How many files a row names that no row before it does; their bytes are counted."""
        files = [
            path
            for path in self._binding.files.of_row(cells, self._manifest.base)
            if self._seen.file(kept_name(path))
        ]
        for path in files:
            with suppress(OSError, Unfit):  # gone since it was looked at: the upload will tell
                if isinstance(path, RemoteFile):
                    facts = await facts_of(path)
                    self.bytes += facts.size
                    self._note_uncertain(path, facts)
                else:
                    self.bytes += path.stat().st_size
        return len(files)

    def _note_uncertain(self, file: RemoteFile, facts: RemoteFacts) -> None:
        if not facts.is_certain:
            self._uncertain += 1
            self._first_uncertain = self._first_uncertain or str(file)

    def _uncertain_documents(self) -> Problem:
        """The warning about documents of which a change may not be seen, once for all of them."""
        others = f" and {self._uncertain - 1:,} more" if self._uncertain > 1 else ""
        message = (
            f"{quoted(self._first_uncertain)}{others}: the server tells no version (a strong ETag), at most "
            "a time of whole seconds. Where one is replaced by another of the same size, that may not be "
            "noticed before it is sent. Each is read twice, so that what is sent is of one piece"
        )
        return _of_the_whole(message, Severity.WARNING, "a document whose changes may not be noticed")

    def _add(self, *problems: Problem) -> None:
        for problem in problems:
            self._problems.add(problem)


def _read_together(records: Iterator[Record]) -> Generator[Sequence[Record]]:
    """The rows, some at a time; an error comes behind the rows before it."""
    while True:
        some: list[Record] = []
        try:
            some.extend(islice(records, _TOGETHER))
        finally:
            yield some
        if not some:
            return


def _of_the_whole(message: str, severity: Severity, cause: str | None = None) -> Problem:
    """A problem of no single row."""
    return Problem(message=message, cause=cause or message, severity=severity)
