"""Makes the request of a job from a row of a manifest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from opus_async.errors import InvalidInputs, ManifestError
from opus_async.gaps import literal
from opus_async.input_problems import InputProblem, ProblemCode, Unfit
from opus_async.manifests.binding.bound_column import BoundColumn
from opus_async.manifests.binding.cells import parse_array, to_json_value
from opus_async.manifests.binding.column_table import ColumnTable, missing_column
from opus_async.manifests.binding.columns import Columns
from opus_async.manifests.binding.constants import Constants
from opus_async.manifests.binding.file_cells import FileCells
from opus_async.manifests.binding.habits import Habits
from opus_async.manifests.binding.row_files import RowFiles
from opus_async.manifests.binding.templates import Template, is_column, single_line, to_text
from opus_async.manifests.blanks import carries_nothing
from opus_async.manifests.problem import Problem, Severity
from opus_async.models import InputField, JobRequest, Workflow
from opus_async.remote_urls import Place, is_web_url
from opus_async.text import quoted
from opus_async.transport.confined import Confined

_NOT_READ = Unfit("could not be read when the batch was planned", fix="fill the cell in")
_JSON = Habits()
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Binding:
    """Binds the rows of one manifest to one workflow.

    Args:
        workflow: The workflow that runs the rows, in the version that is run.
        columns: ``--map``: column -> the name of an input, or of ``key``, ``title`` or ``description``; empty
            to leave the column out.
        constants: ``--set``: the name of an input -> its value in every row that has none of its own. Text
            means what it means in a cell, but that files start at the current folder.
        title: A template for rows without a title of their own; see
            :mod:`opus_async.manifests.binding.templates`.
        description: A template for rows without a description of their own.
        key: The column that names the rows; None for the reserved column ``key``, where there is one.
        timeout: Seconds to wait for the end of each job; None for no limit.
        version_number: Pins the version of the workflow by number.
        version_id: Pins it by UUID, and wins over the number.
        folder: Whether the rows are the files of a folder or a pattern: their names are taken as they are.
        allow_outside: Whether cells may name files outside of the folder that they start at.
        allow_queries: Whether cells and ``--set`` may name documents by http(s) URLs with a query.
        constants_in_digest: Whether the digest of a row covers its constants; not so for a batch of an
            earlier release, whose ledger has digests without them.
        habits: How numbers, dates and truth values are written in cells and in ``--set``.
        is_platform_file: Whether an http(s) URL in a cell of files is a file that the platform has. Can be
            pickled.

    Attributes:
        workflow: The workflow.
        key_column: The column that ``key`` named.
        constants: The constants as JSON can hold them, with full paths of files, so that they can be stored
            and used for a binding in another process.
        column: Tells what a column is for, by its own name, whatever other columns there are.
        files: The files and documents that rows name.
        constants_in_digest: As given.
        habits: As given.

    Raises:
        ManifestError: An option names an input that is not there, or a template cannot be read.
    """

    def __init__(
        self,
        workflow: Workflow,
        *,
        columns: Mapping[str, str] = _NOTHING,
        constants: Mapping[str, Any] = _NOTHING,
        title: str | None = None,
        description: str | None = None,
        key: str | None = None,
        timeout: float | None = None,
        version_number: int | None = None,
        version_id: str | None = None,
        folder: bool = False,
        allow_outside: bool = True,
        allow_queries: bool = True,
        constants_in_digest: bool = True,
        habits: Habits = _JSON,
        is_platform_file: Callable[[str], bool] = is_web_url,
    ) -> None:
        self.workflow = workflow
        self.key_column = key
        self.constants_in_digest = constants_in_digest
        self._timeout = timeout
        self._version_number = version_number
        self._version_id = version_id
        self._allow_outside = allow_outside
        self._title = _template("--title", title)
        self._description = _template("--description", description)
        self.habits = habits
        new_cells = partial(FileCells, is_platform_file=is_platform_file, allow_queries=allow_queries)
        self._set = Constants(workflow, constants, habits, new_cells())
        self.constants: Mapping[str, Any] = self._set.stored
        filled = frozenset(self._set.values)
        self._columns = Columns(workflow, mapping=columns, key=key, folder=folder, filled=filled)
        self._table = ColumnTable(self._columns, workflow, mapping=columns, key=key, filled=filled)
        self._file_cells = new_cells(literal=folder)
        self.column: Callable[[str], BoundColumn] = self._columns.bound
        names = Counter(field.display_name for field in workflow.inputs.values())
        self._content_names = {
            variable: variable if names[field.display_name] > 1 else field.display_name
            for variable, field in workflow.inputs.items()
        }
        self.files = RowFiles(
            self._columns, self._file_cells, constants=self._set.files, allow_outside=allow_outside
        )

    def spelled(self, field: InputField) -> str:
        """The name to type for an input: its display name, unless several inputs have it."""
        return self._columns.spelled(field)

    def content_name(self, field: InputField) -> str:
        """What names an input in a digest: its display name, unless several inputs have it."""
        return self._content_names[field.variable_name]

    def uses_column(self, name: str) -> bool:
        """Whether the cells of a column fill an input, a title, a key, or a place in a template."""
        bound = self.column(name)
        named = (template.columns for template in (self._title, self._description) if template)
        return bound.target is not None or bound.is_key or any(is_column(name, one) for one in named)

    def fills_no_input(self, cells: Mapping[str, Any]) -> bool:
        """Whether a row fills none of the inputs that there are; ``--set`` does not count."""
        for name, value in cells.items():  # the first cell of most rows tells
            if self.column(name).input is not None and not carries_nothing(value):
                return False
        return bool(self.workflow.inputs)

    def table(self, columns: Sequence[str], *, per_row_columns: bool = False) -> list[BoundColumn]:
        """What each of these columns is for, and what is wrong with them side by side.

        Args:
            columns: Their names.
            per_row_columns: Whether each row may have other columns, so that two may fill the same input.
        """
        return self._table.lines(columns, per_row_columns=per_row_columns)

    def unfilled(self, columns: Sequence[str]) -> list[InputField]:
        """The required inputs that neither these columns nor ``--set`` fill."""
        return self._table.unfilled(self.table(columns))

    def problems(self, columns: Sequence[str], *, per_row_columns: bool = False) -> Iterator[Problem]:
        """What is wrong with a manifest of these columns in every row; arguments as in :meth:`table`."""
        for warning in self.workflow.warnings:
            yield Problem(
                message=str(warning),
                cause=str(warning),
                severity=Severity.WARNING,
                input=warning.display_name,
            )
        yield from self._table.problems(columns, per_row_columns=per_row_columns)
        for flag, template in (("--title", self._title), ("--description", self._description)):
            for name in template.columns if template else ():
                if not is_column(name, columns):
                    yield missing_column(flag, name, columns)

    def near_misses(self, cells: Mapping[str, Any], filled: Collection[str]) -> Iterator[BoundColumn]:
        """Columns of a row that are spelled almost like an input which it does not fill, with the problem."""
        known = frozenset(filled)
        for name in cells:
            if near := self._table.near_miss(name, known):
                yield near

    def constant_cells(self, cells: Mapping[str, Any]) -> Iterator[tuple[InputField, Any]]:
        """The inputs that ``--set`` fills in a row, each with what a cell would hold that fills it alike."""
        if not self._set.cells:
            return
        filled = {field.variable_name for name in cells if (field := self.column(name).input)}
        for variable, cell in self._set.cells.items():
            if variable not in filled:
                yield self.workflow.inputs[variable], cell

    def check(self, columns: Sequence[str]) -> None:
        """Refuse columns with which no row can be run.

        Raises:
            ManifestError: With each problem and its fix.
        """
        wrong = [problem.sentence for problem in self.problems(columns) if problem.is_error]
        if wrong:
            raise ManifestError("The manifest does not fit the workflow; nothing was sent:", wrong)

    async def look_up_globs(self, cells: Mapping[str, Any], base: Place) -> None:
        """Look up the patterns of documents elsewhere in a row, so that expanding it does not block."""
        if patterns := self.files.remote_patterns(cells, base):
            await self._file_cells.remote_globs.look_up(patterns)

    def expand_globs(self, cells: Mapping[str, Any], base: Place) -> dict[str, Any]:
        """A row as it is stored when a batch is planned: patterns replaced by the files that they match now.

        Args:
            cells: Column -> value.
            base: The folder that relative files start at.

        Returns:
            Column -> value as JSON can hold it. Values that it cannot hold are left out where the column is
            not used. Lists of files are lists, and what habits tell how to read is read; all else that
            :meth:`request` reads from text is still text.

        Raises:
            InvalidInputs: A pattern matches no file, or more than the one that the input takes; JSON cannot
                hold a value.
        """
        expanded: dict[str, Any] = {}
        problems: list[InputProblem] = []
        for name, value in cells.items():
            bound = self.column(name)
            try:
                if bound.file_input is not None:
                    expanded[name] = self._file_cells.expand(bound.file_input, value, base)
                else:
                    read = self.habits.read(value, bound.input)
                    expanded[name] = to_json_value(read, bound.input)
            except ValueError as error:
                if bound.target is not None or bound.is_key:
                    problems.append(_problem(bound, Unfit.of(error)))
        if problems:
            raise InvalidInputs(problems)
        return expanded

    def as_stored(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        """A row that cannot be expanded, as JSON can hold it.

        Values are read as those of other rows are, and patterns stay. A value of a used column that cannot be
        read is None: as text it would be read otherwise when the row is tried again.
        """
        kept: dict[str, Any] = {}
        for name, value in cells.items():
            bound = self.column(name)
            try:
                if bound.file_input is not None:
                    read = self._file_cells.as_kept(value)
                else:
                    read = self.habits.read(value, bound.input)
                kept[name] = to_json_value(read, bound.input)
            except ValueError:
                kept[name] = None if bound.target is not None or bound.is_key else str(value)
        return kept

    def request(
        self, cells: Mapping[str, Any], *, index: int, key: str, base: Place, to_send: bool = False
    ) -> JobRequest:
        """The request of one row. Nothing is looked up on the disk.

        Args:
            cells: Column -> value, expanded or not.
            index: The row's place in the manifest, from 0.
            key: The row's key.
            base: The folder that relative files start at.
            to_send: Whether its files are about to be sent: then it is checked once more, when each is
                opened, that it lies in the folder.

        Raises:
            InvalidInputs: A column cannot be used, two fill one input, or a list has items of another type
                than the input's.
        """
        inputs: dict[str, Any] = {}
        texts: dict[str, str] = {}
        problems: list[InputProblem] = []
        for name, value in cells.items():
            bound = self.column(name)
            if bound.problem:
                problems.append(
                    InputProblem(bound.problem, code=ProblemCode.UNUSABLE_COLUMN, column=bound.column)
                )
            elif bound.input is None:
                if bound.reserved:
                    texts[bound.reserved] = single_line(to_text(value))
            elif value is None:
                problems.append(_problem(bound, _NOT_READ))
            elif bound.input.variable_name in inputs:
                again = f"fills {literal(quoted(bound.input.display_name))} again"
                problems.append(_problem(bound, Unfit(again, code=ProblemCode.GIVEN_TWICE)))
            else:
                try:
                    given = self._given(bound, value, base)
                    confined = to_send and not self._allow_outside
                    inputs[bound.input.variable_name] = _confined(given, base) if confined else given
                except ValueError as error:
                    problems.append(_problem(bound, Unfit.of(error)))
        if problems:
            raise InvalidInputs(problems)
        return JobRequest(
            inputs={**self._set.values, **inputs},
            title=texts.get("title") or _filled(self._title, cells, key, index),
            description=texts.get("description") or _filled(self._description, cells, key, index),
            key=key,
            timeout=self._timeout,
            version_id=self._version_id,
            version_number=self._version_number,
        )

    def _given(self, bound: BoundColumn, value: Any, base: Place) -> Any:
        if bound.file_input is not None:
            return self._file_cells.given(bound.file_input, value, base)
        field = bound.input
        return parse_array(value, field) if field is not None and field.type == "array" else value


def _problem(bound: BoundColumn, unfit: Unfit) -> InputProblem:
    """The problem with the value of a column."""
    field = bound.input
    return unfit.problem(
        subject=f"column {quoted(bound.column)}",
        input=field.variable_name if field else None,
        display_name=field.display_name if field else None,
        column=bound.column,
    )


def _confined(given: Any, base: Place) -> Any:
    """Paths that are checked once more when their files are opened: they have to lie in the folder."""
    if isinstance(given, list):
        return [_confined(part, base) for part in given]
    return Confined(str(given), str(base)) if isinstance(given, Path) else given


def _template(flag: str, text: str | None) -> Template | None:
    try:
        return Template(text) if text else None
    except ValueError as error:
        raise ManifestError(f"{flag}: the template {quoted(text)} {error}") from None


def _filled(template: Template | None, cells: Mapping[str, Any], key: str, index: int) -> str | None:
    return (template.render(cells, key=key, index=index) or None) if template else None
