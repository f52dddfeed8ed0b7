"""The constants of a batch (``--set``), and in which of its rows they filled an input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opus_async.batch.meta import BatchMeta
from opus_async.input_names import folded


@dataclass(frozen=True, slots=True)
class Constant:
    """What ``--set`` gives an input in the rows that have no value of their own for it.

    Attributes:
        name: Of the input, as it was given.
        value: As JSON holds it.
        columns: The columns of the manifest that fill the same input.
    """

    name: str
    value: Any
    columns: tuple[str, ...]

    def fills(self, cells: Mapping[str, Any]) -> bool:
        """Whether a row of these cells ran with it."""
        return not any(column in cells for column in self.columns)


def constants(meta: BatchMeta) -> list[Constant]:
    """The constants of a batch."""
    found = []
    for name, value in meta.constants.items():
        same = (
            column.column
            for column in meta.binding
            if column.input is not None
            and folded(name) in {folded(column.input), folded(column.display_name or "")}
        )
        found.append(Constant(name, value, tuple(same)))
    return found
