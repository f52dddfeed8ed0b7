"""CSV, TSV and other tables in text."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

from opus_async.errors import ManifestError
from opus_async.manifests.model import Record
from opus_async.manifests.readers.csv_dialect import delimiter_line, given_delimiter, guessed_delimiter
from opus_async.manifests.readers.csv_field_limit import LONGEST_CELL, long_cells
from opus_async.manifests.readers.encoding import (
    decoded,
    decoded_head,
    given_encoding,
    known_encoding,
    undecodable,
)
from opus_async.manifests.readers.file_type import refuse_other_content
from opus_async.manifests.readers.header import column_names
from opus_async.manifests.readers.row_errors import RowErrors
from opus_async.manifests.readers.source_file import Source
from opus_async.manifests.readers.text_lines import RowLines

LONGEST_ROW = 32 << 20
"""Characters of one row, however many lines it has: with all its cells about 400 MB of memory at most."""

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

    Raises:
        ManifestError: It is no table in text.
    """

    kind = "csv"

    def __init__(self, path: Path, *, delimiter: str | None = None, encoding: str | None = None) -> None:
        self.path = path
        self.base = path.parent
        self.warnings: list[str] = []
        self._source = Source(path)
        head = self._source.head()
        refuse_other_content(path, head, "text")
        self._encoding = self._settled_encoding(head, encoding)
        text = self._first_part(head)
        self._newline = "" if _LONE_RETURN.match(text) else "\n"
        named = delimiter_line(text)
        self._lines_before = 0 if named is None else 1
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
        problems = RowErrors(self.path)
        with decoded(self._source, self._encoding, self._newline) as text, long_cells():
            yield from self._records(text, problems)
        problems.raise_if_any()

    def stamp(self) -> str:
        """The stamp of the file."""
        return self._source.stamp()

    def estimated_rows(self) -> int:
        """Estimate by the lines of the first part, so that a cell of several lines counts as several rows."""
        return self._rows

    def _settled_encoding(self, head: bytes, told: str | None) -> str:
        if told is not None:
            return given_encoding(told, head)
        return known_encoding(self._source, head)

    def _first_part(self, head: bytes) -> str:
        try:
            text = decoded_head(self._source, head, self._encoding).removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            raise undecodable(self._source, self._encoding) from error
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
            text = io.TextIOWrapper(file, encoding=self._encoding, newline=self._newline)
            try:
                line, cells = next(self._rows_of(text))
            except StopIteration:
                raise ManifestError(f"{self.path} has no row that names the columns") from None
            except UnicodeDecodeError as error:
                raise undecodable(self._source, self._encoding) from error
        if isinstance(cells, csv.Error):
            raise ManifestError(f"{self.path.name}, line {line}: {_advice(cells)}")
        return column_names(self.path, f"line {line}", cells)

    def _rows_of(self, text: io.TextIOWrapper) -> Iterator[tuple[int, list[str] | csv.Error]]:
        """The line at which each row begins, from 1, and its cells or the error; blank rows are left out."""
        lines = RowLines(text, self.path.name, LONGEST_ROW)
        for _ in range(self._lines_before):
            next(lines)
        reader = csv.reader(self._undamaged(lines), delimiter=self._delimiter, strict=True)
        while True:
            lines.next_row()
            line = reader.line_num + self._lines_before + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield line, error
                continue
            if any(cells):
                yield line, cells

    def _undamaged(self, lines: RowLines) -> Iterator[str]:
        """The lines of the file; raises ManifestError at a zero byte."""
        for line in lines:
            if "\0" in line:
                raise ManifestError(
                    f"{self.path.name}, line {lines.number}: a zero byte; the file is damaged from there on "
                    "(a crash or a full disk leaves such files): make it again"
                )
            yield line

    def _records(self, text: io.TextIOWrapper, problems: RowErrors) -> Iterator[Record]:
        names = self._names
        width = len(names)
        rows = self._rows_of(text)
        next(rows)  # the header
        for index, (line, row) in enumerate(rows):
            where = f"line {line}"
            if isinstance(row, csv.Error):
                problems.add(where, _advice(row))
                continue
            cells = {name: cell for name, cell in zip(names, row, strict=False) if cell}
            if len(row) > width and any(row[width:]):
                problems.add(where, self._too_many(len(row)))
            elif _NAMELESS in cells:
                problems.add(
                    where, f"{cells[_NAMELESS]!r:.60} stands in a column without a name: give it one"
                )
            else:
                yield Record(index=index, where=where, cells=cells)

    def _too_many(self, count: int) -> str:
        return (
            f"{count} cells, but the first row names {len(self._names)} columns; a cell that holds "
            f"{self._delimiter!r} must stand in double quotes"
        )


def _is_json(text: str) -> bool:
    """Whether the first line is a JSON object."""
    first = text.lstrip().partition("\n")[0]
    try:
        return first.startswith("{") and isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


def _advice(error: csv.Error) -> str:
    """What is wrong with a row that the csv module cannot read, and the fix."""
    words = str(error)
    if "unexpected end" in words:
        return "a double quote opens a cell here that is never closed: close it, or double it if it is text"
    if "new-line" in words:
        return "a line break (CR) in the middle of a row: a cell of several lines must stand in double quotes"
    if "field limit" in words:
        return (
            f"a cell of more than {LONGEST_CELL:,} characters; is a double quote opened and never closed? "
            "Longer texts belong into files"
        )
    return f'inside a cell in double quotes each quote of the text is written twice ("") ({words})'
