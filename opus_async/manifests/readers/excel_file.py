"""Excel workbooks (XLSX): a sheet whose first row names the columns."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, BinaryIO

from opus_async.errors import ManifestError
from opus_async.manifests.advised import Advised, placed
from opus_async.manifests.blanks import carries_nothing
from opus_async.manifests.model import Record, Unreadable
from opus_async.manifests.readers.excel_cells import shown_cell
from opus_async.manifests.readers.excel_copy import damaged, repacked
from opus_async.manifests.readers.excel_extent import column_letters, column_number, measure
from opus_async.manifests.readers.excel_scan import MOST_REFUSED, scan_sheet
from opus_async.manifests.readers.file_type import refuse_other_content
from opus_async.manifests.readers.header import column_names
from opus_async.manifests.readers.raw_rows import RawRow, numbered
from opus_async.manifests.readers.source_file import Source
from opus_async.text import counted

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook


class WorkbookManifest:
    """A manifest in a workbook; see :class:`opus_async.manifests.Manifest`.

    The whole sheet is in memory while it is read, about 40 MB for 100,000 rows of 5 columns, and only then. A
    workbook that would take more than about 700 MB is refused, whatever it claims to be: see
    :data:`~opus_async.manifests.readers.excel_copy.MOST_XML` and
    :data:`~opus_async.manifests.readers.excel_extent.MOST_PLACES`.

    Args:
        path: The file, absolute.
        sheet: The sheet to read; None for the first visible one.

    Raises:
        ManifestError: It is no workbook, has no such sheet, or its first row names no columns; or the library
            that reads workbooks is not installed.
    """

    kind = "xlsx"

    def __init__(self, path: Path, *, sheet: str | None = None) -> None:
        self.path = path
        self.base = path.parent
        self.warnings: list[str] = []
        self._source = Source(path)
        refuse_other_content(path, self._source.head(), "workbook")
        with self._source.reading() as file, repacked(path, file) as copy:
            self._sheet = self._settled_sheet(copy, sheet)
            measure(path, copy, self._sheet)
            self._findings = scan_sheet(path, copy, self._sheet)
            self._read_header(copy)
        self._warn()

    def records(self) -> Iterator[Record]:
        """Read each row that is not blank; errors and formulas without a value are unreadable cells."""
        if self._findings.too_many:
            raise ManifestError(
                f"{self.path.name}, sheet {self._sheet!r} has {MOST_REFUSED:,} rows and more with errors or "
                "formulas that were never calculated: open it in Excel or LibreOffice, mend and save it"
            )
        with self._source.reading() as file, repacked(self.path, file) as copy:
            sheet = self._opened_sheet(copy)
        yield from numbered(self._raw_rows(sheet), self.columns)

    def stamp(self) -> str:
        """The stamp of the file."""
        return self._source.stamp()

    def estimated_rows(self) -> int:
        """The number of rows below the header, blank ones included."""
        return self._rows

    def _settled_sheet(self, copy: BinaryIO, told: str | None) -> str:
        """The name of the sheet to read."""
        calamine = _calamine()
        workbook = self._workbook(copy)
        sheets = [one for one in workbook.sheets_metadata if one.typ == calamine.SheetTypeEnum.WorkSheet]
        workbook.close()
        names = [one.name for one in sheets]
        if told is not None:
            if told not in names:
                raise ManifestError(f"{self.path.name} has no sheet {told!r}; it has: {', '.join(names)}")
            return told
        visible = [one.name for one in sheets if one.visible == calamine.SheetVisibleEnum.Visible]
        if not visible:
            raise ManifestError(f"{self.path.name} shows no sheet with cells: say which with --sheet")
        if len(visible) > 1:
            others = ", ".join(repr(name) for name in visible[1:])
            self.warnings.append(
                f"sheet {visible[0]!r} is read, not {others}; to choose: --sheet (in Python sheet=...)"
            )
        return visible[0]

    def _workbook(self, copy: BinaryIO) -> CalamineWorkbook:
        calamine = _calamine()
        copy.seek(0)
        try:
            workbook: CalamineWorkbook = calamine.CalamineWorkbook.from_filelike(copy)
        except calamine.CalamineError as error:
            raise damaged(self.path) from error
        return workbook

    def _opened_sheet(self, copy: BinaryIO) -> CalamineSheet:
        """Read the whole sheet."""
        workbook = self._workbook(copy)
        try:
            return workbook.get_sheet_by_name(self._sheet)
        except _calamine().CalamineError as error:
            raise damaged(self.path) from error
        finally:
            workbook.close()

    def _read_header(self, copy: BinaryIO) -> None:
        """Find the first row that is not blank: it names the columns."""
        sheet = self._opened_sheet(copy)
        found = next(((number, row) for number, row in enumerate(sheet.iter_rows(), 1) if _filled(row)), None)
        if found is None or sheet.start is None or sheet.end is None:
            raise ManifestError(
                f"{self.path.name}, sheet {self._sheet!r} is empty: its first row names the columns, and a "
                "row follows for each job"
            )
        self._header_row, row = found
        self._first_column = sheet.start[1] + 1
        self._rows = sheet.end[0] + 1 - self._header_row
        for cell, why in self._findings.refused.get(self._header_row, ()):
            raise ManifestError(f"{self.path.name}, {self._place(cell)}: {why}")
        names = [
            str(self._shown(self._header_row, column, value))
            for column, value in enumerate(row, self._first_column)
        ]
        self._names = column_names(self.path, self._where(self._header_row), names)
        self.columns = tuple(name for name in self._names if name)

    def _warn(self) -> None:
        findings = self._findings
        if findings.hidden:
            rows = counted(findings.hidden, "hidden row is", "hidden rows are")
            self.warnings.append(
                f"{rows} read like the others, hidden by hand or by a filter; delete what is not to run"
            )
        if findings.merged and findings.merged[1] > self._header_row:
            self.warnings.append(
                f"{self._place(findings.merged[0])} is merged over rows: only the first row has the value"
            )

    def _raw_rows(self, sheet: CalamineSheet) -> Iterator[RawRow]:
        for number, row in self._numbered_rows(sheet):
            if number > self._header_row:
                cells, nameless = self._cells(number, row)
                refused = list(self._refused(number))
                for found in refused:
                    cells.pop(found.column or "", None)
                yield RawRow(self._where(number), cells, (*refused, *nameless))

    def _numbered_rows(self, sheet: CalamineSheet) -> Iterator[tuple[int, list[Any]]]:
        """The rows with their numbers, and rows below them that have nothing but errors, without cells."""
        number = 0
        for number, row in enumerate(sheet.iter_rows(), 1):
            yield number, row
        for below in sorted(one for one in self._findings.refused if one > number):
            yield below, []

    def _refused(self, number: int) -> Iterator[Unreadable]:
        """The cells of a row that cannot be used."""
        for cell, why in self._findings.refused.get(number, ()):
            place = column_number(cell.rstrip("0123456789").encode()) - self._first_column
            name = self._names[place] if 0 <= place < len(self._names) else ""
            yield Unreadable(problem=placed(self._place(cell), why), column=name or None, group=why)

    def _cells(self, number: int, row: list[Any]) -> tuple[dict[str, Any], list[Unreadable]]:
        """The cells of a row, and the values that stand in columns without a name."""
        cells: dict[str, Any] = {}
        nameless: list[Unreadable] = []
        for column, (name, value) in enumerate(zip(self._names, row, strict=False), self._first_column):
            if value == "":
                continue
            if name and self._is_plain(value):
                cells[name] = value
                continue
            place = partial(self._place_of, number, column)
            if name:
                cells[name] = self._shown(number, column, value)
            elif not carries_nothing(value):
                problem = Advised(
                    f"{place()}: {value!r:.60} stands in a column without a name",
                    f"name it in row {self._header_row}, which is the first row that is not blank, or clear "
                    "it",
                )
                nameless.append(Unreadable(problem=problem, group="a value in a column without a name"))
        return cells, nameless

    def _is_plain(self, value: Any) -> bool:
        """Whether it is a text that no format of the sheet shows otherwise."""
        findings = self._findings
        return isinstance(value, str) and not (findings.formats.change_texts or findings.conditions.rules)

    def _shown(self, number: int, column: int, value: Any) -> Any:
        """A cell as it is shown."""
        code = self._findings.formats.code(number, column)
        codes = self._findings.conditions.codes(number, column, value, code)
        return shown_cell(value, codes, partial(self._place_of, number, column))

    def _where(self, number: int) -> str:
        return f"sheet {self._sheet!r}, row {number}"

    def _place_of(self, number: int, column: int) -> str:
        return self._place(f"{column_letters(column)}{number}")

    def _place(self, cell: str) -> str:
        plain = self._sheet.replace("_", "").isalnum()
        return f"{self._sheet}!{cell}" if plain else f"'{self._sheet}'!{cell}"


def _calamine() -> ModuleType:
    """Import the library that reads workbooks, which is an extra.

    Raises:
        ManifestError: It is not installed.
    """
    try:
        import python_calamine  # noqa: PLC0415 - an extra
    except ImportError:
        raise ManifestError(
            "workbooks are read by an extra library: pip install 'opus-async[cli]'; or save it as CSV UTF-8"
        ) from None
    return python_calamine


def _filled(row: list[Any]) -> bool:
    return not all(map(carries_nothing, row))
