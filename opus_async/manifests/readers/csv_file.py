"""CSV, TSV and other tables in text."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from opus_async.errors import ManifestError
from opus_async.manifests.advised import Advised
from opus_async.manifests.blanks import all_blank, looks_blank
from opus_async.manifests.model import Record, Unreadable
from opus_async.manifests.readers.bad_bytes import has_bad_byte
from opus_async.manifests.readers.csv_dialect import delimiter_line, given_delimiter, guessed_delimiter
from opus_async.manifests.readers.csv_field_limit import long_cells
from opus_async.manifests.readers.csv_rows import TableRow, TableText, table_rows
from opus_async.manifests.readers.encoding import (
    decoded_head,
    decoded_rows,
    given_encoding,
    known_encoding,
    mistaken_for,
    tolerant_text,
    undecodable,
)
from opus_async.manifests.readers.encoding_doubt import not_utf8_but_zeros
from opus_async.manifests.readers.file_type import refuse_other_content
from opus_async.manifests.readers.header import column_names, header_name
from opus_async.manifests.readers.raw_rows import RawRow, numbered
from opus_async.manifests.readers.source_file import Source
from opus_async.manifests.readers.text_lines import DAMAGED
from opus_async.text import counted

_COMPARED = 20
"""Rows below the first that show whether that one is a title."""
_TAB_SUFFIXES = frozenset({".tsv", ".tab"})
_NAMELESS = ""
_LONE_RETURN = re.compile(r"[^\r\n]*\r(?!\n)")
"""The first line ends in a CR alone, as on old Macs. In other files a CR inside of a row is an error."""


class DelimitedManifest:
    """A manifest in a table of text; see :class:`opus_async.manifests.Manifest`.

    Args:
        path: The file, absolute.
        delimiter: What separates cells; None to detect it.
        encoding: The encoding; None to detect it.
        pad_short_rows: Whether the cells that a row has too few are empty ones at its end; else the row is
            refused.

    Raises:
        ManifestError: It is no table in text.
    """

    kind = "csv"

    def __init__(
        self,
        path: Path,
        *,
        delimiter: str | None = None,
        encoding: str | None = None,
        pad_short_rows: bool = False,
    ) -> None:
        self.path = path
        self._pads = pad_short_rows
        self.base = path.parent
        self.warnings: list[str] = []
        self._source = Source(path)
        head = self._source.head()
        refuse_other_content(path, head, "text")
        self._encoding = self._settled_encoding(head, encoding)
        text = self._first_part(head)
        self._newline = "" if _LONE_RETURN.match(text) else "\n"
        named = delimiter_line(text)
        self._lines_above = 0 if named is None else 1
        complete = len(head) >= self._source.size
        self._delimiter = self._settled_delimiter(
            text, named if delimiter is None else delimiter, complete=complete
        )
        self._names = self._header()
        self.columns = tuple(name for name in self._names if name)
        lines = text.count("\n") or text.count("\r")
        self._rows = max(0, round(lines * self._source.size / len(head)) - 1)

    def records(self) -> Iterator[Record]:
        """Read each row that is not blank."""
        with long_cells():
            yield from decoded_rows(
                self._source,
                self._encoding,
                self._newline,
                lambda text: numbered(self._raw_rows(text), self.columns),
            )

    def stamp(self) -> str:
        """The stamp of the file."""
        return self._source.stamp()

    def estimated_rows(self) -> int:
        """Estimate by the lines of the first part, so that a cell of several lines counts as several rows."""
        return self._rows

    def _settled_encoding(self, head: bytes, told: str | None) -> str:
        if told is not None:
            encoding = given_encoding(told, head)
            self.warnings += filter(None, [mistaken_for(encoding, head)])
            return encoding
        return known_encoding(self._source, head)

    def _first_part(self, head: bytes) -> str:
        text = decoded_head(self._source, head, self._encoding).removeprefix("\ufeff")
        if not text.strip():
            raise ManifestError(
                f"{self.path} is empty: its first line names the columns, and a row follows for each job"
            )
        if _is_json(text):
            raise ManifestError(f"{self.path.name} holds JSON, an object on each line: name it .jsonl")
        return text

    def _settled_delimiter(self, text: str, told: str | None, *, complete: bool) -> str:
        if told is not None:
            return given_delimiter(told)
        if self.path.suffix.lower() in _TAB_SUFFIXES:
            return "\t"
        with long_cells():
            delimiter = guessed_delimiter(self.path, text, complete=complete)
        if delimiter != ",":
            self.warnings.append(f"cells are separated by {delimiter!r}")
        return delimiter

    def _header(self) -> tuple[str, ...]:
        with self._source.reading() as file, long_cells():
            text = tolerant_text(file, self._encoding, self._newline)
            try:
                lines = list(islice(self._rows_of(text), 1 + _COMPARED))
            except UnicodeDecodeError as error:
                raise undecodable(self._source, self._encoding) from error
        if not lines:
            raise ManifestError(f"{self.path} has no row that names the columns")
        first, *others = lines
        if first.cells is None:
            raise ManifestError(f"{self.path.name}, line {first.first}: {first.problem}")
        if first.has_zeros:
            raise not_utf8_but_zeros(self._source, self._source.head())
        if any(map(has_bad_byte, first.cells)):
            raise undecodable(self._source, self._encoding)
        self._refuse_title(first.cells, others)
        return column_names(self.path, f"line {first.first}", first.cells)

    def _refuse_title(self, first: list[str], others: Sequence[TableRow]) -> None:
        """Refuse a first row of one cell where no row fits it: a title stands above the names of columns.

        Raises:
            ManifestError: With the fix.
        """
        named = [place for place, cell in enumerate(first) if not looks_blank(cell)]
        rows = [line.cells for line in others if line.cells is not None]
        if len(named) == 1 and rows and all(_reaches_beyond(row, named[0]) for row in rows):
            raise ManifestError(
                f"{self.path.name}: the first line has one cell, {header_name(first[named[0]])!r:.60}, and "
                "the lines below it have more: if it is a title, delete what stands above the line with the "
                f"names of the columns; if it is the only column, a cell that holds {self._delimiter!r} must "
                "stand in double quotes"
            )

    def _rows_of(self, text: io.TextIOWrapper, least: int = 0, most: int = 0) -> Iterator[TableRow]:
        table = TableText(self.path.name, self._delimiter, self._newline, self._lines_above)
        return table_rows(text, table, least, most)

    def _raw_rows(self, text: io.TextIOWrapper) -> Iterator[RawRow]:
        names = self._names
        width = len(names)
        needed = max(place for place, name in enumerate(names, 1) if name)
        rows = self._rows_of(text, 1 if self._pads else needed, width)
        next(rows)  # the header
        for line in rows:
            row = line.cells
            if row is None:
                yield RawRow(line.where, {}, (Unreadable(problem=line.problem),))
                continue
            cells = {name: cell for name, cell in zip(names, row, strict=False) if cell}
            wrong: tuple[Unreadable, ...] = ()
            if line.has_zeros and not needed <= len(row) <= width:
                wrong = (Unreadable(problem=DAMAGED),)
            elif len(row) > width and not all_blank(row[width:]):
                wrong = (Unreadable(problem=self._too_many(len(row)), group="more cells than columns"),)
            elif len(row) < needed and not self._pads:
                wrong = (Unreadable(problem=self._too_few(len(row)), group="fewer cells than columns"),)
            elif _NAMELESS in cells and not looks_blank(cells[_NAMELESS]):
                stray = cells.pop(_NAMELESS)
                wrong = (
                    Unreadable(
                        problem=Advised(f"{stray!r:.60} stands in a column without a name", "give it one"),
                        group="a value in a column without a name",
                    ),
                )
            yield RawRow(f"line {line.first}", cells, wrong)

    def _too_many(self, count: int) -> str:
        return Advised(
            f"{counted(count, 'cell')}, but the first row names {counted(len(self._names), 'column')}",
            f"a cell that holds {self._delimiter!r} must stand in double quotes",
            "; ",
        )

    def _too_few(self, count: int) -> str:
        return Advised(
            f"{counted(count, 'cell')}, but the first row names {counted(len(self._names), 'column')}",
            f"is a {self._delimiter!r} missing, or is the line cut off? If empty cells at the end were left "
            "out, --pad-short-rows (in Python pad_short_rows=True) adds them",
        )


def _reaches_beyond(row: Sequence[str], place: int) -> bool:
    """Whether a row has a value behind the only column that has a name."""
    return not all_blank(row[place + 1 :]) or (place > 0 and not all_blank(row[:place]))


def _is_json(text: str) -> bool:
    """Whether the first line is a JSON object."""
    first = text.lstrip().partition("\n")[0]
    try:
        return first.startswith("{") and isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False
