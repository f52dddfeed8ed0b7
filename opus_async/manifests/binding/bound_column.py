"""What a column of a manifest is for: the input that it fills, and by what it was bound to it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any

from opus_async.manifests.binding.file_cells import takes_files
from opus_async.models import InputField


class BoundBy(enum.StrEnum):
    """What bound a column to its input, as it is shown and as the ledger stores it."""

    MAP = "--map"
    VARIABLE_NAME = "variable name"
    DISPLAY_NAME = "display name"
    DISPLAY_NAME_IN_ANOTHER_CASE = "display name in another case"
    RESERVED_WORD = "reserved word"
    ONLY_FILE_INPUT = "the only input that takes files"
    KEY = "--key"
    NOTHING = "not bound"


BY_NAME = frozenset({BoundBy.VARIABLE_NAME, BoundBy.DISPLAY_NAME, BoundBy.DISPLAY_NAME_IN_ANOTHER_CASE})
"""Bindings that follow from the name alone: they are the same in any manifest of the same workflow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundColumn:
    """What a column is for.

    Attributes:
        column: The name of the column.
        bound_by: What bound it.
        input: The input it fills; None when it fills none.
        reserved: ``title``, ``description`` or ``key``, when the column is that; None otherwise.
        is_key: Whether its cells are the keys of the rows; it may fill an input too.
        ignored: Whether ``--map COLUMN=`` leaves it out.
        suggested_input: An input of a similar name that nothing else fills; None where there is none.
        problem: Why it cannot be used; None when it can.
        warning: What a person should know about it; None for nothing.
        suggestion: Options that would mend it, as they are typed; None where there are none.
        file_input: The input it fills, if that takes files; None otherwise.
    """

    column: str
    bound_by: BoundBy
    input: InputField | None = None
    reserved: str | None = None
    is_key: bool = False
    ignored: bool = False
    suggested_input: InputField | None = None
    problem: str | None = None
    warning: str | None = None
    suggestion: str | None = None
    file_input: InputField | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        found = self.input if self.input is not None and takes_files(self.input) else None
        object.__setattr__(self, "file_input", found)  # kept, since it is asked several times for each cell

    @property
    def target(self) -> str | None:
        """What it fills, and only one column of a row can fill: a variable, or a reserved word."""
        return self.input.variable_name if self.input else self.reserved

    def as_json(self) -> dict[str, Any]:
        """The column as JSON, for reports and for the ledger."""
        return {
            "column": self.column,
            "input": self.input.variable_name if self.input else None,
            "display_name": self.input.display_name if self.input else None,
            "reserved": self.reserved,
            "file": self.file_input is not None,
            "is_key": self.is_key,
            "ignored": self.ignored,
            "how": self.bound_by.value,
            "problem": self.problem,
            "warning": self.warning,
        }
