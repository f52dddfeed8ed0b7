"""Lists the files that match a pattern such as ``docs/**/*.pdf``, and what was passed over."""

from __future__ import annotations

import fnmatch
import os
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from opus_async.errors import ManifestError
from opus_async.layout import FAILURES, LEDGER, REPORT, RESULTS, SUMMARY
from opus_async.manifests.readers.folder_entries import entries, is_file, is_folder, joined
from opus_async.manifests.readers.natural_order import in_order
from opus_async.manifests.readers.source_file import readable

ANY_DEPTH = "**"
_MAGIC = re.compile(r"[*?[]")
_OURS = frozenset({RESULTS, FAILURES, REPORT, SUMMARY})
_LITTER = frozenset({"thumbs.db", "desktop.ini"})
_OFFICE_LOCK = "~$"
MOST_FILES = 500_000
"""Files that a pattern may match, and folders that it may lead through: about 500 bytes of memory each."""


@dataclass(slots=True)
class Listing:
    """The files that match, and what was passed over.

    Attributes:
        names: Paths relative to the base, with forward slashes, in natural order.
        passed: Why entries were not taken -> how many, and the name of the first.
    """

    names: list[str] = field(default_factory=list)
    passed: dict[str, tuple[int, str]] = field(default_factory=dict)

    def pass_over(self, why: str, name: str) -> None:
        """Note an entry that is not taken."""
        count, first = self.passed.get(why, (0, name))
        self.passed[why] = count + 1, min(first, name)

    def notes(self) -> list[str]:
        """A sentence for each reason why something was passed over."""
        return [
            f"{why}: {count:,} not taken, such as {first!r}"
            for why, (count, first) in sorted(self.passed.items())
        ]


def has_magic(pattern: str) -> bool:
    """Whether text is a pattern rather than a path."""
    return _MAGIC.search(pattern) is not None


def matching_files(base: Path, parts: Sequence[str]) -> Listing:
    """List the files below a folder whose path matches a pattern.

    ``*``, ``?`` and ``[...]`` match within one name, and no leading dot; ``**`` stands for folders of any
    depth, hidden ones, links and batch directories excepted: so nothing is met twice.

    Each folder, whatever names lead to it, is read once for each part of the pattern. So the time is that of
    reading the tree as often as the pattern has parts, and links that lead in circles lead nowhere.

    Args:
        base: Where the pattern starts.
        parts: The pattern, a name or pattern for each level.

    Raises:
        ManifestError: A folder cannot be read, a name is no text, or these are more than
            :data:`MOST_FILES`.
    """
    pattern = _without_repeats(parts)
    if pattern[-1:] == (ANY_DEPTH,):
        pattern = (*pattern, "*")
    last = len(pattern) - 1
    listing = Listing()
    found: set[str] = set()
    met = _FoldersMet(base, listing)
    pending = deque([("", 0)])
    while pending:
        below, place = pending.popleft()
        if not met.first(below, place):
            continue
        part = pattern[place]
        if part == ANY_DEPTH:
            pending.append((below, place + 1))
            pending.extend((folder, place) for folder in _folders_below(base, below, listing))
        elif place < last:
            pending.extend((folder, place + 1) for folder in _matching_folders(base, below, part))
        else:
            for name in _matching_names(base, below, part, listing):
                found.add(name)
                _refuse_too_many(base, len(found), "files")
        _refuse_too_many(base, len(pending), "folders")
    listing.names = in_order(found)
    return listing


class _FoldersMet:
    """Folders that were met, by device and inode: one can have many names, through links.

    Args:
        base: Where names start.
        listing: Told of a folder that is met again by another name.
    """

    def __init__(self, base: Path, listing: Listing) -> None:
        self._base = base
        self._listing = listing
        self._met: dict[tuple[int, int, int], str] = {}

    def first(self, below: str, place: int) -> bool:
        """Whether a folder is met for the first time at this part of the pattern."""
        with readable(self._base / below):
            status = os.stat(self._base / below)  # noqa: PTH116 - a Path for each of many folders is slow
        name = self._met.setdefault((status.st_dev, status.st_ino, place), below)
        if name is below:
            _refuse_too_many(self._base, len(self._met), "folders")
            return True
        if name != below:
            self._listing.pass_over("folders met before by another name", below)
        return False


def _refuse_too_many(base: Path, count: int, what: str) -> None:
    """Raise ManifestError beyond :data:`MOST_FILES`."""
    if count > MOST_FILES:
        raise ManifestError(
            f"{base}: the pattern leads to more than {MOST_FILES:,} {what}: make it narrower, or make "
            "several batches"
        )


def _without_repeats(parts: Sequence[str]) -> tuple[str, ...]:
    """The pattern without a ``**`` behind another, which adds nothing."""
    return tuple(
        part for place, part in enumerate(parts) if part != ANY_DEPTH or parts[place - 1 : place] != [part]
    )


def _matching_names(base: Path, below: str, part: str, listing: Listing) -> Iterator[str]:
    """The files in one folder that match the last part of the pattern."""
    if not has_magic(part):
        if (base / below / part).is_file():
            yield joined(below, part)
        return
    matches = re.compile(fnmatch.translate(part)).match
    in_any_case = re.compile(fnmatch.translate(part), re.IGNORECASE).match
    for entry in entries(base, below):
        name = entry.name
        if is_folder(entry) or not in_any_case(name):
            continue
        path = joined(below, name)
        why = _reason_to_pass(entry, part)
        if why is not None:
            listing.pass_over(why, path)
        elif not matches(name):
            listing.pass_over("names that match but for capital letters", path)
        else:
            yield _text(base, path)


def _reason_to_pass(entry: os.DirEntry[str], part: str) -> str | None:
    """Why a file is not taken, though its name matches."""
    name = entry.name
    if name.lower() in _LITTER or name.startswith(_OFFICE_LOCK):
        return "files that a system or Office leaves behind"
    if name.startswith(LEDGER) or name in _OURS:
        return "files that a batch writes"
    if name.startswith(".") and not part.startswith("."):
        return "hidden files"
    if not is_file(entry):
        return "broken links and other entries that are no files"
    return None


def _matching_folders(base: Path, below: str, part: str) -> list[str]:
    """The folders in one folder that match a part of the pattern: real ones first, then those by a link."""
    if not has_magic(part):
        return [joined(below, part)] if (base / below / part).is_dir() else []
    matches = re.compile(fnmatch.translate(part)).match
    found = []
    for entry in entries(base, below):
        hidden = entry.name.startswith(".") and not part.startswith(".")
        if not hidden and matches(entry.name) and is_folder(entry):
            found.append((entry.is_symlink(), entry.name))
            _refuse_too_many(base, len(found), "folders")
    return [joined(below, name) for _, name in sorted(found)]


def _folders_below(base: Path, below: str, listing: Listing) -> Iterator[str]:
    """The folders in one folder that ``**`` goes into."""
    for entry in entries(base, below):
        path = joined(below, entry.name)
        if not is_folder(entry):
            continue
        if entry.is_symlink():
            listing.pass_over("linked folders", path)
        elif entry.name.startswith("."):
            listing.pass_over("hidden folders", path)
        elif os.path.exists(base / path / LEDGER):  # noqa: PTH110 - unlike Path.exists it never raises
            listing.pass_over("directories of batches", path)
        else:
            yield path


def _text(base: Path, path: str) -> str:
    """A path that can be written down.

    Raises:
        ManifestError: Its bytes are no text.
    """
    try:
        path.encode()
    except UnicodeEncodeError:
        raise ManifestError(
            f"{base}: the name {os.fsencode(path)!r} is no text in UTF-8: rename the file"
        ) from None
    return path
