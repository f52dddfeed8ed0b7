"""The columns of a manifest side by side: what each fills, which inputs are left, and what is wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from opus_async.input_names import on_one_line
from opus_async.manifests.binding.bound_column import BoundBy, BoundColumn
from opus_async.manifests.binding.columns import Columns
from opus_async.manifests.problem import Problem, Severity, option
from opus_async.models import InputField, Workflow
from opus_async.spelling import closest
from opus_async.text import quoted

_SLIP = 0.75
"""How alike, from 0 to 1, a column's name and an input that nothing fills must be for the name to count as a
typing error, which is refused; a column that is less alike is left out, with a warning."""
_REMEMBERED = 1000
"""Columns of single rows that were compared, each with what its row fills: most rows have the same."""


class ColumnTable:
    """Checks columns against each other and against the inputs of the workflow.

    Args:
        columns: Binds each column by its own name.
        workflow: The workflow.
        mapping: ``--map``, as in :class:`~opus_async.manifests.binding.columns.Columns`.
        key: The column that ``--key`` names; None for the reserved one.
        filled: The variables that ``--set`` fills.
    """

    def __init__(
        self,
        columns: Columns,
        workflow: Workflow,
        *,
        mapping: Mapping[str, str],
        key: str | None,
        filled: Collection[str],
    ) -> None:
        self._columns = columns
        self._inputs = workflow.inputs
        self._mapping = mapping
        self._key = key
        self._filled = filled
        self._near_misses: dict[tuple[str, frozenset[str]], BoundColumn | None] = {}

    def lines(self, columns: Sequence[str], *, per_row_columns: bool = False) -> list[BoundColumn]:
        """What each of these columns is for, and what is wrong with them side by side.

        Args:
            columns: Their names.
            per_row_columns: Whether each row has some of them, so that two may fill the same input.
        """
        first: dict[str, str] = {}
        for bound in map(self._columns.bound, columns):
            if bound.target is not None:
                first.setdefault(bound.target, bound.column)
        free = [
            field for name, field in self._inputs.items() if name not in first and name not in self._filled
        ]
        table = [self._beside_others(self._columns.bound(column), free) for column in columns]
        return table if per_row_columns else [_refused_if_second(bound, first) for bound in table]

    def problems(self, columns: Sequence[str], *, per_row_columns: bool = False) -> Iterator[Problem]:
        """Everything that is wrong with a manifest of these columns."""
        table = self.lines(columns, per_row_columns=per_row_columns)
        for bound in table:
            if per_row_columns and bound.suggested_input is not None:
                continue  # told of each row that has it: see near_miss
            if message := bound.problem or bound.warning:
                named = bound.input or bound.suggested_input
                yield Problem(
                    message=message,
                    cause=message,
                    severity=Severity.ERROR if bound.problem else Severity.WARNING,
                    fix=bound.suggestion,
                    column=bound.column,
                    input=named.display_name if named else None,
                )
        there = set(map(on_one_line, columns))
        for column in self._mapping:
            if on_one_line(column) not in there:
                yield missing_column("--map", column, columns)
        if self._key is not None and on_one_line(self._key) not in there:
            yield missing_column("--key", self._key, columns)
        for field in self.unfilled(table):
            if not any(bound.suggested_input is field for bound in table):
                name = self._columns.spelled(field)
                message = f"nothing fills the input {quoted(field.display_name)}, which is required"
                yield Problem(
                    message=message,
                    cause=message,
                    fix=" or ".join((*_ways_to_map(table, name), option("--set", name, "VALUE"))),
                    input=field.display_name,
                )

    def near_miss(self, column: str, filled: frozenset[str]) -> BoundColumn | None:
        """A column of one row that is spelled almost like an input which that row does not fill.

        Args:
            column: Its name.
            filled: The variables that the row fills.

        Returns:
            The column, with its problem; None where it is none of that kind.
        """
        bound, asked = self._columns.bound(column), (column, filled)
        if bound.bound_by != BoundBy.NOTHING:
            return None
        if asked not in self._near_misses:
            if len(self._near_misses) >= _REMEMBERED:
                self._near_misses.clear()
            free = [field for name, field in self._inputs.items() if name not in filled]
            compared = self._beside_others(bound, free)
            self._near_misses[asked] = None if compared.suggested_input is None else compared
        return self._near_misses[asked]

    def unfilled(self, table: Sequence[BoundColumn]) -> list[InputField]:
        """The required inputs that no column of this table and no constant fills."""
        filled = {bound.target for bound in table} | set(self._filled)
        return [field for name, field in self._inputs.items() if not field.nullable and name not in filled]

    def _beside_others(self, bound: BoundColumn, free: Sequence[InputField]) -> BoundColumn:
        """A column that fills nothing, compared with the inputs that nothing fills."""
        if bound.bound_by != BoundBy.NOTHING or bound.problem:
            return bound
        spellings = {name: field for field in free for name in (field.variable_name, field.display_name)}
        close = closest(bound.column, spellings, _SLIP)
        if close is None:
            return replace(bound, warning=f"column {quoted(bound.column)} fills no input and is left out")
        meant = spellings[close]
        return replace(
            bound,
            suggested_input=meant,
            problem=f"column {quoted(bound.column)} fills no input, and nothing fills {quoted(close)}",
            suggestion=f"{option('--map', bound.column, self._columns.spelled(meant))}, or "
            f"{option('--map', bound.column, '')} to leave the column out",
        )


def _ways_to_map(table: Sequence[BoundColumn], name: str) -> Iterator[str]:
    """The option that lets a column fill an input; none where every column is taken."""
    free = [bound.column for bound in table if bound.target is None and not (bound.is_key or bound.ignored)]
    if len(free) == 1:
        yield option("--map", free[0], name)
    elif free:
        yield f"{option('--map', 'COLUMN', name)}, COLUMN being one of {', '.join(map(quoted, free))},"


def _refused_if_second(bound: BoundColumn, first: Mapping[str, str]) -> BoundColumn:
    """A column, compared with the first one that fills the same."""
    other = first[bound.target] if bound.target is not None else bound.column
    if other == bound.column:
        return bound
    target = quoted(bound.input.display_name if bound.input else bound.target)
    return replace(
        bound,
        problem=f"columns {quoted(other)} and {quoted(bound.column)} both fill {target}",
        suggestion=f"{option('--map', other, '')} or {option('--map', bound.column, '')}",
    )


def missing_column(flag: str, column: str, columns: Sequence[str]) -> Problem:
    """The problem with an option that names a column which the manifest does not have."""
    close = closest(column, columns)
    message = f"{flag} names the column {quoted(column)}, which the manifest does not have"
    fix = f"did you mean {quoted(close)}?" if close else f"it has {', '.join(map(quoted, columns)) or 'none'}"
    return Problem(message=message, cause=message, fix=fix, column=column)
