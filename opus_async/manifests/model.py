"""The interface of a manifest and its rows, whatever kind of file it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from opus_async.cheap_dataclass import cheap_dataclass
from opus_async.remote_urls import Place, RemoteFile

FOLDERS = frozenset({"folder", "glob"})
"""Kinds of manifests whose rows are files: their cells are exact names, never patterns or lists."""
FILE_COLUMN = "file"
"""The only column of a folder or glob: the file's path relative to ``base``. One job for each file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A cell, or a whole row, that cannot be read.

    Attributes:
        problem: What is wrong and the fix, in a sentence that names the place within the row.
        column: The column of the cell; None where it cannot be told what belongs to which column.
        group: What it has in common with others of its kind, to count them by; None for the problem itself.
    """

    problem: str
    column: str | None = None
    group: str | None = None


@cheap_dataclass(kw_only=True)
class Record:
    """One row as it stands in the manifest.

    Attributes:
        index: Its place among the data rows, from 0. Blank rows do not count; rows that cannot be read do.
        where: For messages: ``line 18``, ``sheet 'Orders', row 18``, ``row 17``, ``invoice.pdf``.
        cells: Column -> value; an empty cell is absent. CSV gives text, XLSX also int, float, bool, date and
            datetime, Parquet also Decimal, list and dict, JSONL any JSON value but null.
        past: The ``_opus`` object of a row that came out of ``failures.jsonl``; None elsewhere.
        unreadable: What of it cannot be read. The row is invalid where that is a cell of a column that is
            used, or the whole row; ``cells`` has the others.
    """

    index: int
    where: str
    cells: Mapping[str, Any]
    past: Mapping[str, Any] | None = None
    unreadable: tuple[Unreadable, ...] = ()

    @property
    def columns(self) -> Iterator[str]:
        """The columns in which it has something, readable or not."""
        return chain(self.cells, (found.column for found in self.unreadable if found.column is not None))


class Manifest(Protocol):
    """A manifest that can be read. Its file is open only while :meth:`records` is iterated."""

    @property
    def path(self) -> Path | RemoteFile:
        """The path or pattern, absolute, or its URL."""

    @property
    def kind(self) -> str:
        """``csv``, ``jsonl``, ``xlsx``, ``parquet``, ``folder`` or ``glob``."""

    @property
    def base(self) -> Place:
        """The folder that relative paths in cells start at: the manifest's own."""

    @property
    def columns(self) -> tuple[str, ...] | None:
        """The names of the columns; None where each row may have others (jsonl)."""

    @property
    def warnings(self) -> Sequence[str]:
        """Sentences about what was assumed or left out; may grow while records are read."""

    def records(self) -> Iterator[Record]:
        """Read the rows one after another; each call reads the file again.

        A row of which something cannot be read says so: :attr:`Record.unreadable`. What carries nothing, see
        :mod:`opus_async.manifests.blanks`, is no row.

        Raises:
            ManifestError: The file cannot be read, or has changed since it was opened: no row that was read
                so far may be run.
        """

    def stamp(self) -> str:
        """A text that changes whenever the manifest does, made from sizes, times and inodes; reads no file.

        Take it before :meth:`records`: then a change in between is noticed the next time.

        Raises:
            ManifestError: The manifest is gone, or may not be read.
        """

    def estimated_rows(self) -> int | None:
        """About how many rows there are, for a progress bar; None when only reading all would tell."""
