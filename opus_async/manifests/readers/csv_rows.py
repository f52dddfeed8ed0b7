"""Splits a table in text into rows, and goes on behind each row that cannot be read."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import NamedTuple

from opus_async.manifests.advised import Advised
from opus_async.manifests.blanks import all_blank, looks_blank
from opus_async.manifests.readers.csv_field_limit import LONGEST_CELL
from opus_async.manifests.readers.text_lines import (
    DAMAGED,
    ZERO,
    RowLines,
    RowTooLongError,
    row_too_long,
    too_long,
)

LONGEST_ROW = 32 << 20
"""Characters of one row, however many lines it has: with all its cells about 400 MB of memory at most."""
_NEVER_CLOSED = Advised(
    "a double quote opens a cell here that is never closed", "close it, or double it if it is text"
)
_CLOSED_LATE = "expected after"
_END_OF_DOS_FILE = "\x1a"


class TableRow(NamedTuple):
    """A row that is not blank.

    Attributes:
        first: The number of its first line, from 1.
        last: The number of its last line.
        cells: Its cells; None where they cannot be read.
        problem: Why not, and the fix; empty where they can be.
        has_zeros: Whether a cell has a zero byte.
    """

    first: int
    last: int
    cells: list[str] | None
    problem: str = ""
    has_zeros: bool = False

    @property
    def where(self) -> str:
        """Its lines, in words."""
        return f"line {self.first}" if self.first == self.last else f"lines {self.first} to {self.last}"


class TableText(NamedTuple):
    """How a table is written.

    Attributes:
        name: The name of the file, for messages.
        delimiter: What separates cells.
        newline: As the file is opened.
        lines_above: How many lines come before the one with the names of the columns.
    """

    name: str
    delimiter: str
    newline: str
    lines_above: int


def table_rows(text: io.TextIOWrapper, table: TableText, least: int = 0, most: int = 0) -> Iterator[TableRow]:
    """The rows that are not blank.

    A quote that is never closed takes into its cell what follows, to the next quote or to the end. Where a
    row has some cells at least, and the lines that it took have so many or all have fewer, its own line alone
    is a bad row, and they are read on their own: lines of a text have too few to be taken for rows. A row
    that is too long ends where its quotes say, and if that is nowhere, as one with a quote never closed.

    Args:
        text: The file, from its beginning.
        table: How it is written.
        least: How many cells a row has at least; 0 where that is not known, or where it may have fewer.
        most: How many cells it has at most.

    Raises:
        ManifestError: The end of a row that is too long is not found.
    """
    lines = _TableLines(text, table.name, LONGEST_ROW, table.newline)
    for _ in range(table.lines_above):
        next(lines)
    reader = csv.reader(lines, delimiter=table.delimiter, strict=True)
    while True:
        lines.next_row()
        first = lines.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (csv.Error, RowTooLongError) as error:
            took_rows = least > 1 and _took_rows(lines, table.delimiter, least, most)
            problem = DAMAGED if lines.has_zeros() else _advice(error)
            if took_rows and lines.number > first and _CLOSED_LATE in problem:
                problem = _NEVER_CLOSED
            if _is_too_long(error):
                _find_end(lines, table, first, took_rows=took_rows, least=least)
            elif took_rows:
                lines.end_row_at_first_line()
            yield TableRow(first, lines.number, None, problem)
            continue
        if not all_blank(cells):
            yield TableRow(first, lines.number, cells, has_zeros=lines.met_zero)


class _TableLines(RowLines):
    """The lines of a table, without marks that carry nothing.

    Attributes:
        met_zero: Whether a line of the row that was given has a zero byte.
    """

    met_zero = False

    def __next__(self) -> str:
        line = super().__next__()
        if ZERO in line:
            self.met_zero = True
        if line[0] == "\ufeff" and self.begins_row:
            line = line[1:]
        return line[:-1] if line[-1:] == _END_OF_DOS_FILE else line

    def next_row(self) -> None:
        super().next_row()
        self.met_zero = False

    def has_zeros(self) -> bool:
        """Whether the row, as far as it was read, has a zero byte."""
        return ZERO in self.first_of_row() or ZERO in self.rest_of_row()

    def first_of_row(self) -> str:
        return super().first_of_row().removeprefix("\ufeff")


class _Scan:
    """Follows the cells and quotes of a row as the csv module does, in pieces of any size.

    Attributes:
        in_quotes: Whether a cell in quotes is not closed yet.
        cells: How many cells there are so far.
        is_sound: Whether there was nothing so far that the csv module refuses: text behind a closed cell.
        opened: Whether the quote that seemed to close that cell stands where one opens a cell.
    """

    def __init__(self, delimiter: str) -> None:
        self.in_quotes = False
        self.cells = 1
        self.is_sound = True
        self.opened = False
        self._delimiter = delimiter
        self._begins_cell = True
        self._behind_quote = False

    def add(self, piece: str) -> None:
        """Go on behind the next piece."""
        place = 0
        while place < len(piece):
            if self._behind_quote:
                self._behind_quote = False
                if piece[place] == '"':  # doubled: one of the text
                    self.in_quotes = True
                    place += 1
                elif self.is_sound and piece[place] not in (self._delimiter, "\r", "\n"):
                    self.is_sound = False
                    before = piece[place - 2 : place - 1] if place > 1 else "\n"
                    self.opened = before in (self._delimiter, "\r", "\n")
            elif self.in_quotes:
                place = piece.find('"', place) + 1
                if not place:
                    return
                self.in_quotes, self._behind_quote = False, True
            elif self._begins_cell and piece[place] == '"':
                self._begins_cell, self.in_quotes = False, True
                place += 1
            else:
                place = self._without_quotes(piece, place)

    def _without_quotes(self, piece: str, place: int) -> int:
        """Pass cells without quotes; returns where the next cell in quotes begins, or the end."""
        begins = piece.find(f'{self._delimiter}"', place)
        end = len(piece) if begins < 0 else begins + 1
        self.cells += piece.count(self._delimiter, place, end)
        self._begins_cell = piece[end - 1] == self._delimiter
        return end


def _took_rows(lines: _TableLines, delimiter: str, least: int, most: int) -> bool:
    """Whether a cell whose quote was not closed took lines that are rows of their own, or harm nobody so.

    A text has lines with some cells and lines with fewer: of these none may be taken for a row.
    """
    rest = lines.rest_of_row()
    if not rest:
        return True
    scan = _Scan(delimiter)
    scan.add(lines.first_of_row())
    scan.add(rest)
    taken = rest.splitlines()[: -1 if lines.in_line else None]  # the last is cut off there
    if not scan.is_sound:
        if not scan.opened:
            return False
        taken = [line for line in taken if '"' not in line]
    elif '"' in rest:
        return False
    counts = {line.count(delimiter) + 1 for line in taken if not looks_blank(line)}
    return all(least <= count <= most for count in counts) or all(count < least for count in counts)


def _find_end(lines: _TableLines, table: TableText, begins: int, *, took_rows: bool, least: int) -> None:
    """Read to the end of a row that is too long.

    Raises:
        ManifestError: It is not found.
    """
    scan = _Scan(table.delimiter)
    scan.add(lines.first_of_row())
    scan.add(lines.rest_of_row())

    def ends() -> bool | None:
        if least > 1 and (not scan.is_sound or (not scan.in_quotes and scan.cells < least)):
            return None
        return not scan.in_quotes

    if lines.in_line and lines.begins_row:
        lines.read_on(scan.add, lambda: True, to_end=True)
    if not (lines.in_line or scan.in_quotes) or lines.read_on(scan.add, ends, to_end=not took_rows):
        return
    if not took_rows:
        raise too_long(table.name, begins, LONGEST_ROW)
    lines.end_row_at_first_line()


def _is_too_long(error: Exception) -> bool:
    return isinstance(error, RowTooLongError) or "field limit" in str(error)


def _advice(error: Exception) -> str:
    """What is wrong with a row that cannot be read, and the fix."""
    words = str(error)
    if isinstance(error, RowTooLongError):
        return row_too_long(LONGEST_ROW)
    if "unexpected end" in words:
        return _NEVER_CLOSED
    if "new-line" in words:
        return Advised(
            "a line break (CR) in the middle of a row", "a cell of several lines must stand in double quotes"
        )
    if "field limit" in words:
        return Advised(
            f"a cell of more than {LONGEST_CELL:,} characters",
            "is a double quote opened and never closed? Longer texts belong into files",
            "; ",
        )
    return f'inside a cell in double quotes each quote of the text is written twice ("") ({words})'
