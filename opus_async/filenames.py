"""Names of files and folders that are safe on every system, made from URLs, keys or any other text."""

from __future__ import annotations

import hashlib
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
_FOLDER = re.compile(r"[a-z0-9][a-z0-9._~-]{0,79}")
"""Keys that are folder names as they are, whatever the disk thinks of upper case."""
_UNSAFE = re.compile(r"[^a-z0-9._~-]+")
_READABLE = 60
_DIGEST_CHARS = 20
"""Of a digest that makes a name unique: a billion keys do not meet by chance."""


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


def safe_folder(key: str) -> str:
    """A folder name for a key: safe on Linux and macOS, readable, and never that of another key.

    Keys that differ in case alone get different folders also where the disk does not tell case apart. What
    is no folder name as it is gets a part of its digest after a plus sign, which no other name holds.
    """
    if _FOLDER.fullmatch(key):
        return key
    readable = _UNSAFE.sub("-", key.lower()).lstrip("-._~")[:_READABLE].rstrip("-.")
    mark = hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()[:_DIGEST_CHARS]
    return f"{readable or 'key'}+{mark}"


def _shortened(name: str) -> str:
    if len(name.encode()) <= MAX_BYTES:
        return name
    stem, dot, extension = name.rpartition(".")
    ending = f"{dot}{extension}"
    if not stem or len(ending.encode()) > _LONGEST_EXTENSION:
        stem, ending = name, ""
    kept = stem.encode()[: MAX_BYTES - len(ending.encode())].decode(errors="ignore")
    return f"{kept}{ending}".rstrip(". ")
