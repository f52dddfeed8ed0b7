"""Which input each column of a manifest fills, and what is wrong with the columns side by side.

A column binds in this order: ``--map``, exact variable name, exact display name, the exact lower-case words
``key``, ``title`` and ``description``, display name in any case.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from opus_async.errors import ManifestError
from opus_async.input_names import InputNames, closest
from opus_async.manifests import FILE_COLUMN
from opus_async.manifests.binding.file_cells import takes_files
from opus_async.manifests.problem import Problem, Severity, option
from opus_async.models import InputField, Workflow
from opus_async.text import quoted

RESERVED = ("key", "title", "description")
_SLIP = 0.75
"""A column this much like an input that nothing else fills is a slip of the pen; any other is a remark."""
_MOST_COLUMNS = 10_000


class BoundBy(enum.StrEnum):
    """By what a column was bound, as it is shown and as the ledger keeps it."""

    MAP = "--map"
    VARIABLE_NAME = "variable name"
    DISPLAY_NAME = "display name"
    DISPLAY_NAME_IN_ANOTHER_CASE = "display name in another case"
    RESERVED_WORD = "reserved word"
    ONLY_FILE_INPUT = "the only input that takes files"
    KEY = "--key"
    NOTHING = "not bound"


BY_NAME = frozenset({BoundBy.VARIABLE_NAME, BoundBy.DISPLAY_NAME, BoundBy.DISPLAY_NAME_IN_ANOTHER_CASE})
"""A column that was bound so is bound so again, wherever its name stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundColumn:
    """What a column is for.

    Attributes:
        column: Its name.
        how: By what it was bound.
        input: The input it fills; None when it fills none.
        reserved: ``title``, ``description`` or ``key``, where it is that.
        is_key: Whether its cells are the keys of the rows. It can fill an input all the same.
        ignored: Whether it was asked to be left out altogether.
        meant: The input that its name is like, and that nothing else fills.
        problem: Why it cannot be used; None when it can.
        warning: What a person should know about it; None for nothing.
        suggestion: What to type; None where there is nothing to suggest.
    """

    column: str
    how: BoundBy
    input: InputField | None = None
    reserved: str | None = None
    is_key: bool = False
    ignored: bool = False
    meant: InputField | None = None
    problem: str | None = None
    warning: str | None = None
    suggestion: str | None = None

    @property
    def slot(self) -> str | None:
        """What only one column of a row can fill: a variable, or a reserved word."""
        return self.input.variable_name if self.input else self.reserved

    def as_json(self) -> dict[str, Any]:
        """For a machine, and for the ledger."""
        return {
            "column": self.column,
            "input": self.input.variable_name if self.input else None,
            "display_name": self.input.display_name if self.input else None,
            "reserved": self.reserved,
            "file": self.input is not None and takes_files(self.input),
            "is_key": self.is_key,
            "ignored": self.ignored,
            "how": self.how.value,
            "problem": self.problem,
            "warning": self.warning,
        }


class Columns:
    """Binds the columns of one manifest to the inputs of one workflow.

    Args:
        workflow: Whose inputs.
        mapping: ``--map``: column -> the name of an input or a reserved word; empty to leave the column out.
        key: The column that ``--key`` names; None for the reserved one.
        folder: Whether the rows are the files of a folder or a pattern.
        filled: The variables that ``--set`` fills.

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
        self._names = InputNames(workflow.inputs)
        self._mapping = mapping
        self._key = key
        self._folder = folder
        self._filled = filled
        self._bound: dict[str, BoundColumn] = {}
        wrong = [f"--map: {bound.problem}" for bound in map(self.bound, mapping) if bound.problem]
        if wrong:
            raise ManifestError("The columns cannot be mapped; nothing was sent:", wrong)

    def bound(self, column: str) -> BoundColumn:
        """What a column is for, by its own name alone."""
        known = self._bound.get(column)
        if known is None:
            if len(self._bound) >= _MOST_COLUMNS:
                raise ManifestError(
                    f"The rows have more than {_MOST_COLUMNS:,} different columns: "
                    "give them the same names in every row"
                )
            known = self._bound[column] = self._with_key(self._bind(column))
        return known

    def table(self, columns: Sequence[str], *, scattered: bool = False) -> list[BoundColumn]:
        """What each of these columns is for, and what is wrong with them side by side.

        Args:
            columns: Their names.
            scattered: Whether each row has some of them, so that two may fill the same input.
        """
        first: dict[str, str] = {}
        for bound in map(self.bound, columns):
            if bound.slot is not None:
                first.setdefault(bound.slot, bound.column)
        free = [
            field for name, field in self._inputs.items() if name not in first and name not in self._filled
        ]
        table = [self._beside_others(self.bound(column), free) for column in columns]
        return table if scattered else [_alone(bound, first) for bound in table]

    def problems(self, columns: Sequence[str], *, scattered: bool = False) -> Iterator[Problem]:
        """Everything that is wrong with a manifest of these columns."""
        table = self.table(columns, scattered=scattered)
        for bound in table:
            if message := bound.problem or bound.warning:
                named = bound.input or bound.meant
                yield Problem(
                    message=message,
                    cause=message,
                    severity=Severity.ERROR if bound.problem else Severity.WARNING,
                    fix=bound.suggestion,
                    column=bound.column,
                    input=named.display_name if named else None,
                )
        for column in self._mapping:
            if column not in columns:
                yield absent("--map", column, columns)
        if self._key is not None and self._key not in columns:
            yield absent("--key", self._key, columns)
        for field in self.unfilled(table):
            if not any(bound.meant is field for bound in table):
                name = self._spelled(field)
                message = f"nothing fills the input {quoted(field.display_name)}, which is required"
                yield Problem(
                    message=message,
                    cause=message,
                    fix=f"{option('--map', 'COLUMN', name)} or {option('--set', name, 'VALUE')}",
                    input=field.display_name,
                )

    def unfilled(self, table: Sequence[BoundColumn]) -> list[InputField]:
        """The required inputs that no column of this table and no constant fills."""
        filled = {bound.slot for bound in table} | set(self._filled)
        return [field for name, field in self._inputs.items() if not field.nullable and name not in filled]

    def _bind(self, column: str) -> BoundColumn:
        target = self._mapping.get(column)
        if target is None:
            bound = self._by_name(column, column)
            is_file = (
                self._folder and column == FILE_COLUMN and not (bound.input and takes_files(bound.input))
            )
            return self._only_file(column) if is_file else bound
        if not target:
            return BoundColumn(column=column, how=BoundBy.MAP, ignored=True)
        bound = replace(self._by_name(column, target), how=BoundBy.MAP)
        if bound.slot is None and bound.problem is None:
            close = self._names.closest(target)
            hint = f"did you mean {quoted(close)}?" if close else _listed(self._inputs.values())
            return replace(bound, problem=f"there is no input {quoted(target)}; {hint}")
        return bound

    def _by_name(self, column: str, name: str) -> BoundColumn:
        fields = self._names.exactly(name)
        how = BoundBy.VARIABLE_NAME if name in self._inputs else BoundBy.DISPLAY_NAME
        if not fields and name in RESERVED:
            return BoundColumn(column=column, how=BoundBy.RESERVED_WORD, reserved=name)
        if not fields:
            fields = self._names.matches(name)
            how = BoundBy.DISPLAY_NAME_IN_ANOTHER_CASE
        if not fields:
            return BoundColumn(column=column, how=BoundBy.NOTHING)
        if len(fields) > 1:
            return BoundColumn(
                column=column,
                how=BoundBy.NOTHING,
                problem=f"{quoted(name)} is the display name of {len(fields)} inputs",
                suggestion=_ways(column, [field.variable_name for field in fields]),
            )
        return BoundColumn(column=column, how=how, input=fields[0])

    def _only_file(self, column: str) -> BoundColumn:
        """The column of a folder: its files go to the only input that takes files."""
        fields = [
            field for name, field in self._inputs.items() if takes_files(field) and name not in self._filled
        ]
        if len(fields) == 1:
            return BoundColumn(column=column, how=BoundBy.ONLY_FILE_INPUT, input=fields[0])
        if not fields:
            return BoundColumn(
                column=column,
                how=BoundBy.NOTHING,
                problem=f"no input takes a file; {_listed(self._inputs.values())}",
                suggestion="give a manifest with a row for each job",
            )
        return BoundColumn(
            column=column,
            how=BoundBy.NOTHING,
            problem=f"several inputs take files: {', '.join(quoted(field.display_name) for field in fields)}",
            suggestion=_ways(column, [self._spelled(field) for field in fields]),
        )

    def _with_key(self, bound: BoundColumn) -> BoundColumn:
        if bound.column == self._key:
            return replace(bound, is_key=True, how=BoundBy.KEY if bound.slot is None else bound.how)
        if bound.reserved != "key":
            return bound
        if self._key is None:
            return replace(bound, is_key=True)
        return replace(
            bound, warning=f"column {quoted(bound.column)} is left out: --key names {quoted(self._key)}"
        )

    def _beside_others(self, bound: BoundColumn, free: Sequence[InputField]) -> BoundColumn:
        """A column that fills nothing, held against the inputs that nothing fills."""
        if bound.how != BoundBy.NOTHING or bound.problem:
            return bound
        spellings = {name: field for field in free for name in (field.variable_name, field.display_name)}
        close = closest(bound.column, spellings, _SLIP)
        if close is None:
            return replace(bound, warning=f"column {quoted(bound.column)} fills no input and is left out")
        meant = spellings[close]
        return replace(
            bound,
            meant=meant,
            problem=f"column {quoted(bound.column)} fills no input, and nothing fills {quoted(close)}",
            suggestion=f"{option('--map', bound.column, self._spelled(meant))}, or "
            f"{option('--map', bound.column, '')} to leave the column out",
        )

    def _spelled(self, field: InputField) -> str:
        """The name to type for an input: the one that people see, where it means no other."""
        return (
            field.display_name if len(self._names.matches(field.display_name)) == 1 else field.variable_name
        )


def _alone(bound: BoundColumn, first: Mapping[str, str]) -> BoundColumn:
    """A column, held against the first one that fills the same."""
    other = first[bound.slot] if bound.slot is not None else bound.column
    if other == bound.column:
        return bound
    target = quoted(bound.input.display_name if bound.input else bound.slot)
    return replace(
        bound,
        problem=f"columns {quoted(other)} and {quoted(bound.column)} both fill {target}",
        suggestion=f"{option('--map', other, '')} or {option('--map', bound.column, '')}",
    )


def absent(flag: str, column: str, columns: Sequence[str]) -> Problem:
    """The problem with an option that names a column which the manifest does not have."""
    close = closest(column, columns)
    message = f"{flag} names the column {quoted(column)}, which the manifest does not have"
    fix = f"did you mean {quoted(close)}?" if close else f"it has {', '.join(map(quoted, columns)) or 'none'}"
    return Problem(message=message, cause=message, fix=fix, column=column)


def _ways(column: str, names: Sequence[str]) -> str:
    return " or ".join(option("--map", column, name) for name in names)


def _listed(fields: Collection[InputField]) -> str:
    names = ", ".join(quoted(field.display_name) for field in fields)
    return f"the workflow takes {names or 'no inputs'}"
