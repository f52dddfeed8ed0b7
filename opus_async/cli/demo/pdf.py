"""Writes PDF files: pages of text in Helvetica, uncompressed."""

from __future__ import annotations

from collections.abc import Sequence

LINES_PER_PAGE = 54
_TOP, _LEFT, _SIZE, _LEADING = 790, 56, 10, 13
_A4 = "0 0 595 842"
_ESCAPES = str.maketrans({"\\": r"\\", "(": r"\(", ")": r"\)"})
_CATALOG, _PAGES, _FONT, _INFO, _FIRST_PAGE = 1, 2, 3, 4, 5


def document(title: str, pages: Sequence[Sequence[str]]) -> bytes:
    """A PDF with these pages, each a list of lines; characters outside Latin-1 become question marks."""
    first_contents = _FIRST_PAGE + len(pages)
    kids = " ".join(f"{_FIRST_PAGE + number} 0 R" for number in range(len(pages)))
    objects = [
        f"<< /Type /Catalog /Pages {_PAGES} 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        f"<< /Title ({_escaped(title)}) /Producer (opus-async demo) >>",
    ]
    objects += [
        f"<< /Type /Page /Parent {_PAGES} 0 R /MediaBox [{_A4}] "
        f"/Resources << /Font << /F1 {_FONT} 0 R >> >> /Contents {first_contents + number} 0 R >>"
        for number in range(len(pages))
    ]
    objects += [_stream(lines) for lines in pages]
    return _file([body.encode("latin-1", "replace") for body in objects])


def _stream(lines: Sequence[str]) -> str:
    shown = "\n".join(f"({_escaped(line)}) '" for line in lines)
    text = f"BT /F1 {_SIZE} Tf {_LEADING} TL {_LEFT} {_TOP} Td\n{shown}\nET\n"
    return f"<< /Length {len(text.encode('latin-1', 'replace'))} >>\nstream\n{text}endstream"


def _file(objects: Sequence[bytes]) -> bytes:
    # The second line of four bytes over 127 tells transfer programs that this is no text.
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root %d 0 R /Info %d 0 R >>\n" % (len(objects) + 1, _CATALOG, _INFO)
    out += b"startxref\n%d\n%%%%EOF\n" % start
    return bytes(out)


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)
