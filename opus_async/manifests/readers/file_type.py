"""Detects the format of a file by its first bytes, where it is another than its name says."""

from __future__ import annotations

from pathlib import Path

from opus_async.errors import ManifestError

_SIGNATURES = (
    (b"%PDF", "pdf", "a PDF document; for one job per document give the folder that it lies in"),
    (b"PAR1", "parquet", "Parquet; name it .parquet"),
    (b"\x1f\x8b", "gzip", "compressed (gzip); unpack it first"),
    (
        b"\xd0\xcf\x11\xe0",
        "old",
        "an old Excel workbook, or one with a password; save it as .xlsx without a password",
    ),
)
_MARKUP = (b"<!doctype", b"<html", b"<?xml")


def refuse_other_content(path: Path, head: bytes, wanted: str) -> None:
    """Refuse a file of another format than its name says.

    Args:
        path: The file.
        head: Its first part.
        wanted: ``text``, ``workbook`` or ``parquet``.

    Raises:
        ManifestError: It holds something else; says what, and what to do.
    """
    kind, words = _content(head)
    if kind != wanted:
        raise ManifestError(f"{path.name} does not hold what its name says: it is {words}")


def _content(head: bytes) -> tuple[str, str]:
    """The format as one word, and as words for the user."""
    for signature, kind, words in _SIGNATURES:
        if head.startswith(signature):
            return kind, words
    if head.startswith(b"PK"):
        if b"xl/" in head or b"[Content_Types].xml" in head:
            return "workbook", "an Excel workbook; name it .xlsx"
        return "zip", "a ZIP archive; unpack it first"
    if head[:200].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_MARKUP):
        return "markup", "a web page or XML; export the table itself as CSV or XLSX"
    return (
        "text",
        "text, or something unknown; if it is a table in text name it .csv, or .jsonl if it is JSON",
    )
