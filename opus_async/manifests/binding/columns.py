"""Binds each column of a manifest to an input of the workflow, by the column's own name.

A column binds in this order: ``--map``, exact variable name, exact display name, the exact lower-case words
``key``, ``title`` and ``description``, display name in any case.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from opus_async.errors import ManifestError
from opus_async.input_names import InputNames, on_one_line
from opus_async.manifests import FILE_COLUMN
from opus_async.manifests.binding.bound_column import BoundBy, BoundColumn
from opus_async.manifests.binding.file_cells import takes_files
from opus_async.manifests.problem import option
from opus_async.models import InputField, Workflow
from opus_async.text import quoted

RESERVED = ("key", "title", "description")
_MOST_COLUMNS = 10_000
"""Different columns over all rows: each is remembered."""


class Columns:
    """Binds the columns of one manifest to the inputs of one workflow, each by its own name alone.

    Args:
        workflow: The workflow.
        mapping: ``--map``: column -> the name of an input or a reserved word; empty to leave the column out.
        key: The column that ``--key`` names; None for the reserved one.
        folder: Whether the rows are the files of a folder or a pattern.
        filled: The variables that ``--set`` fills.

    Attributes:
        any_takes_files: Whether an input of the workflow takes files.
        bound: Tells what a column is for, by its own name alone; asked some 50 times for each row.

    Raises:
        ManifestError: ``--map`` names inputs that are not there, or that could be several.
    """

    def __init__(
        self,
        workflow: Workflow,
        *,
        mapping: Mapping[str, str],
        key: str | None,
        folder: bool,
        filled: Collection[str],
    ) -> None:
        self._inputs = workflow.inputs
        self.any_takes_files = any(map(takes_files, workflow.inputs.values()))
        self._names = InputNames(workflow.inputs)
        self._mapping = {on_one_line(column): target for column, target in mapping.items()}
        self._key = None if key is None else on_one_line(key)
        self._folder = folder
        self._filled = filled
        self._bound = _Known(self._bind)
        self.bound: Callable[[str], BoundColumn] = self._bound.__getitem__
        wrong = [f"--map: {bound.problem}" for bound in map(self.bound, mapping) if bound.problem]
        if wrong:
            raise ManifestError("The columns cannot be mapped; nothing was sent:", wrong)

    def _bind(self, column: str) -> BoundColumn:
        return self._with_key(self._by_target(column))

    def _by_target(self, column: str) -> BoundColumn:
        target = self._mapping.get(on_one_line(column))
        if target is None:
            bound = self._by_name(column, column)
            is_file = (
                self._folder and column == FILE_COLUMN and not (bound.input and takes_files(bound.input))
            )
            return self._only_file(column) if is_file else bound
        if not target:
            return BoundColumn(column=column, bound_by=BoundBy.MAP, ignored=True)
        bound = replace(self._by_name(column, target), bound_by=BoundBy.MAP)
        if bound.target is None and bound.problem is None:
            close = self._names.closest(target)
            hint = f"did you mean {quoted(close)}?" if close else _listed(self._inputs.values())
            return replace(bound, problem=f"there is no input {quoted(target)}; {hint}")
        return bound

    def _by_name(self, column: str, name: str) -> BoundColumn:
        fields = self._names.exactly(name)
        bound_by = BoundBy.VARIABLE_NAME if name in self._inputs else BoundBy.DISPLAY_NAME
        if not fields and name in RESERVED:
            return BoundColumn(column=column, bound_by=BoundBy.RESERVED_WORD, reserved=name)
        if not fields:
            fields = self._names.matches(name)
            bound_by = BoundBy.DISPLAY_NAME_IN_ANOTHER_CASE
        if not fields:
            return BoundColumn(column=column, bound_by=BoundBy.NOTHING)
        if len(fields) > 1:
            return BoundColumn(
                column=column,
                bound_by=BoundBy.NOTHING,
                problem=f"{quoted(name)} is the display name of {len(fields)} inputs",
                suggestion=_ways(column, [field.variable_name for field in fields]),
            )
        return BoundColumn(column=column, bound_by=bound_by, input=fields[0])

    def _only_file(self, column: str) -> BoundColumn:
        """Bind the column of a folder to the only input that takes files."""
        fields = [
            field for name, field in self._inputs.items() if takes_files(field) and name not in self._filled
        ]
        if len(fields) == 1:
            return BoundColumn(column=column, bound_by=BoundBy.ONLY_FILE_INPUT, input=fields[0])
        if not fields:
            return BoundColumn(
                column=column,
                bound_by=BoundBy.NOTHING,
                problem=f"no input takes a file; {_listed(self._inputs.values())}",
                suggestion="give a manifest with a row for each job",
            )
        return BoundColumn(
            column=column,
            bound_by=BoundBy.NOTHING,
            problem=f"several inputs take files: {', '.join(quoted(field.display_name) for field in fields)}",
            suggestion=_ways(column, [self.spelled(field) for field in fields]),
        )

    def _with_key(self, bound: BoundColumn) -> BoundColumn:
        if self._key is not None and on_one_line(bound.column) == self._key:
            return replace(
                bound, is_key=True, bound_by=BoundBy.KEY if bound.target is None else bound.bound_by
            )
        if bound.reserved != "key":
            return bound
        if self._key is None:
            return replace(bound, is_key=True)
        return replace(
            bound, warning=f"column {quoted(bound.column)} is left out: --key names {quoted(self._key)}"
        )

    def spelled(self, field: InputField) -> str:
        """The name to type for an input: its display name, unless several inputs have it.

        Nor one with ``=``, at which ``--map`` and ``--set`` are split.
        """
        name = field.display_name
        return name if "=" not in name and len(self._names.matches(name)) == 1 else field.variable_name


class _Known(dict[str, BoundColumn]):
    """What columns are for, each bound when it is asked for first.

    Args:
        bind: Binds a column.
    """

    def __init__(self, bind: Callable[[str], BoundColumn]) -> None:
        super().__init__()
        self._bind = bind

    def __missing__(self, column: str) -> BoundColumn:
        if len(self) >= _MOST_COLUMNS:
            raise ManifestError(
                f"The rows have more than {_MOST_COLUMNS:,} different columns: "
                "give them the same names in every row"
            )
        known = self[column] = self._bind(column)
        return known


def _ways(column: str, names: Sequence[str]) -> str:
    return " or ".join(option("--map", column, name) for name in names)


def _listed(fields: Collection[InputField]) -> str:
    names = ", ".join(quoted(field.display_name) for field in fields)
    return f"the workflow takes {names or 'no inputs'}"
