"""Which files a folder or a pattern names, in an order that a person expects."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from opus_async.batch.layout import FAILURES, LEDGER, REPORT, RESULTS, SUMMARY
from opus_async.batch.manifest.source import readable
from opus_async.errors import ManifestError

ANY_DEPTH = "**"
_MAGIC = re.compile(r"[*?[]")
_DIGITS = re.compile(r"[0-9]+")
_OURS = frozenset({RESULTS, FAILURES, REPORT, SUMMARY})
_LITTER = frozenset({"thumbs.db", "desktop.ini"})
_OFFICE_LOCK = "~$"
MOST_DEEPER = 10_000
"""Files in subfolders that are counted."""


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

    Args:
        base: Where the pattern starts.
        parts: The pattern, a name or pattern for each level.

    Raises:
        ManifestError: A folder cannot be read, or a name is no text.
    """
    listing = Listing()
    found: set[str] = set()
    pending: list[tuple[str, tuple[str, ...]]] = [("", _without_repeats(parts))]
    while pending:
        below, (part, *rest) = pending.pop()
        if part == ANY_DEPTH:
            pending.append((below, tuple(rest) or ("*",)))
            pending.extend((folder, (part, *rest)) for folder in _folders_below(base, below, listing))
        elif rest:
            pending.extend((folder, tuple(rest)) for folder in _matching_folders(base, below, part))
        else:
            found.update(_matching_names(base, below, part, listing))
    listing.names = in_order(found)
    return listing


def in_order(names: set[str]) -> list[str]:
    """Sorted as a person would: ``page 2`` before ``page 10``, in any case of letters, folder by folder."""
    ordered = sorted(names)
    ordered.sort(key=_natural)
    return ordered


def files_deeper(base: Path) -> int:
    """How many files lie in the subfolders of a folder; at most :data:`MOST_DEEPER` are counted."""
    count = 0
    for folder, folders, files in os.walk(base):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if folder == os.fspath(base):
            continue
        if LEDGER in files:
            folders.clear()
            continue
        count += sum(not name.startswith(".") for name in files)
        if count >= MOST_DEEPER:
            return MOST_DEEPER
    return count


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


def _matching_folders(base: Path, below: str, part: str) -> Iterator[str]:
    """The folders in one folder that match a part of the pattern; a link is followed, once for each part."""
    if not has_magic(part):
        if (base / below / part).is_dir():
            yield _joined(below, part)
        return
    matches = re.compile(fnmatch.translate(part)).match
    for entry in _entries(base, below):
        hidden = entry.name.startswith(".") and not part.startswith(".")
        if not hidden and matches(entry.name) and _is_folder(entry):
            yield _joined(below, entry.name)


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
