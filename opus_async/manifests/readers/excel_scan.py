"""Finds what ``python_calamine`` does not report: errors, number formats, hidden and merged rows.

The library gives an empty cell for an error such as ``#N/A``: a job would be billed for a row that lacks a
value. So the XML of the sheet is scanned.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import IO, BinaryIO

from opus_async.manifests.advised import Advised
from opus_async.manifests.readers.excel_conditions import ConditionalFormats, read_conditions
from opus_async.manifests.readers.excel_copy import part_of, sound
from opus_async.manifests.readers.excel_extent import LONGEST_PIECE, too_long
from opus_async.manifests.readers.excel_styles import CellFormats, read_styles

MOST_REFUSED = 100_000
"""Rows with cells that cannot be used, after which the sheet is refused; each takes some 400 bytes."""

_CHUNK = 1 << 20

# A cell is <c r="B7" t="e"><f>1/0</f><v>#DIV/0!</v></c>; some programs write <x:c ...>, with a prefix. No
# expression may look further than the next tag: what is hostile would make it search for ever.
_ERRORS = re.compile(rb"<(?:\w+:)?c\s([^<>]*?\bt=[\"']e[\"'][^<>]*)(?<!/)>")
_UNCALCULATED = re.compile(
    rb"<(?:\w+:)?c(\s[^<>]*)>\s*<(?:\w+:)?f(?:\s[^<>]*)?(?:/>|(?<!/)>[^<]*</(?:\w+:)?f>)\s*"
    rb"(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v>\s*</(?:\w+:)?v>)?\s*</(?:\w+:)?c>"
)
_LONG_NUMBER = re.compile(
    rb"<(?:\w+:)?c(\s[^<>]*)>\s*(?:<(?:\w+:)?f(?:\s[^<>]*)?(?:/>|(?<!/)>[^<]*</(?:\w+:)?f>)\s*)?"
    rb"<(?:\w+:)?v>\s*(-?[0-9]{16,400}(?:\.[0-9]{0,400})?)\s*<"
)
_MANY_DIGITS = re.compile(rb"v>\s*-?[0-9]{16}")
_NO_NUMBER = re.compile(rb"\bt=[\"'](?!n[\"'])")
_TEXT_RESULT = re.compile(rb"\bt=[\"']str[\"']")
_HIDDEN = re.compile(rb"<(?:\w+:)?row\s[^<>]*?\bhidden=[\"'](?:1|true)[\"']")
_MERGED = re.compile(rb"<(?:\w+:)?mergeCell\s[^<>]*?\bref=[\"']([A-Z]+(\d+):[A-Z]+(\d+))[\"']")
_PLACE = re.compile(rb"\br=[\"']([A-Z]+(\d+))[\"']")
_VALUE = re.compile(rb"<(?:\w+:)?v>([^<]{0,60})")
_NEAR = 10_000
"""Bytes after the beginning of a cell in which its value is searched: a formula may come before it."""
_ROW = re.compile(rb"<(?:\w+:)?row[\s/>]")
_BELOW = re.compile(rb"</(?:\w+:)?sheetData")


@dataclass(slots=True)
class Findings:
    """What the XML of a sheet shows beside its values.

    Attributes:
        refused: Row number from 1 -> ``(place, what is wrong and the fix)`` of each cell that cannot be used.
        hidden: How many rows are hidden, by hand or by a filter.
        formats: The number formats of the cells.
        conditions: The conditional formats that show some of them in other ones.
        merged: The first range of merged cells that spans rows, and its last row; None where there is none.
    """

    refused: dict[int, list[tuple[str, str]]] = field(default_factory=dict)
    formats: CellFormats = field(default_factory=lambda: CellFormats(()))
    conditions: ConditionalFormats = field(default_factory=ConditionalFormats)
    hidden: int = 0
    merged: tuple[str, int] | None = None

    @property
    def too_many(self) -> bool:
        """Whether the scan stopped looking for such cells."""
        return len(self.refused) >= MOST_REFUSED


def scan_sheet(path: Path, copy: BinaryIO, sheet: str) -> Findings:
    """Scan the XML of one sheet, a chunk at a time.

    Args:
        path: The path of the workbook, for messages.
        copy: The workbook, repacked.
        sheet: The name of the sheet.

    Raises:
        ManifestError: The workbook is damaged.
    """
    with sound(path), zipfile.ZipFile(copy) as workbook:
        styles = read_styles(path, workbook)
        findings = Findings(formats=CellFormats(styles.codes))
        with workbook.open(part_of(workbook, sheet)) as xml:
            has_formats = _scan(findings, _whole_rows(path, sheet, xml))
        if has_formats or any(code is not None for code in styles.conditional):
            findings.conditions = read_conditions(path, workbook, sheet, styles.conditional)
    return findings


def _scan(findings: Findings, pieces: Iterator[bytes]) -> bool:
    """Note what is found; returns whether conditional formats of the newer form may have number formats."""
    has_formats = False
    for rows in pieces:
        findings.formats.note(rows)
        if not findings.too_many:
            _note_errors(findings, rows)
            _note_uncalculated(findings, rows)
            _note_long_numbers(findings, rows)
        if b"hidden" in rows:
            findings.hidden += len(_HIDDEN.findall(rows))
        if b"mergeCell" in rows and findings.merged is None:
            _note_merged(findings, rows)
        has_formats = has_formats or b"numFmt" in rows
    return has_formats


def _whole_rows(path: Path, sheet: str, xml: IO[bytes]) -> Iterator[bytes]:
    """The XML in pieces that end where a row ends, so that no cell is cut in two."""
    kept = b""
    below = False
    while chunk := xml.read(_CHUNK):
        kept += chunk
        below = below or _BELOW.search(kept) is not None
        cut = kept.rfind(b"<") if below else _end_of_rows(kept)
        if cut > 0:
            yield kept[:cut]
            kept = kept[cut:]
        if len(kept) > LONGEST_PIECE:
            raise too_long(path, sheet)
    yield kept


def _end_of_rows(xml: bytes) -> int:
    """Where the last row that is whole ends; 0 where there is none."""
    end = xml.rfind(b"row>")
    if end >= 0:
        return end + len(b"row>")
    return max((row.start() for row in _ROW.finditer(xml)), default=0)  # rows without cells


def _note_errors(findings: Findings, rows: bytes) -> None:
    if b't="e"' not in rows and b"t='e'" not in rows:
        return
    for cell in _ERRORS.finditer(rows):
        value = _VALUE.search(rows, cell.end(), cell.end() + _NEAR)
        shown = value[1].decode("utf-8", "replace") if value else "an error"
        _refuse(findings, cell[1], Advised(f"the value is {shown}", "mend the formula, or empty the cell"))


def _note_uncalculated(findings: Findings, rows: bytes) -> None:
    if b"<f" not in rows and b":f" not in rows:
        return
    for attributes in _UNCALCULATED.findall(rows):
        if not _TEXT_RESULT.search(attributes):  # a formula whose result is the empty text
            _refuse(
                findings,
                attributes,
                Advised(
                    "a formula that was never calculated",
                    "open the file in Excel or LibreOffice and save it",
                ),
            )


def _note_long_numbers(findings: Findings, rows: bytes) -> None:
    """Note numbers of which the library loses digits: programs beside Excel write what no double holds."""
    if _MANY_DIGITS.search(rows) is None:
        return
    for attributes, digits in _LONG_NUMBER.findall(rows):
        if not _NO_NUMBER.search(attributes) and Decimal(digits.decode()) != Decimal(float(digits)):
            _refuse(
                findings,
                attributes,
                Advised("the number has more digits than a number keeps", "enter it as text"),
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
