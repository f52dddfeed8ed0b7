"""Where a ledger lives: what tells the files that were written last from a copy of them.

A copy, on this disk or another, has other inodes, or was made at another time: inodes are used again. A
folder that is renamed keeps both; so does one that is seen from another container, or after the disks of a
machine were numbered anew. Where the system does not tell when a file was made, the disk has to be the same.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from opus_async.batch.ledger.file_birth import born
from opus_async.layout import LEDGER


@dataclass(frozen=True, slots=True)
class Home:
    """The place of a ledger on a disk.

    Attributes:
        host: The machine, or the container, that wrote it last.
        path: The folder as that one saw it.
        device: Of the file system, as that one numbered it.
        file_system: Its own id, from the disk itself where it has one; 0 where there is none.
        directory: Inode of the folder.
        ledger: Inode of ``ledger.db``.
        directory_born: When the folder was made, in ns since the epoch; 0 where it is not told.
        ledger_born: When ``ledger.db`` was made, in ns since the epoch; 0 where it is not told.
    """

    host: str
    path: str
    device: int
    file_system: int
    directory: int
    ledger: int
    directory_born: int = 0
    ledger_born: int = 0

    @classmethod
    def of(cls, directory: Path) -> Self:
        """The place of the ledger that lies in a folder now."""
        folder = directory.stat()
        return cls(
            host=socket.gethostname(),
            path=str(directory.resolve()),
            device=folder.st_dev,
            file_system=_file_system(directory),
            directory=folder.st_ino,
            ledger=(directory / LEDGER).stat().st_ino,
            directory_born=born(directory.resolve()),
            ledger_born=born(directory / LEDGER),
        )

    @classmethod
    def from_fact(cls, fact: Mapping[str, Any]) -> Self | None:
        """Read a place from a ledger's facts; None if they make no sense."""
        try:
            return cls(**fact)
        except TypeError:
            return None

    def as_fact(self) -> dict[str, Any]:
        """The place as JSON."""
        return asdict(self)

    def same_folder(self, other: Home) -> bool:
        """Whether it is one folder, wherever it was moved to."""
        if self.directory != other.directory:
            return False
        return _one(self.directory_born, other.directory_born, otherwise=self._same_disk(other))

    def same(self, other: Home) -> bool:
        """Whether it is one ledger in one folder."""
        if not self.same_folder(other) or self.ledger != other.ledger:
            return False
        return _one(self.ledger_born, other.ledger_born, otherwise=True)

    def _same_disk(self, other: Home) -> bool:
        """Whether both lie on one file system, as far as can be told: each number alone may change."""
        if self.file_system and self.file_system == other.file_system:
            return True
        return self.host == other.host and (self.device == other.device or self.path == other.path)


def _one(born: int, other: int, *, otherwise: bool) -> bool:
    """Whether two birth times are equal, where both are known."""
    return born == other if born and other else otherwise


def _file_system(directory: Path) -> int:
    if not hasattr(os, "statvfs"):
        return 0  # not on this system
    return os.statvfs(directory).f_fsid
