"""Finds the local files that a row names, and those outside of the manifest's folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from opus_async.errors import InvalidInputs
from opus_async.manifests.binding import outside_files
from opus_async.manifests.binding.columns import Columns
from opus_async.manifests.binding.file_cells import FileCells, takes_files
from opus_async.manifests.binding.outside_files import Fence
from opus_async.models import InputField


class RowFiles:
    """Finds the files of rows. Their cells are as the manifest has them, or expanded: patterns replaced.

    Args:
        columns: Tells which columns fill inputs that take files.
        cells: Reads the cells of these.
        constants: Variable -> the files that ``--set`` fills it with in rows without a value of their own.
        allow_outside: Whether rows may name files outside of the folder that they start at.
    """

    def __init__(
        self,
        columns: Columns,
        cells: FileCells,
        *,
        constants: Mapping[str, Sequence[Path]],
        allow_outside: bool,
    ) -> None:
        self._columns = columns
        self._cells = cells
        self._constants = constants
        self._confined = not allow_outside and columns.any_takes_files
        self._fences: dict[Path, Fence] = {}

    def of_row(self, cells: Mapping[str, Any], base: Path) -> list[Path]:
        """The local files of an expanded row, in the order of its columns, then those of ``--set``.

        Args:
            cells: Column -> value.
            base: The folder that relative files start at.
        """
        found: list[Path] = []
        filled: set[str] = set()
        for name, value in cells.items():
            field = self._columns.bound(name).file_input
            if field is not None:
                filled.add(field.variable_name)
                found += [part for part in self.of_input(field, value, base) or () if isinstance(part, Path)]
        for variable, files in self._constants.items():
            if variable not in filled:
                found += files
        return found

    def of_cell(self, column: str, value: Any, base: Path) -> list[Any] | None:
        """What one cell of an expanded row names: paths of local files, and all else as it is.

        Returns:
            None for a column that fills no input of files.
        """
        field = self._columns.bound(column).file_input
        return None if field is None else self.of_input(field, value, base)

    def of_input(self, field: InputField, value: Any, base: Path) -> list[Any] | None:
        """What a value of an input names, as :meth:`of_cell`; None for an input that takes no files."""
        if value is None or not takes_files(field):  # None: a cell that could not be read
            return None
        given = self._cells.given(field, value, base)
        return given if isinstance(given, list) else [given]

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
        if not self._confined:
            return []
        fence = self._fences.get(base)
        if fence is None:
            fence = self._fences[base] = Fence(base)
        found = []
        for name, value in cells.items():
            field = self._columns.bound(name).file_input
            if field is not None and value is not None:
                named = self._cells.named(field, value)
                parts = self.of_input(field, value, base) or ()
                found += [(name, str(named[place])) for place in fence.strays(parts)]
        return found

    def refuse_outside(self, cells: Mapping[str, Any], base: Path) -> None:
        """Refuse a row that names files outside; arguments as in :meth:`outside`.

        Raises:
            InvalidInputs: With each such file.
        """
        if strays := self.outside(cells, base):
            raise InvalidInputs([outside_files.problem(column, path) for column, path in strays])
