"""Finds a column that could name the rows of a manifest that gives no keys: another value in every row."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from opus_async.manifests.binding.row_keys import key_of_cell
from opus_async.manifests.validation.duplicates import DuplicateIndex

_LONGEST = 60
"""Characters from which on a value is a text, and no name."""
_LEAST_ROWS = 2
_SETTLED = 1_000
"""Rows after which few candidates are kept, since each costs as much as the rest of the check of a row."""
_KEPT = 2
_TOGETHER = 4_000
"""Values of a candidate that are noted together."""
_A_NAME = re.compile(
    r"(^|[\W_])(key|id|nr|no|num|number|nummer|ref|reference|code|sku)($|[\W_])", re.IGNORECASE
)


class KeyProposal:
    """Watches the columns of a manifest as its rows come by.

    Args:
        seen: Notes the values, and tells which came before.
    """

    def __init__(self, seen: DuplicateIndex) -> None:
        self._seen = seen
        self._rows = 0
        self._columns: dict[str, set[str]] = {}
        """The candidates, each with values that are not noted yet."""

    def add(self, cells: Mapping[str, Any]) -> None:
        """Look at a row; a column that does not tell it from those before is no candidate any more."""
        self._rows += 1
        if self._rows == 1:
            self._columns = {column: set() for column in cells}
        for column, values in list(self._columns.items()):
            key = key_of_cell(cells.get(column))
            if key is None or len(key) > _LONGEST or key in values:
                del self._columns[column]
                continue
            values.add(key)
            if len(values) >= _TOGETHER:
                self._note(column)
        if self._rows == _SETTLED:
            self._columns = {column: self._columns[column] for column in self._ranked[:_KEPT]}

    @property
    def column(self) -> str | None:
        """The column that could name the rows: one that is called so, or the first; None for none."""
        if self._rows < _LEAST_ROWS:
            return None
        if self._rows > _TOGETHER:  # else all values are here, and differ
            for column in list(self._columns):
                self._note(column)
        return next(iter(self._ranked), None)

    @property
    def _ranked(self) -> list[str]:
        """The candidates: first those that are called so."""
        return sorted(self._columns, key=lambda column: _A_NAME.search(column) is None)

    def _note(self, column: str) -> None:
        """Note the values of a candidate; it is none any more where one came before."""
        values = self._columns[column]
        if self._seen.values(column, values):
            values.clear()
        else:
            del self._columns[column]
