"""Which files a folder or a pattern names, in an order that a person expects."""

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
from opus_async.manifests.readers.source_file import readable

ANY_DEPTH = "**"
_MAGIC = re.compile(r"[*?[]")
_DIGITS = re.compile(r"[0-9]+")
_OURS = frozenset({RESULTS, FAILURES, REPORT, SUMMARY})
_LITTER = frozenset({"thumbs.db", "desktop.ini"})
_OFFICE_LOCK = "~$"
MOST_DEEPER = 10_000
"""Entries of subfolders that are looked at, to count the files."""
MOST_FILES = 500_000
"""Files that a pattern may match, and folders that it may lead through: about 500 bytes of memory each."""


@dataclass(slots=True)
class Listing:
    """Files, and what was passed over.

    Attributes:
        names: Paths relative to the base, with forward slashes, in order.
        passed: Why -> the names of entries that were not taken: how many, and the first.
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
    once = _Once(base, listing)
    pending = deque([("", 0)])
    while pending:
        below, place = pending.popleft()
        if not once.first(below, place):
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


class _Once:
    """Which folders were met, by what they are: one can have many names, through links.

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
            status = os.stat(self._base / below)  # noqa: PTH116 - as the rest of this room
        name = self._met.setdefault((status.st_dev, status.st_ino, place), below)
        if name is below:
            _refuse_too_many(self._base, len(self._met), "folders")
            return True
        if name != below:
            self._listing.pass_over("folders met before by another name", below)
        return False


def _refuse_too_many(base: Path, count: int, what: str) -> None:
    if count > MOST_FILES:
        raise ManifestError(
            f"{base}: the pattern leads to more than {MOST_FILES:,} {what}: make it narrower, or make "
            "several batches"
        )


def in_order(names: set[str]) -> list[str]:
    """Sorted as a person would: ``page 2`` before ``page 10``, in any case of letters, folder by folder."""
    ordered = sorted(names)
    ordered.sort(key=_natural)
    return ordered


def files_deeper(base: Path) -> tuple[int, bool]:
    """How many files lie in the subfolders of a folder.

    Returns:
        The number, and whether that is not all: no more than :data:`MOST_DEEPER` entries are looked at.
    """
    count = looked = 0
    pending = _plain_folders(base, "")
    while pending:
        below = pending.pop()
        if os.path.exists(base / below / LEDGER):  # noqa: PTH110 - unlike Path.exists it never raises
            continue
        try:
            for entry in _entries(base, below):
                looked += 1
                if looked > MOST_DEEPER:
                    return count, True
                if entry.name.startswith("."):
                    continue
                if not _is_folder(entry):
                    count += 1
                elif not entry.is_symlink():
                    pending.append(_joined(below, entry.name))
        except ManifestError:  # who may not read it cannot take what is in it either
            continue
    return count, False


def _plain_folders(base: Path, below: str) -> list[str]:
    """The folders in one folder that are neither hidden nor links."""
    return [
        _joined(below, entry.name)
        for entry in _entries(base, below)
        if not entry.name.startswith(".") and not entry.is_symlink() and _is_folder(entry)
    ]


def _without_repeats(parts: Sequence[str]) -> tuple[str, ...]:
    """``**/**`` is ``**``."""
    return tuple(
        part for place, part in enumerate(parts) if part != ANY_DEPTH or parts[place - 1 : place] != [part]
    )


def _entries(base: Path, below: str) -> Iterator[os.DirEntry[str]]:
    with readable(base / below), os.scandir(base / below) as entries:
        yield from entries


def _matching_names(base: Path, below: str, part: str, listing: Listing) -> Iterator[str]:
    """The files in one folder that match the last part of the pattern."""
    if not has_magic(part):
        if (base / below / part).is_file():
            yield _joined(below, part)
        return
    matches = re.compile(fnmatch.translate(part)).match
    in_any_case = re.compile(fnmatch.translate(part), re.IGNORECASE).match
    for entry in _entries(base, below):
        name = entry.name
        if _is_folder(entry) or not in_any_case(name):
            continue
        path = _joined(below, name)
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
    if not _is_file(entry):
        return "broken links and other entries that are no files"
    return None


def _matching_folders(base: Path, below: str, part: str) -> list[str]:
    """The folders in one folder that match a part of the pattern: real ones first, then those by a link."""
    if not has_magic(part):
        return [_joined(below, part)] if (base / below / part).is_dir() else []
    matches = re.compile(fnmatch.translate(part)).match
    found = []
    for entry in _entries(base, below):
        hidden = entry.name.startswith(".") and not part.startswith(".")
        if not hidden and matches(entry.name) and _is_folder(entry):
            found.append((entry.is_symlink(), entry.name))
            _refuse_too_many(base, len(found), "folders")
    return [_joined(below, name) for _, name in sorted(found)]


def _folders_below(base: Path, below: str, listing: Listing) -> Iterator[str]:
    """The folders in one folder that ``**`` goes into."""
    for entry in _entries(base, below):
        path = _joined(below, entry.name)
        if not _is_folder(entry):
            continue
        if entry.is_symlink():
            listing.pass_over("linked folders", path)
        elif entry.name.startswith("."):
            listing.pass_over("hidden folders", path)
        elif os.path.exists(base / path / LEDGER):  # noqa: PTH110 - unlike Path.exists it never raises
            listing.pass_over("directories of batches", path)
        else:
            yield path


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _joined(below: str, name: str) -> str:
    return f"{below}/{name}" if below else name


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


def _natural(path: str) -> str:
    """Text by which paths sort: numbers by value, folders as a whole."""
    spelled = _DIGITS.sub(_number, path.casefold())
    return spelled.replace("/", "\0")


def _number(digits: re.Match[str]) -> str:
    value = digits[0].lstrip("0")
    return f"{len(value):03}{value}"
