"""Finds the files and documents that a row names, and those outside of the manifest's folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from opus_async.errors import InvalidInputs
from opus_async.manifests.binding import outside_files
from opus_async.manifests.binding.columns import Columns
from opus_async.manifests.binding.file_cells import FileCells, takes_files
from opus_async.manifests.binding.outside_files import Fence
from opus_async.models import InputField
from opus_async.remote_urls import Place, RemoteFile, RemoteFolder, without_secrets

NamedFile: TypeAlias = Path | RemoteFile
"""A local file, or a document elsewhere."""


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
        constants: Mapping[str, Sequence[NamedFile]],
        allow_outside: bool,
    ) -> None:
        self._columns = columns
        self._cells = cells
        self._constants = constants
        self._confined = not allow_outside and columns.any_takes_files
        self._fences: dict[Place, Fence] = {}

    @property
    def any_named(self) -> bool:
        """Whether a row can name files at all."""
        return self._columns.any_takes_files or bool(self._constants)

    def cells_of(self, cells: Mapping[str, Any]) -> Sequence[tuple[str, Any, InputField]]:
        """The cells of a row that fill inputs of files: column, value and input."""
        if not self._columns.any_takes_files:
            return ()
        bound = self._columns.bound
        return [
            (name, value, field)
            for name, value in cells.items()
            if (field := bound(name).file_input) is not None
        ]

    def of_row(self, cells: Mapping[str, Any], base: Place) -> list[NamedFile]:
        """The files of an expanded row, in the order of its columns, then those of ``--set``.

        Args:
            cells: Column -> value.
            base: The folder that relative files start at.
        """
        found: list[NamedFile] = []
        filled: set[str] = set()
        for _, value, field in self.cells_of(cells):
            filled.add(field.variable_name)
            parts = self.of_input(field, value, base) or ()
            found += [part for part in parts if isinstance(part, NamedFile)]
        for variable, files in self._constants.items():
            if variable not in filled:
                found += files
        return found

    def of_input(self, field: InputField, value: Any, base: Place) -> list[Any] | None:
        """What a value of an input names: files and documents, and all else as it is.

        Returns:
            None for an input that takes no files.
        """
        if value is None or not takes_files(field):  # None: a cell that could not be read
            return None
        given = self._cells.given(field, value, base)
        return given if isinstance(given, list) else [given]

    def any_remote(self, cells: Mapping[str, Any], base: Place) -> bool:
        """Whether a row may name documents elsewhere; a quick look, which most rows do not pass."""
        if not self._columns.any_takes_files:
            return False
        return isinstance(base, RemoteFolder) or any(
            isinstance(value, list | tuple) or (isinstance(value, str) and "://" in value)
            for value in cells.values()
        )

    def remote_patterns(self, cells: Mapping[str, Any], base: Place) -> list[str]:
        """The patterns of documents elsewhere in a row that is not expanded yet."""
        found: list[str] = []
        for _, value, field in self.cells_of(cells):
            found += self._cells.remote_patterns(field, value, base)
        return found

    def outside(self, cells: Mapping[str, Any], base: Place) -> list[tuple[str, str]]:
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
        for name, value, field in self.cells_of(cells):
            if value is not None:
                named = self._cells.named(field, value)
                parts = self.of_input(field, value, base) or ()
                found += [(name, without_secrets(str(named[place]))) for place in fence.strays(parts)]
        return found

    def refuse_outside(self, cells: Mapping[str, Any], base: Place) -> None:
        """Refuse a row that names files outside; arguments as in :meth:`outside`.

        Raises:
            InvalidInputs: With each such file.
        """
        if strays := self.outside(cells, base):
            raise InvalidInputs([outside_files.problem(column, path) for column, path in strays])
