"""Finds files that a manifest names outside of its own folder.

A manifest can come from somebody else, and the files that it names are read and sent. So they have to lie in
its folder, whatever absolute path, ``..``, link or URL names them, unless the person who runs it allows
others: with this machine's credentials, a URL can lead to as much as a path can.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opus_async.input_problems import InputProblem, ProblemCode
from opus_async.remote_urls import Place, RemoteFile, RemoteFolder
from opus_async.text import counted, quoted
from opus_async.transport.confined import lies_in

FLAG = "--allow-outside"
CAUSE = "a file outside of the manifest's folder"
WAY_OUT = f"{FLAG}, if it is meant"
_SHOWN = 3
_FOLDERS = 1024


class Fence:
    """Tells which paths lie outside of a folder; links of each folder with files are resolved once.

    Args:
        folder: The folder, as it was named.
    """

    def __init__(self, folder: Place) -> None:
        self._remote = folder if isinstance(folder, RemoteFolder) else None
        self._folder = os.path.realpath(folder) if isinstance(folder, Path) else None
        self._inside: dict[str, bool] = {}

    def strays(self, parts: Sequence[Any]) -> Iterator[int]:
        """The positions of the parts of a cell that are files or documents outside."""
        for place, part in enumerate(parts):
            if isinstance(part, Path):
                if self._folder is None or not self._holds(os.fspath(part), self._folder):
                    yield place
            elif isinstance(part, RemoteFile) and not (self._remote and self._remote.holds(part)):
                yield place

    def _holds(self, path: str, fence: str) -> bool:
        if "\0" in path:  # no file has such a name: refused elsewhere
            return True
        folder, name = os.path.split(path)
        if name in {os.curdir, os.pardir} or os.path.islink(path):  # noqa: PTH114 - a str
            return lies_in(os.path.realpath(path), fence)
        known = self._inside.get(folder)
        if known is None:
            if len(self._inside) >= _FOLDERS:
                self._inside.clear()
            known = self._inside[folder] = lies_in(os.path.realpath(folder), fence)
        return known


def sentence(path: object) -> str:
    """The message about a file outside, as the row names it."""
    return f"{quoted(path)} lies outside of the manifest's folder"


def problem(column: str, path: str) -> InputProblem:
    """The problem with a file outside, with the option that allows it."""
    return InputProblem(
        f"{sentence(path)}: {WAY_OUT}", code=ProblemCode.FILE_OUTSIDE, column=column, file=path, group=CAUSE
    )


@dataclass(slots=True)
class Outside:
    """Counts the files outside, over all rows of a manifest.

    Attributes:
        count: How many files there are.
        names: The first three, as the rows name them.
    """

    count: int = 0
    names: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        """Count a file."""
        self.count += 1
        if len(self.names) < _SHOWN:
            self.names.append(name)

    @property
    def summary(self) -> str:
        """Their number, the first names and the option that allows them, in a sentence."""
        more = f" and {self.count - len(self.names):,} more" if self.count > len(self.names) else ""
        files = counted(self.count, "file lies", "files lie")
        return (
            f"{files} outside of the manifest's folder: {', '.join(map(quoted, self.names))}{more}. "
            f"Whoever wrote the manifest could name any file of yours; {FLAG} sends them all the same"
        )
