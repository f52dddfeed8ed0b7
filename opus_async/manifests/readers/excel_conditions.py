"""Conditional formats of a sheet that may show a number otherwise: those with a number format of their own.

Which of them holds for a cell is known where it compares a number with constants; of others, formulas and
ranks, nothing is computed. Colours, bars and icons change no text and are not looked at.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple
from xml.etree import ElementTree as ET

from opus_async.errors import ManifestError
from opus_async.manifests.readers.excel_copy import part_of, sound
from opus_async.manifests.readers.excel_extent import column_number

MOST_RULES = 2_000
"""Rules with a number format of one sheet, and pieces of the sheet that each is for."""

_CHUNK = 1 << 20
_ROWS = re.compile(rb"<(?:\w+:)?sheetData\s*(/?)>")
_END_OF_ROWS = re.compile(rb"</(?:\w+:)?sheetData\s*>")
_LONGEST_TAG = 32
_AREA = re.compile(r"\$?([A-Za-z]{0,3})\$?(\d{0,7})(?::\$?([A-Za-z]{0,3})\$?(\d{0,7}))?")
_LAST_ROW, _LAST_COLUMN = 1 << 20, 1 << 14
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_TRUE = frozenset({"1", "true"})
_KEPT = frozenset({"cfRule", "formula", "f", "sqref", "dxf", "numFmt"})
"""The elements of a conditional format that are needed when it ends."""
_MOST_KEPT = 100_000
_DIGITS = 10


class Area(NamedTuple):
    """A part of a sheet; rows and columns from 1, the last ones included."""

    first_row: int
    last_row: int
    first_column: int
    last_column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A conditional format.

    Attributes:
        areas: The cells that it is for.
        priority: The rule of the lowest number wins.
        code: The number format that it shows cells in; None where it leaves that alone.
        stops: Whether no rule behind it counts where it holds.
        operator: How it compares a number with constants; None where it does something else.
        bounds: These constants: one, or two for ``between`` and ``notBetween``.
    """

    areas: Sequence[Area]
    priority: int
    code: str | None
    stops: bool
    operator: str | None
    bounds: Sequence[float]

    def holds(self, value: Any) -> bool | None:
        """Whether it holds for a value; None where that is not known."""
        if self.operator is None or isinstance(value, bool) or not isinstance(value, int | float):
            return None
        low, high = min(self.bounds), max(self.bounds)
        return {
            "lessThan": value < low,
            "lessThanOrEqual": value <= low,
            "equal": value == low,
            "notEqual": value != low,
            "greaterThanOrEqual": value >= low,
            "greaterThan": value > low,
            "between": low <= value <= high,
            "notBetween": not low <= value <= high,
        }.get(self.operator)


@dataclass(slots=True)
class ConditionalFormats:
    """The rules of one sheet, the first to win first.

    Attributes:
        rules: Those that have a number format, or end the rules behind them.
    """

    rules: Sequence[Rule] = ()
    _of_column: dict[int, list[tuple[int, int, Rule]]] = field(default_factory=dict)

    def codes(self, row: int, column: int, value: Any, code: str | None) -> list[str | None]:
        """The number formats that a cell may be shown in: one, where that is known.

        Args:
            row: Of the cell, from 1.
            column: Of the cell, from 1.
            value: Its value.
            code: The number format that it has without conditions.
        """
        if not self.rules:
            return [code]
        possible: list[str | None] = []
        for first, last, rule in self._in_column(column):
            if not first <= row <= last:
                continue
            holds = rule.holds(value)
            if holds is not False and (rule.code is not None or rule.stops):
                possible.append(code if rule.code is None else rule.code)
                if holds:
                    return possible
        return [*possible, code]

    def _in_column(self, column: int) -> list[tuple[int, int, Rule]]:
        found = self._of_column.get(column)
        if found is None:
            found = self._of_column[column] = [
                (area.first_row, area.last_row, rule)
                for rule in self.rules
                for area in rule.areas
                if area.first_column <= column <= area.last_column
            ]
        return found


def read_conditions(
    path: Path, workbook: zipfile.ZipFile, sheet: str, formats: Sequence[str | None]
) -> ConditionalFormats:
    """Read the conditional formats of a sheet that have a number format.

    Args:
        path: The path of the workbook, for messages.
        workbook: The workbook, repacked.
        sheet: The name of the sheet.
        formats: The number format of each differential format of the workbook; None for one without.

    Raises:
        ManifestError: It is damaged, or has more rules than anybody could have written.
    """
    with sound(path), workbook.open(part_of(workbook, sheet)) as xml:
        rules = []
        size = 0
        for rule in _rules(xml, formats):
            if rule.code is None and not rule.stops:
                continue
            rules.append(rule)
            size += len(rule.areas)
            if size > MOST_RULES:
                raise ManifestError(
                    f"{path.name}, sheet {sheet!r} has more than {MOST_RULES:,} conditional formats with a "
                    "number format: clear them, or save the sheet as CSV UTF-8"
                )
    if not any(rule.code is not None for rule in rules):
        return ConditionalFormats()
    return ConditionalFormats(sorted(rules, key=lambda rule: rule.priority))


def _rules(xml: IO[bytes], formats: Sequence[str | None]) -> Iterator[Rule]:
    """The rules of a sheet in the order of its XML, in which they stand below the rows."""
    above: list[ET.Element] = []
    kept = 0
    for event, element in ET.iterparse(_Pieces(_without_rows(xml)), ("start", "end")):  # noqa: S314 - expat bounds entities
        if event == "start":
            above.append(element)
            continue
        above.pop()
        name = _name(element)
        kept += name in _KEPT
        if name == "conditionalFormatting":
            yield from _rules_of(element, formats)
            kept = 0
        if name not in _KEPT and above:
            above[-1].remove(element)
        if kept > _MOST_KEPT:
            raise LookupError("a conditional format without an end")


class _Pieces(io.RawIOBase):
    """Pieces of bytes as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    def readable(self) -> bool:
        return True

    def read(self, _: int = -1, /) -> bytes:
        """The next piece that is not empty, whatever its size; empty at the end."""
        return next((piece for piece in self._pieces if piece), b"")


def _without_rows(xml: IO[bytes]) -> Iterator[bytes]:
    """The XML of a sheet without its rows, in pieces."""
    kept, inside, found = b"", False, False
    while chunk := xml.read(_CHUNK):
        kept += chunk
        if not found and (begins := _ROWS.search(kept)):
            found, inside = True, not begins[1]
            yield kept[: begins.start()]
            kept = kept[begins.end() :]
        if inside and (ends := _END_OF_ROWS.search(kept)):
            inside, kept = False, kept[ends.end() :]
        if inside:
            kept = kept[-_LONGEST_TAG:]
        else:
            cut = len(kept) if found else max(0, len(kept) - _LONGEST_TAG)
            yield kept[:cut]
            kept = kept[cut:]
    yield b"" if inside else kept


def _rules_of(element: ET.Element, formats: Sequence[str | None]) -> Iterator[Rule]:
    """The rules of one element, which names the cells that they are for."""
    cells = element.get("sqref") or "".join(
        each.text or "" for each in element.iter() if _name(each) == "sqref"
    )
    areas = [_area(piece) for piece in cells.split()]
    for rule in element:
        if _name(rule) == "cfRule":
            formulas = [each.text or "" for each in rule if _name(each) in {"formula", "f"}]
            constants = [float(text) for text in formulas if _NUMBER.fullmatch(text.strip())]
            compares = rule.get("type") == "cellIs" and len(constants) == len(formulas) > 0
            yield Rule(
                areas=areas,
                priority=_whole(rule.get("priority")) or 0,
                code=_code(rule, formats),
                stops=rule.get("stopIfTrue", "0") in _TRUE,
                operator=rule.get("operator") if compares else None,
                bounds=constants,
            )


def _code(rule: ET.Element, formats: Sequence[str | None]) -> str | None:
    """The number format of a rule: its own in the newer form, else that of its differential format."""
    own = next((each.get("formatCode") for each in rule.iter() if _name(each) == "numFmt"), None)
    if own is not None:
        return own
    number = _whole(rule.get("dxfId"))
    return formats[number] if number is not None and number < len(formats) else None


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() and len(text) < _DIGITS else None


def _area(piece: str) -> Area:
    """The cells that ``A1:B9``, ``A1``, ``A:B`` or ``1:9`` names; all of them where that is not known."""
    found = _AREA.fullmatch(piece)
    if found is None:
        return Area(1, _LAST_ROW, 1, _LAST_COLUMN)
    column, row = found[1], found[2]
    last_column, last_row = (found[3], found[4]) if ":" in piece else (column, row)
    return Area(
        int(row or 1),
        int(last_row or _LAST_ROW),
        column_number(column.encode()) or 1,
        column_number((last_column or "").encode()) or _LAST_COLUMN,
    )


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
