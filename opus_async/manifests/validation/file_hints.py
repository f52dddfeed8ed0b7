"""Suggests what a path to a missing file may have meant, from the names on the disk; reads no file."""

from __future__ import annotations

import os
import unicodedata
from collections import OrderedDict
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

from opus_async.manifests.paths import DRIVE
from opus_async.manifests.readers.listing import has_magic
from opus_async.remote_urls import Place, scheme_of
from opus_async.text import quoted

_MOST_NAMES = 20_000
"""Names of a folder that are compared at most."""
_FOLDERS = 8
_SWAPPED = 2
_MOST_SEARCHES = 200
"""Missing files for which names with a typing error are searched; more missing files are no typing errors."""


class FileHints:
    """Suggests what a missing path may have meant: another folder, case, slashes, one typing error.

    Args:
        base: The folder that relative paths start at.
    """

    def __init__(self, base: Place) -> None:
        self._remote = not isinstance(base, Path)
        self._base = base if isinstance(base, Path) else Path.cwd()
        self._here = Path.cwd()
        self._names: OrderedDict[Path, Mapping[str, str]] = OrderedDict()
        self._searches = 0

    def hint(self, path: str) -> str | None:
        """What to do about a path that names no file that can be sent; None for no suggestion."""
        if self._remote or scheme_of(path) is not None:
            return None
        try:
            return self._look(path)
        except (OSError, ValueError):  # too long for a name, or a zero byte
            return None

    def _look(self, path: str) -> str | None:
        there = self._base / path
        if not there.exists():
            return self._guess(path) or (None if has_magic(path) else "put it there, or correct the path")
        if there.is_dir():
            return "name a file in this folder"
        if not there.is_file():
            return "name an ordinary file"
        return None if there.stat().st_size else "put its content there, or take the row out"

    def _guess(self, path: str) -> str | None:
        if (self._here / path).exists():
            return f"it is in the current folder, and paths start at the manifest's, {quoted(self._base)}"
        slashed = path.replace("\\", "/")
        if DRIVE.match(path) and os.sep == "/":
            return self._below(slashed) or "it is a path of Windows: write it as this computer has it"
        wanted = self._base / slashed
        if has_magic(wanted.name):
            return None
        name = self._listing(wanted.parent).get(_folded(wanted.name)) or self._similar_name(wanted)
        return f"did you mean {quoted(name)}?" if name else None

    def _below(self, path: str) -> str | None:
        """The end of a path that exists below the manifest's folder, the longest one; None for none."""
        parts = path.split("/")[1:]
        ends = ("/".join(parts[begins:]) for begins in range(len(parts)))
        found = next((end for end in ends if end and (self._base / end).is_file()), None)
        return f"it is a path of Windows; did you mean {quoted(found)}?" if found else None

    def _similar_name(self, wanted: Path) -> str | None:
        """The one name in the folder that differs by one typing error; None for none or several."""
        self._searches += 1
        if self._searches > _MOST_SEARCHES:
            return None
        name = _folded(wanted.name)
        near = [
            there for folded, there in self._listing(wanted.parent).items() if _one_typing_error(name, folded)
        ]
        return near[0] if len(near) == 1 else None

    def _listing(self, folder: Path) -> Mapping[str, str]:
        """The names in a folder by their normal form, see :func:`_folded`."""
        if folder not in self._names:
            try:
                with os.scandir(folder) as entries:
                    names = {_folded(entry.name): entry.name for entry in islice(entries, _MOST_NAMES)}
            except OSError:
                names = {}
            self._names[folder] = names
            if len(self._names) > _FOLDERS:
                self._names.popitem(last=False)
        return self._names[folder]


def _folded(name: str) -> str:
    """A normal form of names, the same for those that look the same: in NFC, without case."""
    return unicodedata.normalize("NFC", name).casefold()


def _one_typing_error(one: str, other: str) -> bool:
    """Whether names differ by one letter, not a digit: missing, added, replaced or swapped with the next."""
    if abs(len(one) - len(other)) > 1:
        return False
    begins = _common_prefix(one, other)
    one, other = one[begins:], other[begins:]
    ends = _common_prefix(one[::-1], other[::-1])
    one, other = one[: len(one) - ends], other[: len(other) - ends]
    if any(letter.isdigit() for letter in one + other):
        return False
    return max(len(one), len(other)) == 1 or (len(one) == len(other) == _SWAPPED and one == other[::-1])


def _common_prefix(one: str, other: str) -> int:
    """The length of their common beginning."""
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count
