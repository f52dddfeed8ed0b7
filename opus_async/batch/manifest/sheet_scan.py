"""What the reader of workbooks keeps to itself: errors, formulas never calculated, hidden rows, the extent.

``python_calamine`` gives an empty cell for an error such as ``#N/A``: a job would be billed for a row that
lacks a value. And it allots memory for every place between the first value and the last: one value in the far
corner of a sheet ends the process.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from xml.etree import ElementTree as ET

from opus_async.errors import ManifestError

MOST_PLACES = 30_000_000
"""Between the first value of a sheet and the last; each takes about 30 bytes."""
MOST_REFUSED = 1_000
"""Rows with cells that cannot be used: after so many the sheet is not looked at any further."""

_CHUNK = 1 << 20

# A cell is <c r="B7" t="e"><f>1/0</f><v>#DIV/0!</v></c>; some programs write <x:c ...>, with a prefix
_PLACES = re.compile(rb'<(?:\w+:)?c\s[^>]*?\br="([A-Z]+)(\d+)"')
_ERRORS = re.compile(rb"<(?:\w+:)?c\s([^>]*?\bt=[\"']e[\"'][^>]*)(?<!/)>(.*?)</(?:\w+:)?c>", re.DOTALL)
_UNCALCULATED = re.compile(
    rb"<(?:\w+:)?c(\s[^>]*)>\s*<(?:\w+:)?f(?:\s[^>]*)?(?:/>|(?<!/)>[^<]*</(?:\w+:)?f>)\s*"
    rb"(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v>\s*</(?:\w+:)?v>)?\s*</(?:\w+:)?c>"
)
_TEXT_RESULT = re.compile(rb"\bt=[\"']str[\"']")
_HIDDEN = re.compile(rb"<(?:\w+:)?row\s[^>]*?\bhidden=[\"'](?:1|true)[\"']")
_MERGED = re.compile(rb"<(?:\w+:)?mergeCell\s[^>]*?\bref=[\"']([A-Z]+(\d+):[A-Z]+(\d+))[\"']")
_PLACE = re.compile(rb"\br=[\"']([A-Z]+(\d+))[\"']")
_VALUE = re.compile(rb"<(?:\w+:)?v>([^<]*)<")


@dataclass(slots=True)
class Findings:
    """What the XML of a sheet tells beside its values.

    Attributes:
        refused: Row number -> ``(place, what is wrong and the fix)`` of its cells.
        hidden: How many rows are hidden, by hand or by a filter.
        merged: The first range of merged cells that spans rows, with the number of its last row.
    """

    refused: dict[int, list[tuple[str, str]]] = field(default_factory=dict)
    hidden: int = 0
    merged: tuple[str, int] | None = None

    @property
    def too_many(self) -> bool:
        """Whether the sheet was not looked at any further."""
        return len(self.refused) >= MOST_REFUSED


def scan_sheet(path: Path, sheet: str) -> Findings:
    """Look through the XML of one sheet, a chunk at a time.

    Args:
        path: The workbook.
        sheet: The name of the sheet.

    Raises:
        ManifestError: The workbook is damaged, or a value stands too far from the others.
    """
    try:
        with zipfile.ZipFile(path) as workbook, workbook.open(_part(workbook, sheet)) as xml:
            return _scan(path, sheet, xml)
    except (
        zipfile.BadZipFile,
        zlib.error,
        ET.ParseError,
        LookupError,  # a part that is not there
        EOFError,
        NotImplementedError,  # a compression that Excel does not use
        RuntimeError,  # a password
    ) as error:
        raise damaged(path) from error


def damaged(path: Path) -> ManifestError:
    """What to say of a workbook that is none, or none that can be trusted."""
    return ManifestError(
        f"{path} cannot be read as a workbook: open it in Excel or LibreOffice and save it again as .xlsx, "
        "without a password"
    )


def _part(workbook: zipfile.ZipFile, sheet: str) -> str:
    """The name of the part that holds a sheet."""
    sheets = ET.fromstring(workbook.read("xl/workbook.xml"))  # noqa: S314 - expat bounds entities
    relations = ET.fromstring(workbook.read("xl/_rels/workbook.xml.rels"))  # noqa: S314 - as above
    ids = {
        element.get("name"): value
        for element in sheets.iterfind(".//{*}sheets/{*}sheet")
        for name, value in element.items()
        if name.endswith("}id")  # its namespace differs between the two editions of the standard
    }
    targets = {element.get("Id"): element.get("Target", "") for element in relations}
    target = targets[ids[sheet]]
    part = target.removeprefix("/") if target.startswith("/") else f"xl/{target}"
    return {name.lower(): name for name in workbook.namelist()}[part.lower()]


def _scan(path: Path, sheet: str, xml: IO[bytes]) -> Findings:
    findings = Findings()
    columns: set[bytes] = set()
    last_row = 0
    for rows in _whole_rows(xml):
        places = _PLACES.findall(rows)
        columns.update(column for column, _ in places)
        last_row = max(last_row, int(places[-1][1]) if places else 0)
        if last_row * max(map(column_number, columns), default=0) > MOST_PLACES:
            raise _too_wide(path, sheet, columns, last_row)
        if not findings.too_many:
            _note_errors(findings, rows)
            _note_uncalculated(findings, rows)
        if b"hidden" in rows:
            findings.hidden += len(_HIDDEN.findall(rows))
        if b"mergeCell" in rows and findings.merged is None:
            _note_merged(findings, rows)
    return findings


def _whole_rows(xml: IO[bytes]) -> Iterator[bytes]:
    """The XML in pieces that end where a row ends, so that no cell is cut in two."""
    kept = b""
    while chunk := xml.read(_CHUNK):
        kept += chunk
        cut = kept.rfind(b"row>") + len(b"row>")
        if cut >= len(b"row>"):
            yield kept[:cut]
            kept = kept[cut:]
    yield kept


def _note_errors(findings: Findings, rows: bytes) -> None:
    if b't="e"' not in rows and b"t='e'" not in rows:
        return
    for attributes, inside in _ERRORS.findall(rows):
        value = _VALUE.search(inside)
        shown = value[1].decode("utf-8", "replace") if value else "an error"
        _refuse(findings, attributes, f"the value is {shown}: mend the formula, or empty the cell")


def _note_uncalculated(findings: Findings, rows: bytes) -> None:
    if b"<f" not in rows and b":f" not in rows:
        return
    for attributes in _UNCALCULATED.findall(rows):
        if not _TEXT_RESULT.search(attributes):  # a formula whose result is the empty text
            _refuse(
                findings,
                attributes,
                "a formula that was never calculated: open the file in Excel or LibreOffice and save it",
            )


def _refuse(findings: Findings, attributes: bytes, why: str) -> None:
    place = _PLACE.search(attributes)
    if place is None:
        raise LookupError("a cell that does not say where it stands")
    findings.refused.setdefault(int(place[2]), []).append((place[1].decode(), why))


def _note_merged(findings: Findings, rows: bytes) -> None:
    for cells, first, last in _MERGED.findall(rows):
        if int(first) < int(last):
            findings.merged = (cells.decode(), int(last))
            return


def _too_wide(path: Path, sheet: str, columns: set[bytes], last_row: int) -> ManifestError:
    corner = max(columns, key=column_number).decode()
    return ManifestError(
        f"{path.name}, sheet {sheet!r} reaches to {corner}{last_row}, {MOST_PLACES:,} cells and more: clear "
        "the cells beside and below the table (delete these columns and rows), or save the sheet as CSV"
    )


def column_number(letters: bytes) -> int:
    """``A`` -> 1, ``Z`` -> 26, ``AA`` -> 27."""
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number


def column_letters(number: int) -> str:
    """1 -> ``A``, 26 -> ``Z``, 27 -> ``AA``."""
    letters = ""
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
