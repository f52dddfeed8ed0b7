"""The number formats of the cells of a sheet, which ``python_calamine`` does not tell.

Only cells whose format shows a number otherwise than it is stored are noted, two bytes for each place of
their columns, so that at most :data:`~opus_async.manifests.readers.excel_extent.MOST_PLACES` of them count.
"""

from __future__ import annotations

import re
import zipfile
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple
from xml.etree import ElementTree as ET

from opus_async.errors import ManifestError
from opus_async.manifests.readers.excel_copy import sound
from opus_async.manifests.readers.excel_extent import column_number
from opus_async.manifests.readers.number_format import may_change_text

MOST_STYLES = 32 << 20
"""Bytes of the part with the formats, unpacked; Excel has at most 65,490 of them."""

PLAIN = frozenset({"General", "@", ""})
"""Formats that show a number as it is: ``General``, and that of cells of text."""
UNKNOWN = "[not known]"
"""Stands for the format of a cell in a sheet whose cells do not say where they stand."""
LOCAL = "[$-F800]"
"""Stands for a built-in format that follows the locale of whoever looks."""

_PART = "xl/styles.xml"
_BUILT_IN = {
    0: "General",
    1: "0",
    2: "0.00",
    3: "#,##0",
    4: "#,##0.00",
    9: "0%",
    10: "0.00%",
    11: "0.00E+00",
    12: "# ?/?",
    13: "# ??/??",
    15: "d-mmm-yy",
    16: "d-mmm",
    17: "mmm-yy",
    18: "h:mm AM/PM",
    19: "h:mm:ss AM/PM",
    20: "h:mm",
    21: "h:mm:ss",
    37: "#,##0;(#,##0)",
    38: "#,##0;(#,##0)",
    39: "#,##0.00;(#,##0.00)",
    40: "#,##0.00;(#,##0.00)",
    45: "mm:ss",
    46: "[h]:mm:ss",
    47: "mm:ss.0",
    48: "##0.0E+0",
    49: "@",
}
"""ECMA-376, part 1, 18.8.30. Others follow the locale: 14 and 22 are its short dates, 27 to 36 East Asian."""
_LISTS = {"numFmts": "numFmt", "cellXfs": "xf", "dxfs": "dxf"}
_MOST_FORMATS = 1 << 16
_CELL = rb"<(?:\w+:)?c\s([^<>]*?\bs=[\"'](%s)[\"'][^<>]*)>"
_NOWHERE = re.compile(rb"<(?:\w+:)?c(?:\s(?:(?!\br=)[^<>])*)?/?>")
_PLACE = re.compile(rb"\br=[\"']([A-Z]+)(\d+)[\"']")


class CellFormats:
    """The formats of the cells of one sheet, for as much of it as was noted.

    Args:
        styles: The format code of each style of the workbook, by its index.

    Attributes:
        placeless: Whether cells do not say where they stand, so that it cannot be told which has which.
        change_texts: Whether one of the formats may show a text otherwise.
    """

    def __init__(self, styles: Sequence[str]) -> None:
        self.placeless = False
        self._codes = sorted({code for code in styles if code not in PLAIN})
        self.change_texts = any(may_change_text(code) for code in self._codes)
        numbers = {code: number for number, code in enumerate(self._codes, 1)}
        default = styles[0] if styles else "General"
        self._default = None if default in PLAIN else default
        self._slots: Mapping[bytes, int] = {
            str(index).encode(): numbers.get(code, 0)
            for index, code in enumerate(styles)
            if code not in PLAIN or self._default is not None
        }
        self._cell = re.compile(_CELL % b"|".join(self._slots)) if self._slots else None
        self._columns: dict[int, array[int]] = {}

    def note(self, rows: bytes) -> None:
        """Note the cells in a piece of the sheet's XML that holds whole cells."""
        if self._cell is None:
            return
        if not self.placeless and _NOWHERE.search(rows):
            self.placeless = True
        for attributes, style in self._cell.findall(rows):
            place = _PLACE.search(attributes)
            if place is not None:
                self._set(column_number(place[1]), int(place[2]), self._slots[style])

    def code(self, row: int, column: int) -> str | None:
        """The format code of a cell, both from 1; None for one that shows a number as it is."""
        if self.placeless:
            return UNKNOWN
        slots = self._columns.get(column)
        slot = slots[row] if slots is not None and row < len(slots) else _MOST_FORMATS - 1
        if slot == _MOST_FORMATS - 1:
            return self._default
        return self._codes[slot - 1] if slot else None

    def _set(self, column: int, row: int, slot: int) -> None:
        slots = self._columns.setdefault(column, array("H"))
        if row >= len(slots):
            slots.extend([_MOST_FORMATS - 1] * (row + 1 - len(slots)))
        slots[row] = slot


class Styles(NamedTuple):
    """The number formats of a workbook.

    Attributes:
        codes: That of each style of cells, by its index.
        conditional: That of each differential format, which conditions put on cells; None for one without.
    """

    codes: list[str]
    conditional: list[str | None]


def read_styles(path: Path, workbook: zipfile.ZipFile) -> Styles:
    """The number formats of a workbook.

    Args:
        path: The path of the workbook, for messages.
        workbook: The workbook, repacked.

    Raises:
        ManifestError: It is damaged, or has more formats than Excel could have.
    """
    part = {name.lower(): name for name in workbook.namelist()}.get(_PART)
    if part is None:
        return Styles([], [])
    if workbook.getinfo(part).file_size > MOST_STYLES:
        raise _too_many(path)
    codes = dict(_BUILT_IN)
    styles: list[str] = []
    conditional: list[str | None] = []
    with sound(path), workbook.open(part) as xml:
        for element, inside in _elements(xml):
            if inside == "numFmts":
                codes[int(element.get("numFmtId", "0"))] = element.get("formatCode", "")
            elif inside == "cellXfs":
                styles.append(codes.get(int(element.get("numFmtId", "0")), LOCAL))
            else:
                conditional.append(_differential(element, codes))
            if max(len(styles), len(codes), len(conditional)) >= _MOST_FORMATS:
                raise _too_many(path)
    return Styles(styles, conditional)


def _differential(element: ET.Element, codes: Mapping[int, str]) -> str | None:
    """The number format of a differential format; None where it has none."""
    for part in element:
        if part.tag.rpartition("}")[2] == "numFmt":
            code = part.get("formatCode")
            return codes.get(int(part.get("numFmtId", "0")), LOCAL) if code is None else code
    return None


def _elements(xml: IO[bytes]) -> Iterator[tuple[ET.Element, str]]:
    """Number formats, styles of cells and differential formats, each with the name of the list it is in."""
    inside = ""
    for event, element in ET.iterparse(xml, ("start", "end")):  # noqa: S314 - expat bounds entities
        name = element.tag.rpartition("}")[2]
        if name in _LISTS:
            inside = name if event == "start" else ""
        elif event == "end":
            if name == _LISTS.get(inside):
                yield element, inside
            if (inside, name) != ("dxfs", "numFmt"):  # which its parent still needs
                element.clear()


def _too_many(path: Path) -> ManifestError:
    return ManifestError(f"{path.name} has too many cell formats: save the sheet that is wanted as CSV UTF-8")
