"""A file that must lie inside a folder, symbolic links included, also when it is opened later.

Between a check of a path and its opening, a link can be put anywhere into it. So the file is reached from the
folder step by step, none of which follows a link; the file found is identified by device and inode, and
:class:`~opus_async.transport.sources.PathSource` compares whatever it opens later with that.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from opus_async.lazy_dataclass import dataclass

_STEP = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | getattr(os, "O_PATH", 0)
"""To pass through a folder takes no permission to list it, where the system can tell the two apart."""
_UNNAMED = frozenset({"", os.curdir, os.pardir})
"""Parts of a path that name no file of the folder before them."""
_NO_DESCRIPTOR = frozenset({errno.EMFILE, errno.ENFILE})


@dataclass(frozen=True, slots=True)
class Confined(os.PathLike[str]):
    """A path, and the folder that its file must lie in.

    Attributes:
        path: Absolute. Links inside the folder may be followed as long as they stay in it.
        folder: Absolute; it may be a link itself.
    """

    path: str
    folder: str

    def __fspath__(self) -> str:
        """The path."""
        return self.path

    def stat(self) -> os.stat_result:
        """The ``os.stat`` of the file, reached without following a link out of the folder.

        Raises:
            ValueError: It lies outside; the text completes "cannot be read (...)".
            OSError: It does not exist, or a link was put into the path.
        """
        return self._reached_as_named() or self._reached_by_links()

    def _reached_as_named(self) -> os.stat_result | None:
        """The file, where no link and no ``..`` leads to it; most are so, and links take long to resolve."""
        beginning = self.folder.rstrip(os.sep) + os.sep
        names = self.path.removeprefix(beginning).split(os.sep)  # noqa: PTH206 - a Path would resolve some
        if not self.path.startswith(beginning) or not _UNNAMED.isdisjoint(names):
            return None
        try:
            found = _reached(self.folder, *names)
        except OSError:
            return None
        return None if stat.S_ISLNK(found.st_mode) else found

    def _reached_by_links(self) -> os.stat_result:
        folder, real = os.path.realpath(self.folder), os.path.realpath(self.path)
        if not lies_in(real, folder):
            raise ValueError(f"it lies outside of the folder {self.folder}")
        try:
            found = _reached(folder, *Path(real).relative_to(folder).parts)
        except OSError as error:
            if error.errno not in _NO_DESCRIPTOR:
                raise
            found = os.lstat(real)
        if stat.S_ISLNK(found.st_mode):
            raise ValueError(f"it has just become a link, which may lead outside of {self.folder}")
        return found


def lies_in(real: str, folder: str) -> bool:
    """Whether a path is a folder or lies inside it; both without links."""
    return real == folder or real.startswith(folder.rstrip(os.sep) + os.sep)


def _reached(folder: str, *names: str) -> os.stat_result:
    """The ``os.stat`` of what these names lead to from a folder; a link among them is not followed."""
    *steps, last = names or (os.curdir,)
    here = os.open(folder, _STEP)
    try:
        for step in steps:
            there = os.open(step, _STEP, dir_fd=here)
            os.close(here)
            here = there
        return os.stat(last, dir_fd=here, follow_symlinks=False)
    finally:
        os.close(here)
