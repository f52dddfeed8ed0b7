"""XLSX exports: a sheet of rows that can be sorted, filtered and added up, and a sheet with their summary.

Rows are streamed: the library keeps one of them in memory. Texts are texts, never formulas or links.
"""

from __future__ import annotations

import io
import itertools
import tempfile
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, BinaryIO

from opus_async.batch.outputs.iso_dates import DateForm, as_datetime
from opus_async.batch.outputs.table_writers import (
    EXACT,
    Column,
    Kind,
    Rows,
    as_cell,
    missing_library,
    replace_surrogates,
)
from opus_async.errors import ConfigurationError

XLSX_ROWS = 1_048_575
"""Rows that a sheet holds below its head."""
XLSX_COLUMNS = 16_384
XLSX_CHARACTERS = 32_767
"""UTF-16 units that a cell holds."""
CUT = "… [cut: an Excel cell holds no more]"
ROWS_SHEET, SUMMARY_SHEET = "batch", "summary"

_MEASURED = 500
"""Rows from which the widths of columns are taken: enough to see what is usual."""
_NARROW, _WIDE = 6, 60
"""Widths of columns, in characters."""
_BUTTON = 3
"""Characters that the button of the filter covers."""
_NAME_WIDTH, _VALUE_WIDTH = 36, 60


@dataclass(frozen=True, slots=True)
class SummaryLine:
    """A line of the summary.

    Attributes:
        name: What it tells.
        value: A text, a number, or a datetime in UTC without a time zone; None where there is none.
    """

    name: str
    value: str | float | datetime | None


@dataclass(frozen=True, slots=True)
class SummaryBlock:
    """Lines of the summary below a heading."""

    title: str
    lines: Sequence[SummaryLine]


def write_xlsx(
    file: BinaryIO, columns: Sequence[Column], rows: Rows, summary: Iterable[SummaryBlock] = ()
) -> None:
    """A workbook: the rows below a head that stays in sight and filters them, and what they come to.

    Numbers are numbers and dates dates, where all values of a column are; objects and lists are JSON text,
    integers beyond 2^53 text (Excel would round them). A text that is longer than a cell holds is cut and
    ends with :data:`CUT`. Columns are as wide as the first rows need, within bounds.

    Args:
        file: Stays open.
        columns: Its head; at most :data:`XLSX_COLUMNS`.
        rows: Below the head; at most :data:`XLSX_ROWS`.
        summary: What stands in the second sheet; there is none without it.

    Raises:
        ConfigurationError: The library is missing, or these are too many columns.
    """
    try:
        import xlsxwriter  # type: ignore[import-untyped]  # noqa: PLC0415 - heavy, not everybody's, untyped
    except ImportError:
        raise missing_library("xlsx", "cli") from None
    if len(columns) > XLSX_COLUMNS:
        raise ConfigurationError(
            f"an XLSX sheet holds {XLSX_COLUMNS:,} columns, and these are {len(columns):,}: export to jsonl"
        )
    target = _Target(file)
    with tempfile.TemporaryDirectory() as folder:
        options = {"constant_memory": True, "tmpdir": folder}
        try:
            with xlsxwriter.Workbook(target, options) as workbook:
                workbook.use_zip64()
                _RowsSheet(workbook, columns).write(rows)
                if blocks := list(summary):
                    _write_summary(workbook, blocks)
        except BaseException:
            target.give_up()
            raise


class _Target:
    """The file of a workbook: what is written after a failure goes nowhere.

    The library leaves an archive behind that ends itself when it is collected; our file is closed by then,
    and Python would print the trace of that.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file: BinaryIO = file

    def give_up(self) -> None:
        self._file = io.BytesIO()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class _RowsSheet:
    """The sheet with the rows."""

    def __init__(self, workbook: Any, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._sheet = workbook.add_worksheet(ROWS_SHEET)
        self._bold = workbook.add_format({"bold": True})
        known = {
            form: workbook.add_format({"num_format": form}) for form in set(map(_format_of, columns)) if form
        }
        self._formats = [known.get(_format_of(column)) for column in columns]
        self._widths = [_width(column.name) + _BUTTON for column in columns]

    def write(self, rows: Rows) -> None:
        from xlsxwriter.utility import xl_rowcol_to_cell  # type: ignore[import-untyped]  # noqa: PLC0415 - as above

        sheet = self._sheet
        sheet.freeze_panes(1, 0)
        for place, column in enumerate(self._columns):
            sheet.write_string(0, place, _fitting(column.name), self._bold)
        last = 0
        for last, row in enumerate(rows, 1):
            for place, (value, column) in enumerate(zip(row, self._columns, strict=True)):
                self._write_cell(last, place, value, column)
            if last <= _MEASURED:
                self._measure(row)
        for place, width in enumerate(self._widths):
            sheet.set_column(place, place, min(max(width, _NARROW), _WIDE))
        if self._columns:
            sheet.autofilter(0, 0, last, len(self._columns) - 1)
            everywhere = f"A1:{xl_rowcol_to_cell(last, len(self._columns) - 1)}"
            sheet.ignore_errors({"number_stored_as_text": everywhere})  # an id is a text, and no mistake

    def _write_cell(self, line: int, place: int, value: Any, column: Column) -> None:
        sheet = self._sheet
        if value is None:
            return
        if isinstance(value, bool):
            sheet.write_boolean(line, place, value)
        elif column.kind is Kind.TIME:
            sheet.write_datetime(line, place, _in_utc(value), self._formats[place])
        elif isinstance(value, int | float) and -EXACT <= value <= EXACT:
            sheet.write_number(line, place, value, self._formats[place])
        elif column.date_form is not None and isinstance(value, str):
            sheet.write_datetime(line, place, as_datetime(value), self._formats[place])
        else:
            sheet.write_string(line, place, _fitting(str(as_cell(value, column.kind))))

    def _measure(self, row: Sequence[Any]) -> None:
        for place, (value, column) in enumerate(zip(row, self._columns, strict=True)):
            if value is not None:
                self._widths[place] = max(self._widths[place], _width(_displayed(value, column)) + 1)


def _write_summary(workbook: Any, blocks: Sequence[SummaryBlock]) -> None:
    sheet = workbook.add_worksheet(SUMMARY_SHEET)
    sheet.set_column(0, 0, _NAME_WIDTH)
    sheet.set_column(1, 1, _VALUE_WIDTH)
    title = workbook.add_format({"bold": True})
    name = workbook.add_format({"text_wrap": True, "valign": "top"})
    plain = workbook.add_format({"align": "left", "valign": "top", "text_wrap": True})
    moment = workbook.add_format({"align": "left", "num_format": DateForm.MOMENT_UTC.value})
    lines = itertools.count()
    for number, block in enumerate(blocks):
        if number:
            next(lines)
        sheet.write_string(next(lines), 0, _fitting(block.title), title)
        for each in block.lines:
            line = next(lines)
            sheet.write_string(line, 0, _fitting(each.name), name)
            if isinstance(each.value, datetime):
                sheet.write_datetime(line, 1, each.value, moment)
            elif isinstance(each.value, str):
                sheet.write_string(line, 1, _fitting(each.value), plain)
            elif each.value is not None:
                sheet.write_number(line, 1, each.value, plain)


def _format_of(column: Column) -> str:
    """The number format of a column; empty for the general one."""
    if column.kind is Kind.TIME:
        return DateForm.MOMENT_UTC.value
    return column.date_form.value if column.date_form else column.number_format


def _in_utc(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC).replace(tzinfo=None)


def _displayed(value: Any, column: Column) -> str:
    """About what a cell shows."""
    if form := _format_of(column):
        return form
    if isinstance(value, str):
        return value[: 4 * _WIDE].partition("\n")[0]
    return str(as_cell(value, column.kind))[:_WIDE]


def _width(text: str) -> int:
    """Columns that a text takes in letters of even width, up to the widest that is shown."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text[:_WIDE])


def _fitting(text: str) -> str:
    """The text as a cell of a sheet can hold it."""
    text = replace_surrogates(text)
    if text.startswith("<r>") and text.endswith("</r>"):
        text = f" {text}"  # the library would take it for its own XML, and write it as it is
    units = text.encode("utf-16-le")
    if len(units) <= 2 * XLSX_CHARACTERS:
        return text
    return units[: 2 * (XLSX_CHARACTERS - len(CUT))].decode("utf-16-le", "ignore") + CUT
