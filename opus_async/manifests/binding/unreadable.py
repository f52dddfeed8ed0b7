"""Tells which of the cells that cannot be read matter to a row, and how such a row is stored.

A cell of a column that nothing uses (``--map COLUMN=``, a column that fills no input) does no harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opus_async.manifests.advised import Advised
from opus_async.manifests.binding.binding import Binding
from opus_async.manifests.model import Record, Unreadable

NO_INPUT = Advised("no cell of this row fills an input", "fill one, or take the row out")
"""What is wrong with a row that would be billed for nothing."""


def refused_cells(record: Record, binding: Binding) -> list[Unreadable]:
    """What of a row cannot be read and keeps it from being run; empty where it can be run."""
    return [found for found in record.unreadable if found.column is None or binding.uses_column(found.column)]


def cells_to_store(
    record: Record, refused: Sequence[Unreadable], binding: Binding, columns: Sequence[str]
) -> dict[str, Any]:
    """The cells of a refused row as JSON can hold them: None in place of each that cannot be read.

    A None is no empty cell: whoever makes a request of it is refused, now and from ``failures.jsonl``. Where
    the whole row cannot be read, every cell that would fill an input is None.

    Args:
        record: The row.
        refused: What of it cannot be read.
        binding: Tells what a column is for.
        columns: The columns of the manifest; empty where each row may have others.
    """
    if all(found.column is not None for found in refused):
        return {**binding.as_stored(record.cells), **{str(found.column): None for found in refused}}
    fills = [column for column in columns if binding.column(column).input is not None]
    return dict.fromkeys(fills or [binding.spelled(field) for field in binding.workflow.inputs.values()])
