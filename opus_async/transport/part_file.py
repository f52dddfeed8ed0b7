"""The file of a download, under a temporary name beside its destination until it is complete.

Whatever can block happens in a thread. Whoever opens one ends it, by ``finish`` or by ``discard``; a cancel
can leave a thread inside a write, so ``discard`` waits for that one, in a thread of its own.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import io
import itertools
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from aiofiles.threadpool import wrap
from aiofiles.threadpool.binary import AsyncBufferedIOBase

from opus_async.disk import rename_new, temporary_path
from opus_async.errors import DownloadError
from opus_async.gaps import gapped, literal
from opus_async.transport.open_source import to_thread
from opus_async.transport.shortage import advice, out_of

_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_ADVICE = {
    errno.ENOSPC: "free some space, or give a folder on another disk",
    errno.EDQUOT: "free some space, or give a folder on another disk",
    errno.EFBIG: "raise the limit of file sizes (ulimit -f), or give a folder on another disk",
    errno.EACCES: "give a folder that this user may write to, or change its permissions",
    errno.EPERM: "give a folder that this user may write to, or change its permissions",
    errno.EROFS: "give a folder that can be written to",
    errno.ENOENT: "make its folder first",
    errno.ENOTDIR: "make its folder first",
    errno.ELOOP: "it or a folder of it is a link, and none is followed: take it away",
    errno.EISDIR: "there is a folder of that name: give another name",
    errno.ENAMETOOLONG: "give a shorter name",
}


class Destination(NamedTuple):
    """Where a file is to go.

    Attributes:
        path: In a folder that exists.
        overwrite: Whether a file of that name is replaced. A link is, too: it is never followed.
        renumber: Whether, where it is not, the next free of ``a (2).pdf``, ``a (3).pdf``, ... is taken.
    """

    path: Path
    overwrite: bool = False
    renumber: bool = False


def numbered(path: Path) -> Iterator[Path]:
    """The path, then ``a (2).pdf``, ``a (3).pdf``, ... beside it, without end."""
    yield path
    for number in itertools.count(2):
        yield path.with_name(f"{path.stem} ({number}){path.suffix}")


class PartialFile:
    """A file that one attempt of a download writes; made in a thread, see :meth:`open`.

    Each method may raise a DownloadError when the file cannot be written; its message says what to do.

    Args:
        destination: Where the file goes when it is complete.
    """

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        self._path = temporary_path(destination.path)
        self._lock = threading.Lock()
        self._given_up = False
        with self._explained():
            self._file = _HashingFile(io.FileIO(self._path, "x"))  # exclusive: no link is followed
        self._writer: AsyncBufferedIOBase = wrap(self._file)

    @classmethod
    async def open(cls, destination: Destination) -> PartialFile:
        """Make the temporary file, with the permissions that any new file gets."""
        return await to_thread(lambda: cls(destination), undo=cls.discard_now)

    async def write(self, pieces: Sequence[bytes]) -> None:
        """Write pieces at the end: one hop to a thread, hashing included."""
        with self._explained():
            await self._writer.writelines(pieces)

    async def finish(self) -> tuple[Path, str]:
        """Sync it to the disk, then give it its name.

        Returns:
            Where it is now, and its SHA-256 in hex.
        """
        return await to_thread(self._finish_now)

    async def discard(self) -> None:
        """Close and remove it; a cancel does not stop that."""
        self._given_up = True
        try:
            discarding = asyncio.get_running_loop().run_in_executor(None, self.discard_now)
        except RuntimeError:  # no thread can be started: better to block for a moment than to leave it
            self.discard_now()
        else:
            await asyncio.shield(discarding)

    def discard_now(self) -> None:
        """Close and remove it in this thread, once no other thread uses it."""
        with self._lock:
            with suppress(OSError):  # it is closed all the same
                self._file.close()
            with suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _finish_now(self) -> tuple[Path, str]:
        with self._lock, self._explained():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            if self._given_up:  # a cancel; nobody waits for this any more
                raise DownloadError("given up", destination=str(self._destination.path))
            return self._place(), self._file.sha256.hexdigest()

    def _place(self) -> Path:
        wanted = self._destination.path
        if self._destination.overwrite:
            return self._path.replace(wanted)
        for path in numbered(wanted) if self._destination.renumber else (wanted,):
            with suppress(FileExistsError):
                rename_new(self._path, path)
                return path
        raise DownloadError(
            gapped(
                "{} came to be while its content was downloaded: give another name, or overwrite=True", wanted
            ),
            destination=str(wanted),
        )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Convert an error of the system to ours."""
        try:
            yield
        except OSError as error:
            raise unwritable(self._destination.path, error) from None


class _HashingFile(io.BufferedWriter):
    """Computes the SHA-256 of what it writes, in the thread that writes it."""

    def __init__(self, raw: io.FileIO) -> None:
        super().__init__(raw)
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes) -> int:  # type: ignore[override]  # we write nothing but bytes
        """Write all of it."""
        self.sha256.update(data)
        return super().write(data)


def unwritable(path: Path, error: OSError) -> DownloadError:
    """The error for a file that the system does not let us write; it says what to do."""
    number = error.errno or 0
    reason = os.strerror(number) if number else error.strerror or str(error)
    what = out_of(error)
    fix = _ADVICE.get(number, "check the disk and the path") if what is None else advice(what)
    refusal = DownloadError(
        gapped(f"{{}} cannot be written ({literal(reason)}): {fix}", path),
        destination=str(path),
        disk_full=number in _DISK_FULL,
    )
    refusal.shortage = what
    return refusal
