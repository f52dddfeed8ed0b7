"""Measures a sheet by its XML before ``python_calamine`` reads it, and refuses what would fill the memory.

The library allocates memory for every place between the first value of a sheet and the last, whatever is in
between, and gives each cell its own copy of a text that the workbook holds once. So a workbook of a few bytes
can fill any memory. Here the XML is read in pieces, cell by cell, with the rules of that library.
"""

from __future__ import annotations

import re
import zipfile
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO

from opus_async.errors import ManifestError
from opus_async.manifests.readers.excel_copy import damaged, part_of, sound

MOST_PLACES = 4_000_000
"""Between the first value of a sheet and the last; also its cells, and the texts of the workbook. Each place
takes 32 bytes, each cell 40 more, each text 50."""
MOST_TEXT = 192 << 20
"""Bytes of all texts of all cells, each counted as often as it stands there."""
LONGEST_PIECE = 8 << 20
"""Bytes of XML of one row, of one cell or of one text. Excel has at most 32,767 characters in a cell."""

_CHUNK = 1 << 20
_STRINGS = "xl/sharedstrings.xml"
_NAME = rb"<(?:[^\s<>/:]+:)?"
_ATTRIBUTES = rb"((?:[^<>\"']++|\"[^\"<]*+\"|'[^'<]*+')*+)"
# As nearly every program writes a cell: <c r="B7" s="1" t="s">. Of any other the name alone is matched.
_CELL = re.compile(
    _NAME + rb"c(?: r=\"([A-Z]{1,3})([0-9]{1,7})\"(?: (?:s|t|cm|vm|ph)=\"\w*\")*+ ?/?>|(?=[\s/>]))"
)
_TAG = re.compile(_NAME + rb"(c|row|v)(?=[\s/>])" + _ATTRIBUTES + rb">\s*([0-9]*)")
_BEGINS = re.compile(_NAME + rb"(?:c|row|v)(?=[\s/>])")
_ATTRIBUTE = re.compile(rb"([^\s=\"'/]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_PLACE = re.compile(rb"([A-Za-z]*)([0-9]*)")
_TEXT = re.compile(rb"<(/?)(?:[^\s<>/:]+:)?si(?=[\s/>])" + _ATTRIBUTES + rb">")


def measure(path: Path, copy: BinaryIO, sheet: str) -> None:
    """Refuse a sheet that takes too much memory.

    Args:
        path: The path of the workbook, for messages.
        copy: The workbook, repacked.
        sheet: The name of the sheet.

    Raises:
        ManifestError: It reaches too far or holds too much, or is damaged.
    """
    extent = _Extent(path, sheet)
    with sound(path), zipfile.ZipFile(copy) as workbook:
        texts = _text_sizes(path, sheet, workbook)
        part = part_of(workbook, sheet)
        with workbook.open(part) as xml:
            plain = all(extent.add_plain(piece) for piece in _pieces(path, sheet, xml))
        if plain and extent.cells * max(texts, default=0) <= MOST_TEXT:
            return
        extent = _Extent(path, sheet, texts)
        with workbook.open(part) as xml:
            for piece in _pieces(path, sheet, xml):
                extent.add(piece)


def column_number(letters: bytes) -> int:
    """The number of a column: ``A`` is 1, ``Z`` 26, ``AA`` 27."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - ord("A") + 1
    return number


def column_letters(number: int) -> str:
    """The letters of a column: 1 is ``A``, 26 ``Z``, 27 ``AA``."""
    letters = ""
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


class _Extent:
    """The extent of a sheet, as far as it was read."""

    def __init__(self, path: Path, sheet: str, texts: array[int] | None = None) -> None:
        self._path = path
        self._sheet = sheet
        self._texts = texts if texts is not None else array("L")
        self._longest = max(self._texts, default=0)
        self._row = 0
        self._column = 0
        self._shared = False
        self._last_row = 0
        self._last_column = 0
        self._text = 0
        self.cells = 0

    def add_plain(self, piece: bytes) -> bool:
        """Add a piece; returns False where a cell is not written in the usual form."""
        places = _CELL.findall(piece)
        columns = {column for column, _ in places}
        if b"" in columns:
            return False
        if places:
            self.cells += len(places)
            self._last_column = max(self._last_column, *map(column_number, columns))
            self._last_row = max(self._last_row, *(int(row) for _, row in places))
            self._check()
        return True

    def add(self, piece: bytes) -> None:
        """Add a piece whose cells may be written in any form that XML allows."""
        tags = 0
        for tag in _TAG.finditer(piece):
            tags += 1
            name, attributes, digits = tag.groups()
            if name == b"row":
                self._enter_row(attributes)
            elif name == b"c":
                self._enter_cell(attributes)
            elif self._shared:
                self._text += self._length(digits)
        if tags != sum(1 for _ in _BEGINS.finditer(piece)):
            raise damaged(self._path)  # no XML
        self._check()

    def _enter_row(self, attributes: bytes) -> None:
        told = [int(row) for _, row in _places(attributes) if row]
        self._row, self._column = (told[-1] if told else self._row + 1), 0

    def _enter_cell(self, attributes: bytes) -> None:
        """Move to a cell: to the place that it names, else behind the cell before, as the library does."""
        self.cells += 1
        self._column += 1
        for column, row in _places(attributes):
            self._column = column_number(column) or self._column
            self._row = int(row or self._row)
        self._last_column = max(self._last_column, self._column)
        self._last_row = max(self._last_row, self._row)
        self._shared = any(
            name == b"t" and b"s" in {one, other} for name, one, other in _ATTRIBUTE.findall(attributes)
        )

    def _length(self, digits: bytes) -> int:
        if digits and len(digits) < 10 and int(digits) < len(self._texts):  # noqa: PLR2004 - an index
            return self._texts[int(digits)]
        return self._longest

    def _check(self) -> None:
        if max(self._last_row * self._last_column, self.cells) > MOST_PLACES:
            corner = f"{column_letters(self._last_column)}{self._last_row}"
            raise ManifestError(
                f"{self._path.name}, sheet {self._sheet!r} reaches to {corner}, {MOST_PLACES:,} cells and "
                "more: clear the cells beside and below the table (delete these columns and rows), or save "
                "the sheet as CSV UTF-8"
            )
        if self._text > MOST_TEXT:
            raise ManifestError(
                f"{self._path.name}, sheet {self._sheet!r} has more than {MOST_TEXT >> 20} MiB of text in "
                "its cells: put long texts into files, or save the sheet as CSV UTF-8"
            )


def _places(attributes: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Letters and digits of each attribute ``r`` of a tag."""
    for name, one, other in _ATTRIBUTE.findall(attributes):
        if name == b"r" and (place := _PLACE.fullmatch(one or other)):
            yield place[1], place[2]


def _text_sizes(path: Path, sheet: str, workbook: zipfile.ZipFile) -> array[int]:
    """The size of each shared text, in bytes of its XML, which are no fewer than its own."""
    sizes = array("L")
    for name in workbook.namelist():
        if name.lower() != _STRINGS:
            continue
        with workbook.open(name) as xml:
            for size in _sizes(_pieces(path, sheet, xml)):
                sizes.append(size)
                if len(sizes) > MOST_PLACES:
                    raise ManifestError(
                        f"{path.name} has more than {MOST_PLACES:,} texts: save the sheet as CSV UTF-8"
                    )
    return sizes


def _sizes(pieces: Iterator[bytes]) -> Iterator[int]:
    before = begins = 0
    for piece in pieces:
        for tag in _TEXT.finditer(piece):
            if tag[1]:
                yield before + tag.start() - begins
            elif tag[2].endswith(b"/"):
                yield 0
            else:
                begins = before + tag.end()
        before += len(piece)


def _pieces(path: Path, sheet: str, xml: IO[bytes]) -> Iterator[bytes]:
    """Read the XML in pieces that end where a tag begins."""
    kept = b""
    while chunk := xml.read(_CHUNK):
        kept += chunk
        cut = kept.rfind(b"<")
        if cut > 0:
            yield kept[:cut]
            kept = kept[cut:]
        if len(kept) > LONGEST_PIECE:
            raise too_long(path, sheet)
    yield kept


def too_long(path: Path, sheet: str) -> ManifestError:
    """The error for a sheet with a row or a text larger than :data:`LONGEST_PIECE`."""
    return ManifestError(
        f"{path.name}, sheet {sheet!r} has a row or a text of more than {LONGEST_PIECE >> 20} MiB: put long "
        "texts into files, or save the sheet as CSV UTF-8"
    )
