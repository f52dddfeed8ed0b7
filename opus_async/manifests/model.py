"""What a manifest is made of, whatever kind of file it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

FOLDERS = frozenset({"folder", "glob"})
"""Kinds of manifests whose rows are files, and whose cells are their names to the letter."""
FILE_COLUMN = "file"
"""The only column of a folder or glob: the file's path relative to ``base``. One job for each file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One row as the manifest has it.

    Attributes:
        index: Its place among the data rows, from 0. Blank rows do not count; rows that cannot be read do.
        where: For messages: ``line 18``, ``sheet 'Orders', row 18``, ``row 17``, ``invoice.pdf``.
        cells: Column -> value; an empty cell is absent. CSV gives text, XLSX also int, float, bool, date and
            datetime, Parquet also Decimal, list and dict, JSONL any JSON value but null.
        past: The ``_opus`` object of a row that came out of ``failures.jsonl``; None elsewhere.
    """

    index: int
    where: str
    cells: Mapping[str, Any]
    past: Mapping[str, Any] | None = None


class Manifest(Protocol):
    """An open manifest. It holds no file open but while :meth:`records` is iterated."""

    @property
    def path(self) -> Path:
        """As given, absolute."""

    @property
    def kind(self) -> str:
        """``csv``, ``jsonl``, ``xlsx``, ``parquet``, ``folder`` or ``glob``."""

    @property
    def base(self) -> Path:
        """The folder that relative file cells start at: the manifest's own."""

    @property
    def columns(self) -> tuple[str, ...] | None:
        """Their names; None where rows may differ (jsonl)."""

    @property
    def warnings(self) -> Sequence[str]:
        """What was assumed or left out, a sentence each; may grow while records are read."""

    def records(self) -> Iterator[Record]:
        """Read the rows, streamed; may be called again, and reads the file again.

        A row that cannot be read is left out, and the others go on; the end then raises. So nothing may be
        acted upon before the iteration has ended once without an error.

        Raises:
            ManifestError: With the first 50 rows that cannot be read; or at once: the file cannot be read,
                or is not any more what was opened.
        """

    def stamp(self) -> str:
        """Text that changes when the manifest does. Stats and reads nothing.

        Take it before :meth:`records`: then a change that comes in between is noticed the next time.

        Raises:
            ManifestError: It is gone or cannot be looked at.
        """

    def estimated_rows(self) -> int | None:
        """About how many rows there are, for a progress bar; None when nobody can tell cheaply."""
