"""What a column of a manifest is for: the input that it fills, and by what it was bound to it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from opus_async.manifests.binding.file_cells import takes_files
from opus_async.models import InputField


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
        bound_by: By what it was bound.
        input: The input it fills; None when it fills none.
        reserved: ``title``, ``description`` or ``key``, where it is that.
        is_key: Whether its cells are the keys of the rows. It can fill an input all the same.
        ignored: Whether it was asked to be left out altogether.
        suggested_input: The input that its name is like, and that nothing else fills.
        problem: Why it cannot be used; None when it can.
        warning: What a person should know about it; None for nothing.
        suggestion: What to type; None where there is nothing to suggest.
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

    @property
    def target(self) -> str | None:
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
            "how": self.bound_by.value,
            "problem": self.problem,
            "warning": self.warning,
        }
