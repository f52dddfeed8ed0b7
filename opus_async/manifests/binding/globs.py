"""Expands patterns in cells into the files that they match.

Many thousand rows can have patterns in one folder: it is listed once, and again when it has changed.
"""

from __future__ import annotations

import fnmatch
import os
import re
import time
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from opus_async.errors import ManifestError
from opus_async.manifests.readers.listing import MOST_FILES, has_magic, matching_files
from opus_async.manifests.readers.natural_order import in_order

_FOLDERS = 8
"""Listings of folders that are kept, together of at most :data:`MOST_FILES` names of 80 bytes each."""
_SETTLED = 2_000_000_000
"""Nanoseconds since a folder's last change after which the next is sure to get another time, on any disk."""
_SPECIAL = re.compile(r"[*?\[]")


class Globs:
    """Expands patterns: ``*``, ``?``, ``[...]``, and ``**`` for any depth of folders."""

    def __init__(self) -> None:
        self._listings: OrderedDict[str, tuple[int, list[str]]] = OrderedDict()

    def expand(self, pattern: str, base: Path) -> list[str]:
        """The files that a pattern matches; a path that exists as it is written means itself.

        Args:
            pattern: A path with or without special characters.
            base: The folder that a relative one starts at.

        Returns:
            Paths, relative where the pattern is, ``page 2`` before ``page 10``; empty when nothing matches.
            Names that begin with a dot match only a pattern that does.

        Raises:
            ManifestError: The pattern leads to more than :data:`MOST_FILES` entries, or where none may read.
        """
        if not has_magic(pattern) or os.path.lexists(base / pattern):
            return [pattern]
        folder, name = os.path.split(pattern)
        if has_magic(folder) or "**" in name:
            root = os.path.sep if pattern.startswith(os.path.sep) else ""
            parts = tuple(part for part in pattern.split(os.path.sep) if part)
            found = [root + path for path in matching_files(base / root, parts).names]
        else:
            found = [os.path.join(folder, entry) for entry in self._matching(str(base / folder), name)]  # noqa: PTH118 - a Path for each of many files is slow
        return in_order({path for path in found if (base / path).is_file()})

    def _matching(self, folder: str, pattern: str) -> list[str]:
        """The names in one folder that match, found among those that begin as the pattern does."""
        names = self._names(folder)
        beginning = _SPECIAL.split(pattern, maxsplit=1)[0]
        matches = _matcher(beginning, pattern)
        found = []
        for position in range(bisect_left(names, beginning), len(names)):
            name = names[position]
            if not name.startswith(beginning):
                break
            if matches(name) and (beginning.startswith(".") or not name.startswith(".")):
                found.append(name)
        return found

    def _kept(self) -> int:
        return sum(len(names) for _, names in self._listings.values())

    def _names(self, folder: str) -> list[str]:
        try:
            changed = os.stat(folder).st_mtime_ns  # noqa: PTH116 - a str
            known = self._listings.get(folder)
            if known is not None and known[0] == changed:
                return known[1]
            with os.scandir(folder) as entries:
                names = sorted(entry.name for entry in islice(entries, MOST_FILES + 1))
        except OSError:
            return []
        if len(names) > MOST_FILES:
            raise ManifestError(
                f"{folder} has more than {MOST_FILES:,} entries: spread them over folders to use patterns"
            )
        if time.time_ns() - changed > _SETTLED:
            self._listings[folder] = (changed, names)
            while len(self._listings) > _FOLDERS or self._kept() > MOST_FILES:
                self._listings.popitem(last=False)
        return names


def _matcher(beginning: str, pattern: str) -> Callable[[str], object]:
    """A function that tells whether a name matches; for a single star without a regular expression."""
    ending = pattern[len(beginning) + 1 :]
    if pattern[len(beginning)] == "*" and not has_magic(ending):
        shortest = len(beginning) + len(ending)
        return lambda name: len(name) >= shortest and name.endswith(ending)
    return re.compile(fnmatch.translate(pattern)).match
