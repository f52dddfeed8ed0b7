"""A row of a manifest -> the request of a job: which cell fills which input, and what fills the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from opus_async.errors import InvalidInputs, ManifestError
from opus_async.gaps import literal
from opus_async.input_problems import InputProblem, ProblemCode, Unfit
from opus_async.manifests.binding import outside_files
from opus_async.manifests.binding.cells import parse_array, to_json_value
from opus_async.manifests.binding.columns import BoundColumn, Columns, absent
from opus_async.manifests.binding.constants import Constants
from opus_async.manifests.binding.file_cells import FileCells, takes_files
from opus_async.manifests.binding.outside_files import Fence
from opus_async.manifests.binding.templates import Template, is_column, single_line, to_text
from opus_async.manifests.problem import Problem, Severity
from opus_async.models import InputField, JobRequest, Workflow
from opus_async.text import quoted
from opus_async.transport.confined import Confined

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Binding:
    """Binds the rows of one manifest to one workflow.

    Args:
        workflow: What the rows are jobs of, in the version that is run.
        columns: ``--map``: column -> the name of an input, or of ``key``, ``title`` or ``description``; empty
            to leave the column out.
        constants: ``--set``: the name of an input -> its value in every row that has none of its own. Text
            means what it means in a cell, but that files start at the current folder.
        title: A template for rows without a title of their own; see
            :mod:`opus_async.manifests.binding.templates`.
        description: A template for rows without a description of their own.
        key: The column that names the rows; None for the reserved column ``key``, where there is one.
        timeout: Seconds for each job until its end is not waited for any longer.
        version_number: Pins the version of the workflow.
        version_id: Pins it by UUID, and wins over the number.
        folder: Whether the rows are the files of a folder or a pattern: their names are taken as they are.
        allow_outside: Whether cells may name files outside of the folder that they start at; a batch says
            what it was told.

    Attributes:
        workflow: As given.
        constants: As given, but as JSON can hold it and with the full paths of files: what to keep, to bind
            alike in another process.
        key_column: As given.

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
    ) -> None:
        self.workflow = workflow
        self.key_column = key
        self._mapping = dict(columns)
        self._timeout = timeout
        self._version_number = version_number
        self._version_id = version_id
        self._files = FileCells(literal=folder)
        self._allow_outside = allow_outside
        self._fences: dict[Path, Fence] = {}
        self._title = _template("--title", title)
        self._description = _template("--description", description)
        self._set = Constants(workflow, constants)
        self.constants: Mapping[str, Any] = self._set.kept
        self._columns = Columns(
            workflow, mapping=self._mapping, key=key, folder=folder, filled=frozenset(self._set.values)
        )

    def column(self, name: str) -> BoundColumn:
        """What a column is for, by its own name alone."""
        return self._columns.bound(name)

    def table(self, columns: Sequence[str], *, scattered: bool = False) -> list[BoundColumn]:
        """What each of these columns is for, and what is wrong with them side by side: to be shown.

        Args:
            columns: Their names.
            scattered: Whether each row has some of them, so that two may fill the same input.
        """
        return self._columns.table(columns, scattered=scattered)

    def unfilled(self, columns: Sequence[str]) -> list[InputField]:
        """The required inputs that neither these columns nor ``--set`` fill."""
        return self._columns.unfilled(self.table(columns))

    def problems(self, columns: Sequence[str], *, scattered: bool = False) -> Iterator[Problem]:
        """Everything that is wrong with a manifest of these columns, before any row is looked at."""
        for warning in self.workflow.warnings:
            yield Problem(
                message=str(warning),
                cause=str(warning),
                severity=Severity.WARNING,
                input=warning.display_name,
            )
        yield from self._columns.problems(columns, scattered=scattered)
        for flag, template in (("--title", self._title), ("--description", self._description)):
            for name in template.columns if template else ():
                if not is_column(name, columns):
                    yield absent(flag, name, columns)

    def check(self, columns: Sequence[str]) -> None:
        """Stop at columns that cannot be run as they are.

        Raises:
            ManifestError: With each problem and its fix.
        """
        wrong = [problem.sentence for problem in self.problems(columns) if problem.is_error]
        if wrong:
            raise ManifestError("The manifest does not fit the workflow; nothing was sent:", wrong)

    def expand(self, cells: Mapping[str, Any], base: Path) -> dict[str, Any]:
        """The row as it is planned: its patterns replaced by what they match now, and all of it fit for JSON.

        Args:
            cells: Column -> value.
            base: The folder that relative files start at.

        Returns:
            The same columns, but for values that JSON cannot hold in columns without use. Lists of files are
            lists; all else that :meth:`request` reads from text is still text.

        Raises:
            InvalidInputs: A pattern matches no file, or more than the one that the input takes; JSON cannot
                hold a value.
        """
        expanded: dict[str, Any] = {}
        problems: list[InputProblem] = []
        for name, value in cells.items():
            bound = self.column(name)
            try:
                if bound.input is not None and takes_files(bound.input):
                    expanded[name] = self._files.expand(bound.input, value, base)
                else:
                    expanded[name] = to_json_value(value, bound.input)
            except ValueError as error:
                if bound.slot is not None or bound.is_key:
                    problems.append(_problem(bound, Unfit.of(error)))
        if problems:
            raise InvalidInputs(problems)
        return expanded

    def kept(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        """A row that cannot be expanded, as JSON can hold it: patterns as they are, all else as text."""
        kept: dict[str, Any] = {}
        for name, value in cells.items():
            try:
                kept[name] = to_json_value(value, self.column(name).input)
            except ValueError:
                kept[name] = str(value)
        return kept

    def request(
        self, cells: Mapping[str, Any], *, index: int, key: str, base: Path, to_send: bool = False
    ) -> JobRequest:
        """The request of one row. Nothing is looked up on the disk.

        Args:
            cells: Column -> value, expanded or not.
            index: The row's place in the manifest, from 0.
            key: What names it.
            base: The folder that relative files start at.
            to_send: Whether its files are about to be sent: then, when they are taken up, it is looked once
                more that they lie in the folder.

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
            elif bound.input.variable_name in inputs:
                again = f"fills {literal(quoted(bound.input.display_name))} again"
                problems.append(_problem(bound, Unfit(again, code=ProblemCode.GIVEN_TWICE)))
            else:
                try:
                    given = self._given(bound.input, value, base)
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

    def files(self, cells: Mapping[str, Any], base: Path) -> list[Path]:
        """The local files of an expanded row, in the order of its columns, then those of ``--set``."""
        found: list[Path] = []
        filled: set[str] = set()
        for name, value in cells.items():
            field = self.column(name).input
            if field is not None:
                filled.add(field.variable_name)
                found += [part for part in self.file_parts(name, value, base) or () if isinstance(part, Path)]
        for variable, files in self._set.files.items():
            if variable not in filled:
                found += files
        return found

    def file_parts(self, column: str, value: Any, base: Path) -> list[Any] | None:
        """What one cell of an expanded row names: paths of local files, and all else as it is.

        Returns:
            None for a column that fills no input of files.
        """
        field = self.column(column).input
        if field is None or not takes_files(field):
            return None
        given = self._files.given(field, value, base)
        return given if isinstance(given, list) else [given]

    def refuse_outside(self, cells: Mapping[str, Any], base: Path) -> None:
        """Raise InvalidInputs where a row names files that :meth:`outside` finds."""
        if strays := self.outside(cells, base):
            raise InvalidInputs([outside_files.problem(column, path) for column, path in strays])

    def outside(self, cells: Mapping[str, Any], base: Path) -> list[tuple[str, str]]:
        """The files that a row names outside of a folder, where that is not allowed.

        Files of ``--set`` are none of them: a person named each.

        Args:
            cells: Column -> value. Not expanded, patterns are found that begin outside, before they are
                followed; expanded, all the rest.
            base: The folder.

        Returns:
            Column and path, as the row names it.
        """
        if self._allow_outside:
            return []
        fence = self._fences.get(base)
        if fence is None:
            fence = self._fences[base] = Fence(base)
        found = []
        for name, value in cells.items():
            field = self.column(name).input
            if field is not None and takes_files(field):
                named = self._files.named(field, value)
                parts = self.file_parts(name, value, base) or ()
                found += [(name, str(named[place])) for place in fence.strays(parts)]
        return found

    def key_cell(self, cells: Mapping[str, Any]) -> Any:
        """What names the row in the manifest; None when nothing does."""
        return next((value for name, value in cells.items() if self.column(name).is_key), None)

    def content(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        """The cells that say what the job is to do: those that fill an input, and are not its key alone.

        What no input takes, titles and remarks, does not count: to add a column of remarks makes no new rows.
        """
        return {name: value for name, value in cells.items() if self.column(name).input is not None}

    def content_name(self, column: str) -> str:
        """What names the input of a column in a digest: renaming the column changes nothing."""
        target = self.column(column).input
        if target is None:
            return column
        alike = sum(other.display_name == target.display_name for other in self.workflow.inputs.values())
        return target.display_name if alike == 1 else target.variable_name

    def _given(self, field: InputField, value: Any, base: Path) -> Any:
        if takes_files(field):
            return self._files.given(field, value, base)
        return parse_array(value, field) if field.type == "array" else value


def _problem(bound: BoundColumn, unfit: Unfit) -> InputProblem:
    """The problem with what stands in a column."""
    field = bound.input
    return unfit.problem(
        subject=f"column {quoted(bound.column)}",
        input=field.variable_name if field else None,
        display_name=field.display_name if field else None,
        column=bound.column,
    )


def _confined(given: Any, base: Path) -> Any:
    """Paths that are looked at once more when their files are taken up."""
    if isinstance(given, list):
        return [_confined(part, base) for part in given]
    return Confined(str(given), str(base)) if isinstance(given, Path) else given


def _template(flag: str, text: str | None) -> Template | None:
    try:
        return Template(text) if text else None
    except ValueError as error:
        raise ManifestError(f"{flag}: the template {quoted(text)} {error}") from None


def _filled(template: Template | None, cells: Mapping[str, Any], key: str, index: int) -> str | None:
    return (template.fill(cells, key=key, index=index) or None) if template else None
