"""Checks one row against its workflow and the disk; looks files up, and reads none."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import Any, TypeAlias

from opus_async.cheap_dataclass import cheap_dataclass
from opus_async.errors import InvalidInputs, StoreUnavailable
from opus_async.input_problems import InputProblem, ProblemCode, Unfit, about
from opus_async.manifests import Record
from opus_async.manifests.advised import fix_of, what_of
from opus_async.manifests.binding import outside_files
from opus_async.manifests.binding.binding import Binding
from opus_async.manifests.binding.bound_column import BoundColumn
from opus_async.manifests.binding.cells import takes_shown
from opus_async.manifests.binding.file_cells import takes_files
from opus_async.manifests.binding.row_keys import given_key
from opus_async.manifests.binding.unreadable import NO_INPUT, refused_cells
from opus_async.manifests.displayed import Displayed
from opus_async.manifests.model import Unreadable
from opus_async.manifests.problem import Problem, Severity, option
from opus_async.manifests.readers.listing import has_magic
from opus_async.manifests.validation.file_hints import FileHints
from opus_async.models import InputField, JobRequest
from opus_async.platform import Platform
from opus_async.remote_urls import Place, RemoteFile, without_secrets
from opus_async.text import quoted

RecordCheck: TypeAlias = Callable[[Record], Problem | None]
"""Checks a record beyond its inputs; returns the problem, or None."""


@cheap_dataclass(kw_only=True)
class Checked:
    """The result of checking a row.

    Attributes:
        ok: Whether it can be run, as far as the row alone shows.
        cells: Its cells, expanded; None where that failed.
        key: The key that the row gives; None where it gives none.
        problems: What is wrong with it, but for problems that are those of its columns.
        outside: The files outside of the manifest's folder that it names and may not.
    """

    ok: bool
    cells: Mapping[str, Any] | None = None
    key: str | None = None
    problems: Sequence[Problem] = field(default_factory=list)
    outside: Sequence[str] = ()


@cheap_dataclass()
class _Row:
    """A row while it is checked: its cells, expanded where that was possible, and the variables it fills."""

    record: Record
    cells: Mapping[str, Any]
    key: str | None
    given: Collection[str]


class RowCheck:
    """Checks the rows of one manifest, one after the other.

    Args:
        binding: Makes requests of rows.
        platform: The platform that would run them, open.
        base: The folder that relative files start at.
        columns: Columns known before any row; empty where each row may have others.
        more: Further checks of a record, by whoever will run the rows.
    """

    def __init__(
        self,
        binding: Binding,
        platform: Platform[Any, Any],
        base: Place,
        *,
        columns: Sequence[str] = (),
        more: Sequence[RecordCheck] = (),
    ) -> None:
        self._binding = binding
        self._platform = platform
        self._base = base
        self._more = more
        self._hints = FileHints(base)
        table = binding.table(columns)
        self._columns = {bound.input.variable_name: bound.column for bound in table if bound.input}
        self._known_columns = frozenset(columns)
        """Their problems are reported once, and not again for every row."""
        self._unfilled = {target.variable_name for target in binding.unfilled(columns)} if columns else set()
        self._inputs = binding.workflow.inputs
        self._unreached: StoreUnavailable | None = None
        """The last error of a store that has never answered."""
        self._rows_unreached = 0

    async def check(self, record: Record) -> Checked:
        """Find everything that is wrong with a row by itself.

        Raises:
            OpusError: The platform cannot be asked. Inputs that do not fit are problems, and raise nothing.
        """
        refused = refused_cells(record, self._binding)
        if refused and any(found.column is None for found in refused):
            return Checked(ok=False, problems=[_unreadable(found, record) for found in refused])
        cells: Mapping[str, Any] | None = None
        key: str | None = None
        wrong: list[InputProblem] = []
        strays = self._binding.files.outside(record.cells, self._base)
        if not strays and self._binding.files.any_remote(record.cells, self._base):
            await self._binding.look_up_globs(record.cells, self._base)
        try:
            cells = None if strays else self._binding.expand_globs(record.cells, self._base)
        except InvalidInputs as error:
            wrong += error.problems
        try:
            key = given_key(self._binding, record.cells if cells is None else cells)
        except InvalidInputs as error:
            wrong += error.problems
        given: Collection[str] = ()
        if cells is not None and not (strays := self._binding.files.outside(cells, self._base)):
            try:  # nothing more is told of a file that may not be read
                request = self._binding.request(cells, index=record.index, key=key or "", base=self._base)
                given = request.inputs.keys()
                await self._platform.bind(request)
            except InvalidInputs as error:
                wrong += error.problems
            except StoreUnavailable as error:
                wrong.append(self._not_given_out(error, request))
        row = _Row(record, record.cells if cells is None else cells, key, given)
        more = [problem for check in self._more if (problem := check(record))]
        misspelt = self._near_misses(row)
        found: Sequence[Problem | None] = ()
        if refused or more or strays or wrong or misspelt:  # of most rows nothing
            found = [
                *(replace(_unreadable(cell, record), key=key) for cell in refused),
                *(replace(problem, key=key) for problem in more),
                *self._outside(row, strays),
                *(self._problem(problem, row) for problem in self._of_readable(wrong, refused, misspelt)),
                *(self._misspelt(bound, row) for bound in misspelt),
            ]
        elif self._binding.fills_no_input(record.cells):
            found = [self._fills_nothing(row)]
        told = [problem for problem in found if problem is not None] if found else ()
        return Checked(
            ok=not found,
            cells=None if refused else cells,
            key=key,
            problems=[*told, *self._patterns(row), *self._doubts(row)],
            outside=[path for _, path in strays],
        )

    def raise_if_all_unreached(self, rows: int) -> None:
        """Raise the error of a store that has never answered if all of so many rows met it: it is none's own.

        Raises:
            StoreUnavailable: Of the last of them.
        """
        if self._unreached is not None and self._rows_unreached == rows:
            raise self._unreached

    def _not_given_out(self, error: StoreUnavailable, request: JobRequest) -> InputProblem:
        """The problem with a document that its store does not give out.

        Raises:
            StoreUnavailable: The store gives none out.
        """
        if not error.may_be_of_document:
            raise error
        if not error.answered:
            self._unreached, self._rows_unreached = error, self._rows_unreached + 1
        return _of_one_document(error, request)

    def _of_readable(
        self, wrong: Sequence[InputProblem], refused: Sequence[Unreadable], misspelt: Sequence[BoundColumn]
    ) -> list[InputProblem]:
        """The problems but those that a cell is missing which cannot be read, or whose column is misspelt."""
        columns = {cell.column for cell in refused}
        targets = (self._binding.column(cell.column).input for cell in refused if cell.column)
        filled = {target.variable_name for target in targets if target}
        meant = {bound.suggested_input.variable_name for bound in misspelt if bound.suggested_input}
        return [
            problem
            for problem in wrong
            if problem.column not in columns
            and problem.input not in filled
            and (problem.code is not ProblemCode.MISSING or problem.input not in meant)
        ]

    def _patterns(self, row: _Row) -> list[Problem]:
        """Warn of cells that name one file by a pattern: a ``?`` may be a letter lost in another encoding."""
        return [
            Problem(
                message=f"{quoted(given.strip())} is taken as a pattern and means {quoted(path)}",
                cause=f"{target.display_name}: a pattern that means one file",
                severity=Severity.WARNING,
                fix="write the path itself, unless a pattern is meant",
                index=row.record.index,
                where=row.record.where,
                key=row.key,
                column=column,
                input=target.display_name,
                file=path,
                parts=(quoted(given.strip()), quoted(path)),
            )
            for column, path, target in self._binding.files.cells_of(row.cells)
            if target.takes_file
            and isinstance(given := row.record.cells.get(column), str)
            and path is not given
            and has_magic(given)
            and path != given.strip()
            and path != given
        ]

    def _doubts(self, row: _Row) -> list[Problem]:
        """Warn of cells that are sent as text and of which a person may see another text."""
        return [
            problem
            for column, value in row.record.cells.items()
            if isinstance(value, Displayed) and (problem := self._doubt(column, value, row))
        ]

    def _doubt(self, column: str, value: Displayed, row: _Row) -> Problem | None:
        target = self._binding.column(column).input
        if value.doubt is None or value.text is None or target is None or not takes_shown(value, target):
            return None
        doubt = Unfit(value.doubt, *value.parts)
        return Problem(
            message=f"column {quoted(column)} {doubt.message}",
            cause=f"column {quoted(column)} {doubt.group}",
            severity=Severity.WARNING,
            fix=value.fix,
            index=row.record.index,
            where=row.record.where,
            key=row.key,
            column=column,
            input=target.display_name,
            parts=value.parts,
        )

    def _near_misses(self, row: _Row) -> Sequence[BoundColumn]:
        """The misspelt columns of a row, where each row has columns of its own."""
        if self._known_columns or not row.given:
            return ()
        return list(self._binding.near_misses(row.cells, row.given))

    @staticmethod
    def _misspelt(bound: BoundColumn, row: _Row) -> Problem:
        named = bound.suggested_input
        return Problem(
            message=f"{bound.problem} in this row",
            cause=f"{bound.problem} in some rows",
            fix=bound.suggestion,
            index=row.record.index,
            where=row.record.where,
            key=row.key,
            column=bound.column,
            input=named.display_name if named else None,
        )

    def _fills_nothing(self, row: _Row) -> Problem | None:
        """The problem with a row that would be billed for nothing; None when it is one of the columns."""
        if self._known_columns and not self._columns:
            return None
        return Problem(
            message=what_of(NO_INPUT),
            cause=NO_INPUT,
            fix=fix_of(NO_INPUT),
            index=row.record.index,
            where=row.record.where,
            key=row.key,
        )

    def _outside(self, row: _Row, strays: Sequence[tuple[str, str]]) -> Iterator[Problem]:
        """The problems with files outside of the manifest's folder."""
        for column, path in strays:
            target = self._binding.column(column).input
            yield Problem(
                message=outside_files.sentence(path),
                cause=f"{target.display_name}: {outside_files.CAUSE}" if target else outside_files.CAUSE,
                fix=outside_files.WAY_OUT,
                index=row.record.index,
                where=row.record.where,
                key=row.key,
                column=column,
                input=target.display_name if target else None,
                file=path,
                parts=(quoted(path),),
            )

    def _problem(self, problem: InputProblem, row: _Row) -> Problem | None:
        """A problem of the inputs as one of the row; None when it is reported as one of the columns."""
        if problem.code is ProblemCode.UNUSABLE_COLUMN and problem.column in self._known_columns:
            return None
        target = self._inputs.get(problem.input) if problem.input else None
        column = problem.column if problem.column in row.cells else self._column_of(target, row)
        file, fix = None, problem.fix
        if target is not None and column is not None:
            if takes_files(target):
                file = self._file(row.cells[column], problem.position)
                fix = fix or (self._hints.hint(file) if file else None)
        elif target is not None and target.variable_name not in row.given:
            if target.variable_name in self._unfilled:
                return None
            fix = self._how_to_fill(target)
        elif target is not None and fix is None:  # no cell fills it, and yet it has a value
            fix = f"correct what --set gives {quoted(self._binding.spelled(target))}"
        name = target.display_name if target else column
        subject = problem.subject
        if target is not None and problem.column is None and self._has_own_name(target):
            subject = quoted(target.display_name)
        return Problem(
            message=about(subject, problem.message),
            cause=f"{name}: {problem.group}" if name else problem.group,
            fix=fix,
            index=row.record.index,
            where=row.record.where,
            key=row.key,
            column=column,
            input=target.display_name if target else None,
            file=file,
            parts=problem.parts,
        )

    def _has_own_name(self, target: InputField) -> bool:
        """Whether no other input has its display name."""
        return sum(target.display_name == known.display_name for known in self._inputs.values()) == 1

    def _column_of(self, target: InputField | None, row: _Row) -> str | None:
        """The column of this row that fills an input."""
        if target is None:
            return None
        return next((name for name in row.cells if self._binding.column(name).input is target), None)

    def _how_to_fill(self, target: InputField) -> str:
        constant = option("--set", target.display_name, "VALUE")
        column = self._columns.get(target.variable_name)
        return f"fill column {quoted(column)}, or {constant}" if column else constant

    @staticmethod
    def _file(value: Any, position: int | None) -> str | None:
        """The file at a position of a cell, as the row names it; the first by default."""
        part = value[position or 0] if isinstance(value, list) and value else value
        return without_secrets(part) if isinstance(part, str) else None


def _of_one_document(error: StoreUnavailable, request: JobRequest) -> InputProblem:
    """The problem with a document that its store does not give out."""
    names = (
        name
        for name, value in request.inputs.items()
        for part in (value if isinstance(value, list) else [value])
        if isinstance(part, RemoteFile) and str(part) == error.document
    )
    return InputProblem(
        error.message,
        code=ProblemCode.NO_FILE,
        input=next(names, None),
        file=error.document,
        group=error.group,
    )


def _unreadable(cell: Unreadable, record: Record) -> Problem:
    """The problem with a cell, or a whole row, that cannot be read."""
    return Problem(
        message=what_of(cell.problem),
        cause=cell.group or cell.problem,
        fix=fix_of(cell.problem),
        index=record.index,
        where=record.where,
        column=cell.column,
    )
