"""A folder, or a pattern, as a manifest: one job for each file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from opus_async.errors import ManifestError
from opus_async.layout import LEDGER
from opus_async.manifests.model import FILE_COLUMN, Record
from opus_async.manifests.readers.folder_entries import entries, is_folder, joined
from opus_async.manifests.readers.listing import ANY_DEPTH, Listing, has_magic, matching_files
from opus_async.manifests.readers.source_file import readable

_MOST_DEEPER = 10_000
"""Entries of subfolders that are looked at, to count the files."""


class FilesManifest:
    """A manifest whose rows are files; see :class:`opus_async.manifests.Manifest`.

    They are listed anew whenever :meth:`records` or :meth:`stamp` is called.

    Args:
        path: The folder or the pattern, absolute.
        kind: ``folder`` or ``glob``.
        base: Where the pattern starts.
        parts: The pattern below it, a name or pattern for each level.

    Raises:
        ManifestError: No file matches, or a folder cannot be read.
    """

    def __init__(self, path: Path, kind: str, base: Path, parts: tuple[str, ...]) -> None:
        self.path = path
        self.kind = kind
        self.base = base
        self.columns = (FILE_COLUMN,)
        self.warnings: list[str] = []
        self._parts = parts
        self._rows = len(self._listed())

    def records(self) -> Iterator[Record]:
        """Yield a row for each file, in natural order."""
        for index, name in enumerate(self._listed()):
            yield Record(index=index, where=name, cells={FILE_COLUMN: name})

    def stamp(self) -> str:
        """A digest over the names, sizes and times of the files."""
        digest = hashlib.sha256()
        with readable(self.base):
            for name in self._matching().names:
                digest.update(f"{name}\0{_facts(self.base / name)}\n".encode())
        return digest.hexdigest()

    def estimated_rows(self) -> int:
        """The number of files when the manifest was opened."""
        return self._rows

    def _matching(self) -> Listing:
        with readable(self.base):
            return matching_files(self.base, self._parts)

    def _listed(self) -> list[str]:
        """List the files that are there now; what is not taken goes into the warnings."""
        listing = self._matching()
        notes = listing.notes()
        if self.kind == "folder":
            notes += self._notes_of_subfolders()
        if not listing.names:
            what = "has no files that could be run" if self.kind == "folder" else "matches no file"
            raise ManifestError(f"{self.path} {what}: check the path", notes)
        self.warnings = notes
        return listing.names

    def _notes_of_subfolders(self) -> list[str]:
        deeper, and_more = _files_deeper(self.base)
        if not deeper:
            return []
        count = f"{deeper:,} files and more lie" if and_more else f"{deeper:,} files lie"
        everything = self.path / ANY_DEPTH / "*"
        return [f"{count} in subfolders and are not taken; to take them too give the pattern '{everything}'"]


def opened_folder(path: Path) -> FilesManifest:
    """A manifest of the files in a folder, without those in its subfolders."""
    return FilesManifest(path, "folder", path, ("*",))


def opened_pattern(pattern: Path) -> FilesManifest:
    """A manifest of the files that match a pattern such as ``docs/**/*.pdf``."""
    parts = pattern.parts
    start = next(place for place, part in enumerate(parts) if has_magic(part))
    base = Path(*parts[:start])
    if not base.is_dir():
        raise ManifestError(f"{pattern} matches no file, for there is no folder {base}: check the path")
    return FilesManifest(pattern, "glob", base, parts[start:])


def _files_deeper(base: Path) -> tuple[int, bool]:
    """Count the files in the subfolders of a folder.

    Returns:
        The number, and whether that is not all: no more than :data:`_MOST_DEEPER` entries are looked at.
    """
    count = looked = 0
    pending = _plain_folders(base, "")
    while pending:
        below = pending.pop()
        if os.path.exists(base / below / LEDGER):  # noqa: PTH110 - unlike Path.exists it never raises
            continue
        try:
            for entry in entries(base, below):
                looked += 1
                if looked > _MOST_DEEPER:
                    return count, True
                if entry.name.startswith("."):
                    continue
                if not is_folder(entry):
                    count += 1
                elif not entry.is_symlink():
                    pending.append(joined(below, entry.name))
        except ManifestError:  # what may not be read cannot be taken either
            continue
    return count, False


def _plain_folders(base: Path, below: str) -> list[str]:
    """The folders in one folder that are neither hidden nor links."""
    return [
        joined(below, entry.name)
        for entry in entries(base, below)
        if not entry.name.startswith(".") and not entry.is_symlink() and is_folder(entry)
    ]


def _facts(path: Path) -> str:
    """Size and time of a file, for :meth:`FilesManifest.stamp`."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return "gone"
    return f"{status.st_size} {status.st_mtime_ns}"
