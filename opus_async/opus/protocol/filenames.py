"""From a URL to a file name that is safe on every system, whatever the URL says."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote, urlsplit

MAX_BYTES = 200
"""In UTF-8. File systems take 255; the rest is for what others put around a name."""
FALLBACK = "file"

_SEPARATORS = re.compile(r"[/\\]")
_FORBIDDEN = re.compile(r'[<>:"|?*]')
"""Windows takes none of them; a colon also names a drive there, or a stream inside a file."""
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\..*)?", re.IGNORECASE)
"""Devices on Windows, whatever their extension."""
_LONGEST_EXTENSION = 20


def safe_name(url: str) -> str:
    """The name of the file that a URL leads to: one component of a path, never empty, in any folder.

    The last segment of the path, percent-decoded once, in NFC, at most ``MAX_BYTES`` long with its extension
    kept. What an operating system would take for more than a letter becomes ``_``; dots in front, which hide
    or climb, and dots and spaces at the end, which Windows drops, go.
    """
    try:
        segment = urlsplit(url).path.rpartition("/")[2]
    except ValueError:
        return FALLBACK
    decoded = unicodedata.normalize("NFC", unquote(segment))
    last = _SEPARATORS.split(decoded)[-1]
    printable = "".join(char if char.isprintable() else "_" for char in last)
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
