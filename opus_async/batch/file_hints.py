"""A file that is not where a row says: what may have been meant. Looks at names, and into no file."""

from __future__ import annotations

import os
import unicodedata
from collections import OrderedDict
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

from opus_async.batch.problems import quoted

_MOST_NAMES = 20_000
"""Names of a folder that are looked at: a hint is not worth more."""
_FOLDERS = 8


class FileHints:
    """Guesses.

    Args:
        base: The folder that relative paths start at.
    """

    def __init__(self, base: Path) -> None:
        self._base = base
        self._here = Path.cwd()
        self._names: OrderedDict[Path, Mapping[str, str]] = OrderedDict()

    def hint(self, path: str) -> str | None:
        """What to do about a path that names no file; None when there is one, or nothing to be said."""
        try:
            return None if (self._base / path).exists() else self._guess(path)
        except (OSError, ValueError):  # too long for a name, or a zero byte
            return None

    def _guess(self, path: str) -> str | None:
        if (self._here / path).exists():
            return f"it is in the current folder, and paths start at the manifest's, {quoted(self._base)}"
        slashed = path.replace("\\", "/")
        if slashed != path and (self._base / slashed).exists():
            return f"write {quoted(slashed)}"
        wanted = self._base / slashed
        name = self._listing(wanted.parent).get(_folded(wanted.name))
        return f"did you mean {quoted(name)}?" if name else None

    def _listing(self, folder: Path) -> Mapping[str, str]:
        """Name in lower case -> name."""
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
    """Names that look the same: systems write an accent as one character or as two."""
    return unicodedata.normalize("NFC", name).casefold()
