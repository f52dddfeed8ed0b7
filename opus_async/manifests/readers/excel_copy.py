"""Repacks a workbook within bounds, so that ``python_calamine`` reads no more than its directory says.

A workbook is a ZIP archive of XML. Its directory says how large each part is, and may lie; and two libraries
may find two directories in one file. ``python_calamine`` believes what it finds and allocates memory for it,
in code that cannot be interrupted. So the sizes in the directory are added up first; then each part is
unpacked up to its size, its checksum is compared, and the library gets the copy.
"""

from __future__ import annotations

import errno
import io
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO
from xml.etree import ElementTree as ET

from opus_async.errors import ManifestError

MOST_XML = 192 << 20
"""Bytes of a workbook's XML, unpacked: 100,000 rows of 40 columns have room."""
MOST_STRUCTURE = 4 << 20
"""Bytes, unpacked, of a part that names the others: it is read as a tree, which takes 30 times as much."""
MOST_DIRECTORY = 2 << 20
"""Bytes of the archive's directory, enough for 20,000 parts; each takes some 700 bytes of memory."""

_BOOK, _RELATIONS = "xl/workbook.xml", "xl/_rels/workbook.xml.rels"
_STRUCTURE = frozenset({_BOOK, _RELATIONS})
_XML = (".xml", ".rels")
_KNOWN = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""How Excel packs. The standard library unpacks bzip2 and LZMA without a bound."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_CHUNK = 1 << 20


@contextmanager
def repacked(path: Path, file: BinaryIO) -> Iterator[BinaryIO]:
    """Copy the XML parts of a workbook, and nothing else, into a temporary file that is open in the block.

    It takes no more memory than :data:`MOST_DIRECTORY` and a chunk of XML, and on the disk at most
    :data:`MOST_XML`.

    Args:
        path: The path of the workbook, for messages.
        file: The workbook, open.

    Raises:
        ManifestError: It is damaged, or unpacks to more than these bounds or than it says.
    """
    with tempfile.TemporaryFile() as copy:
        with sound(path), zipfile.ZipFile(_BoundedReads(path, file)) as given:
            _pack(path, given, copy)
        copy.seek(0)
        yield copy


@contextmanager
def sound(path: Path) -> Iterator[None]:
    """Turn errors of the archive or the XML of a workbook into a sentence.

    Raises:
        ManifestError: In place of what the libraries raise inside of the ``with`` block.
    """
    try:
        yield
    except ManifestError:
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        ET.ParseError,
        LookupError,  # a part that is not there
        EOFError,
        NotImplementedError,  # a compression that Excel does not use
        RuntimeError,  # a password
        ValueError,  # a word in place of a number
    ) as error:
        raise damaged(path) from error


def damaged(path: Path) -> ManifestError:
    """The error for a workbook that is damaged, or is none."""
    return ManifestError(
        f"{path} cannot be read as a workbook: open it in Excel or LibreOffice and save it again as .xlsx, "
        "without a password"
    )


def part_of(workbook: zipfile.ZipFile, sheet: str) -> str:
    """The name of the part of the archive that holds a sheet."""
    sheets = ET.fromstring(workbook.read(_BOOK))  # noqa: S314 - expat bounds entities, MOST_STRUCTURE the rest
    relations = ET.fromstring(workbook.read(_RELATIONS))  # noqa: S314 - as above
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


def _pack(path: Path, given: zipfile.ZipFile, copy: IO[bytes]) -> None:
    parts = {part.filename: part for part in given.infolist() if part.filename.lower().endswith(_XML)}
    _check_sizes(path, parts.values())
    try:
        with zipfile.ZipFile(copy, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made:
            for name, part in parts.items():
                with given.open(part) as packed, made.open(name, "w") as again:
                    while chunk := packed.read(_CHUNK):  # as much as it tells
                        again.write(chunk)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise ManifestError(
            f"{path.name} is unpacked into a temporary file, and the disk is full ({error.strerror}): make "
            "room there, or set TMPDIR to another folder"
        ) from error


def _check_sizes(path: Path, parts: Iterable[zipfile.ZipInfo]) -> None:
    """Refuse a workbook that unpacks to too much, by what its directory says."""
    total = 0
    for part in parts:
        if part.compress_type not in _KNOWN:
            raise NotImplementedError(f"compression {part.compress_type}")
        if part.filename.lower() in _STRUCTURE and part.file_size > MOST_STRUCTURE:
            raise damaged(path)
        total += part.file_size
    if total > MOST_XML:
        raise ManifestError(
            f"{path.name} unpacks to {total >> 20:,} MiB of XML, and {MOST_XML >> 20} are read at most: save "
            "the sheet that is wanted as CSV UTF-8, or take out sheets, formats and columns without use"
        )


class _BoundedReads(io.BufferedIOBase):
    """The file of an archive, with a bound on what is read at once.

    ``zipfile`` reads the whole directory, as large as the archive says that it is.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int | None = -1, /) -> bytes:
        content = self._file.read(MOST_DIRECTORY + 1 if size is None or size < 0 else size)
        if len(content) > MOST_DIRECTORY:
            raise ManifestError(
                f"{self._path.name} has too many parts for a workbook, {MOST_DIRECTORY >> 20} MiB of names "
                "and more: save the sheet that is wanted as CSV UTF-8"
            )
        return content
