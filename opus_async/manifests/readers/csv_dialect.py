"""Chooses the character that separates the cells of a table in text."""

from __future__ import annotations

import csv
import io
import re
import shlex
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from opus_async.errors import ManifestError
from opus_async.manifests.blanks import all_blank

CANDIDATES = (",", ";", "\t", "|")
_WORDS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
_EXCELS_LINE = re.compile(r'"?sep=(.)"?(?:\r\n|\r|\n|$)', re.IGNORECASE)
_ROWS = 200
"""Rows that are compared at most."""


def given_delimiter(delimiter: str) -> str:
    """The delimiter that a caller named, as a character or as a word.

    Raises:
        ManifestError: It cannot be one.
    """
    character = _WORDS.get(delimiter.lower(), delimiter)
    if len(character) != 1 or character in '"\r\n\0':
        raise ManifestError(f"{delimiter!r} cannot separate cells: give one character, or the word tab")
    return character


def delimiter_line(text: str) -> str | None:
    """The delimiter of a first line ``sep=;``, as Excel writes it; None where there is no such line."""
    found = _EXCELS_LINE.match(text)
    return found[1] if found else None


def guessed_delimiter(path: Path, text: str, *, complete: bool) -> str:
    """Choose the delimiter that splits the header, and the rows into as many cells.

    Args:
        path: The path of the file, for messages.
        text: The first part of the file.
        complete: Whether that is all of it; else its last row may be cut off.

    Returns:
        One of :data:`CANDIDATES`; a comma if none splits the header.

    Raises:
        ManifestError: Two do it equally well.
    """
    tried = [(_fit(text, delimiter, complete=complete), delimiter) for delimiter in CANDIDATES]
    fits = sorted(
        (pair for pair in tried if pair[0].columns > 1), key=lambda pair: pair[0].rank, reverse=True
    )
    if not fits:
        return ","
    if len(fits) > 1 and fits[0][0].rank == fits[1][0].rank:
        first, second = sorted((fits[0][1], fits[1][1]))
        raise ManifestError(
            f"{path.name}: cells may be separated by {first!r} or by {second!r}, both fit; say which with "
            f"--delimiter {_typed(first)} or --delimiter {_typed(second)} (in Python delimiter=...)"
        )
    return fits[0][1]


def _typed(delimiter: str) -> str:
    """A delimiter as it is typed in a shell."""
    return "tab" if delimiter == "\t" else shlex.quote(delimiter)


@dataclass(frozen=True, slots=True)
class _Fit:
    """How well a delimiter fits.

    Attributes:
        columns: The cells of the first row.
        share: The share of rows that have as many cells, 0 to 1.
        clean: Whether the rows could be read without an error.
    """

    columns: int = 0
    share: float = 0.0
    clean: bool = False

    @property
    def rank(self) -> tuple[bool, float, int]:
        return self.clean, self.share, self.columns


def _fit(text: str, delimiter: str, *, complete: bool) -> _Fit:
    rows, clean = _first_rows(text, delimiter, complete=complete)
    if not rows:
        return _Fit()
    columns = len(rows[0])
    return _Fit(columns, sum(len(row) == columns for row in rows) / len(rows), clean)


def _first_rows(text: str, delimiter: str, *, complete: bool) -> tuple[list[list[str]], bool]:
    """The first rows that are not blank, and whether they could be read without an error."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[list[str]] = []
    try:
        rows.extend(row for row in islice(reader, _ROWS) if not all_blank(row))
    except csv.Error as error:
        cut_off = not complete and "unexpected end" in str(error)
        return rows, cut_off
    if not complete and len(rows) > 1:
        rows.pop()  # it may be the one that was cut off
    return rows, True
