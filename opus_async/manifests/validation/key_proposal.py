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
        self._columns: dict[str, None] = {}

    def add(self, cells: Mapping[str, Any]) -> None:
        """Look at a row; a column that does not tell it from those before is no candidate any more."""
        self._rows += 1
        if self._rows == 1:
            self._columns = dict.fromkeys(cells)
        for column in list(self._columns):
            key = key_of_cell(cells.get(column))
            if key is None or len(key) > _LONGEST or not self._seen.value(column, key):
                del self._columns[column]

    @property
    def column(self) -> str | None:
        """The column that could name the rows: one that is called so, or the first; None for none."""
        if self._rows < _LEAST_ROWS:
            return None
        named = (column for column in self._columns if _A_NAME.search(column))
        return next(named, next(iter(self._columns), None))
