"""File names that are safe on every system, made from URLs or any other text."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote, urlsplit

MAX_BYTES = 200
"""In UTF-8. File systems take 255; the rest is for what others put around a name."""
FALLBACK = "file"

_SEPARATORS = re.compile(r"[/\\]")
_FORBIDDEN = re.compile(r'[<>:"|?*/\\]')
"""Windows takes none of them; a colon also names a drive there, or a stream inside a file."""
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\..*)?", re.IGNORECASE)
"""Devices on Windows, whatever their extension."""
_LONGEST_EXTENSION = 20


def safe_name(url: str) -> str:
    """The name of the file that a URL leads to, as :func:`safe_text` makes it safe.

    It is the last segment of the path, percent-decoded once.
    """
    try:
        segment = urlsplit(url).path.rpartition("/")[2]
    except ValueError:
        return FALLBACK
    return safe_text(_SEPARATORS.split(unquote(segment))[-1])


def safe_text(text: str) -> str:
    """A text as one component of a path: never empty, in any folder, at most ``MAX_BYTES`` long.

    In NFC; an extension is kept where it has to be cut. What an operating system would take for more than a
    letter becomes ``_``; dots in front, which hide or climb, and dots and spaces at the end, which Windows
    drops, go.
    """
    printable = "".join(char if char.isprintable() else "_" for char in unicodedata.normalize("NFC", text))
    name = _FORBIDDEN.sub("_", printable).lstrip(". ").rstrip(". ")
    if _RESERVED.fullmatch(name):
        name = f"_{name}"
    return _shortened(name) or FALLBACK


def _shortened(name: str) -> str:
    if len(name.encode()) <= MAX_BYTES:
        return name
    stem, dot, extension = name.rpartition(".")
    ending = f"{dot}{extension}"
    if not stem or len(ending.encode()) > _LONGEST_EXTENSION:
        stem, ending = name, ""
    kept = stem.encode()[: MAX_BYTES - len(ending.encode())].decode(errors="ignore")
    return f"{kept}{ending}".rstrip(". ")
