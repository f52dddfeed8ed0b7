"""Facts about uploaded bytes: digest, size, type, lines, pages, rows, width, height; read as they stream by.

Nothing is kept of a file but these facts, a short overlap between chunks and, for a small JSON document,
the document itself. The counts are what a client's test can compute on its side from the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
from dataclasses import asdict, dataclass
from typing import Any

HEAD = 512
SMALL_JSON = 256 * 1024
# The longest text that the page pattern can match, so that a match is never lost on the border of two chunks.
_PAGE_OVERLAP = 64
_PAGE = re.compile(rb"/Type\s{0,32}/Page(?![A-Za-z])")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER = 24
_SIGNATURES = (
    (b"%PDF-", "PDF"),
    (_PNG_SIGNATURE, "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"\xd0\xcf\x11\xe0", "XLS"),
)
_ZIP_NAMES = ((b"word/", "DOCX"), (b"xl/", "XLSX"))
_TEXT_EXTENSIONS = {"csv": "CSV", "html": "HTML", "xml": "XML", "json": "JSON"}
_TEXT_STARTS = (
    (b"<!doctype html", "HTML"),
    (b"<html", "HTML"),
    (b"<?xml", "XML"),
    (b"{", "JSON"),
    (b"[", "JSON"),
)


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What is known of one file from its bytes.

    Attributes:
        sha256: Hexadecimal digest.
        size: Bytes.
        type: Upper-case name of the type as the bytes show it, e.g. `PDF`; `BINARY` if they show none.
        lines: For text: line feeds, plus one if the last line does not end with one.
        pages: For PDF: page objects that stand uncompressed in the file; None if there are none.
        rows: For CSV: records, counted outside quotes.
        width: For PNG: pixels.
        height: For PNG: pixels.
        items: For a JSON document of at most 256 KiB: members of its outermost array or object.
    """

    sha256: str
    size: int
    type: str
    lines: int | None = None
    pages: int | None = None
    rows: int | None = None
    width: int | None = None
    height: int | None = None
    items: int | None = None

    def known(self) -> dict[str, Any]:
        """Return the facts that this type of file has."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class Inspector:
    """Reads a file chunk by chunk.

    Args:
        extension: The extension the file was announced with; it tells CSV from plain text, nothing else.
    """

    def __init__(self, extension: str) -> None:
        self._extension = extension.lstrip(".").lower()
        self._digest = hashlib.sha256()
        self._size = 0
        self._head = b""
        self._small: bytearray | None = bytearray()
        self._line_feeds = 0
        self._row_ends = 0
        self._in_quotes = False
        self._ends_line = True
        self._pages = 0
        self._overlap = b""
        self._text = True

    @property
    def size(self) -> int:
        """Bytes seen so far."""
        return self._size

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the file."""
        if not chunk:
            return
        self._digest.update(chunk)
        if len(self._head) < HEAD:
            self._head += chunk[: HEAD - len(self._head)]
        if self._small is not None:
            self._small += chunk
            if len(self._small) > SMALL_JSON:
                self._small = None
        self._size += len(chunk)
        self._count(chunk)

    def facts(self) -> FileFacts:
        """Return what is known of the file; call after the last chunk."""
        kind = self._type()
        lines = self._line_feeds + (not self._ends_line) if self._text else None
        width, height = self._pixels(kind)
        return FileFacts(
            sha256=self._digest.hexdigest(),
            size=self._size,
            type=kind,
            lines=lines,
            pages=self._page_count(kind),
            rows=self._row_ends + (not self._ends_line) if kind == "CSV" else None,
            width=width,
            height=height,
            items=self._items(kind),
        )

    def _count(self, chunk: bytes) -> None:
        if self._head.startswith(b"%PDF-"):
            self._text = False
            self._count_pages(chunk)
            return
        # A NUL byte in the head is what tells binary from text for most tools; it is enough here.
        if self._text and b"\0" in self._head:
            self._text = False
        if not self._text:
            return
        self._line_feeds += chunk.count(b"\n")
        self._ends_line = chunk.endswith(b"\n")
        if self._extension == "csv":
            self._count_rows(chunk)

    def _count_rows(self, chunk: bytes) -> None:
        for index, piece in enumerate(chunk.split(b'"')):
            if index:
                self._in_quotes = not self._in_quotes
            if not self._in_quotes:
                self._row_ends += piece.count(b"\n")

    def _count_pages(self, chunk: bytes) -> None:
        window = self._overlap + chunk
        border = max(len(window) - _PAGE_OVERLAP, 0)
        self._pages += sum(match.start() < border for match in _PAGE.finditer(window))
        self._overlap = window[border:]

    def _page_count(self, kind: str) -> int | None:
        if kind != "PDF":
            return None
        return self._pages + len(_PAGE.findall(self._overlap)) or None

    def _pixels(self, kind: str) -> tuple[int | None, int | None]:
        if kind != "PNG" or len(self._head) < _PNG_HEADER:
            return None, None
        width, height = struct.unpack(">II", self._head[16:_PNG_HEADER])
        return width, height

    def _items(self, kind: str) -> int | None:
        if kind != "JSON" or self._small is None:
            return None
        try:
            document = json.loads(self._small)
        except ValueError:
            return None
        return len(document) if isinstance(document, dict | list) else None

    def _type(self) -> str:
        head = self._head
        for signature, kind in _SIGNATURES:
            if head.startswith(signature):
                return kind
        if head.startswith(b"PK\x03\x04"):
            return next((kind for name, kind in _ZIP_NAMES if name in head), "ZIP")
        return self._text_type() if self._text else "BINARY"

    def _text_type(self) -> str:
        if self._extension in _TEXT_EXTENSIONS:
            return _TEXT_EXTENSIONS[self._extension]
        head = self._head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
        return next((kind for start, kind in _TEXT_STARTS if head.startswith(start)), "TXT")
