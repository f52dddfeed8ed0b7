r"""Understands paths as people paste them: ``docs\a.pdf``, ``~/a.pdf``, ``file:///tmp/a.pdf``, in quotes."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.request import url2pathname

_FILE_URL = re.compile(r"(?i)file:(?://(?:localhost)?(?=/)|(?=/(?!/)))")
_QUOTES = (('"', '"'), ("'", "'"), ("\u201c", "\u201d"), ("\u2018", "\u2019"))
_ODD = re.compile(r"(?i)[~\"'\u201c\u2018]|file:/|[^\\]*\\")
"""How a path begins that may be written in another way than the system has it."""
DRIVE = re.compile(r"[A-Za-z]:[\\/]")
"""How an absolute path of Windows begins."""


def as_written(path: str, base: Path) -> str:
    """The path as this system has it; unchanged where it exists as it is, or could mean something else.

    Args:
        path: A path, or a pattern. Nothing but its existence is looked up.
        base: The folder that a relative one starts at.
    """
    if not _ODD.match(path) or _exists(base, path):
        return path
    plain = _unquoted(path)
    url = _FILE_URL.match(plain)
    if url is not None:
        return url2pathname(plain[url.end() :])
    if plain.startswith(("~/", "~\\")):
        return os.path.expanduser(_slashed(plain))  # noqa: PTH111 - a Path would drop what a pattern needs
    if plain != path and _exists(base, plain):
        return plain
    if "\\" in plain and os.sep == "/" and not DRIVE.match(plain):
        return _slashed(plain)
    return plain


def _unquoted(path: str) -> str:
    for opens, closes in _QUOTES:
        if len(path) > 2 and path.startswith(opens) and path.endswith(closes):  # noqa: PLR2004 - the quotes
            return path[1:-1].strip()
    return path


def _slashed(path: str) -> str:
    return path.replace("\\", "/") if os.sep == "/" else path


def _exists(base: Path, path: str) -> bool:
    try:
        return os.path.lexists(base / path)
    except ValueError:  # a zero byte
        return False
