"""Files that a manifest names outside of its own folder.

A manifest can come from somebody else, and what it names is read and sent. So it names files in its folder:
none by an absolute path, by ``..`` or through a link that leads out, unless the person who runs it says so.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opus_async.input_problems import InputProblem, ProblemCode
from opus_async.text import counted, quoted
from opus_async.transport.confined import lies_in

FLAG = "--allow-outside"
CAUSE = "a file outside of the manifest's folder"
WAY_OUT = f"{FLAG}, if it is meant"
_SHOWN = 3
_FOLDERS = 1024


class Fence:
    """Tells what lies outside of a folder; for planning, so each folder with files is looked at once.

    Args:
        folder: As it was named.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = os.path.realpath(folder)
        self._inside: dict[str, bool] = {}

    def strays(self, parts: Sequence[Any]) -> Iterator[int]:
        """The places of those among the parts of a cell that are paths outside."""
        for place, part in enumerate(parts):
            if isinstance(part, Path) and not self._holds(os.fspath(part)):
                yield place

    def _holds(self, path: str) -> bool:
        if "\0" in path:  # no file has such a name, which others say
            return True
        folder, name = os.path.split(path)
        if name in {os.curdir, os.pardir} or os.path.islink(path):  # noqa: PTH114 - a str
            return lies_in(os.path.realpath(path), self._folder)
        known = self._inside.get(folder)
        if known is None:
            if len(self._inside) >= _FOLDERS:
                self._inside.clear()
            known = self._inside[folder] = lies_in(os.path.realpath(folder), self._folder)
        return known


def sentence(path: object) -> str:
    """What is wrong with one of them, as the row names it."""
    return f"{quoted(path)} lies outside of the manifest's folder"


def problem(column: str, path: str) -> InputProblem:
    """The problem with one of them, with the way out."""
    return InputProblem(
        f"{sentence(path)}: {WAY_OUT}", code=ProblemCode.FILE_OUTSIDE, column=column, file=path, group=CAUSE
    )


@dataclass(slots=True)
class Outside:
    """Those of a whole manifest.

    Attributes:
        count: How many files.
        names: The first of them, as the rows name them.
    """

    count: int = 0
    names: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        """One more."""
        self.count += 1
        if len(self.names) < _SHOWN:
            self.names.append(name)

    @property
    def summary(self) -> str:
        """How many, the first few names, and the way out."""
        more = f" and {self.count - len(self.names):,} more" if self.count > len(self.names) else ""
        files = counted(self.count, "file lies", "files lie")
        return (
            f"{files} outside of the manifest's folder: {', '.join(map(quoted, self.names))}{more}. "
            f"Whoever wrote the manifest could name any file of yours; {FLAG} sends them all the same"
        )
