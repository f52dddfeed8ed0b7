"""SHA-256 of files, read in threads, a few at a time, and not again while a file has not changed.

What stands for a document elsewhere is told in :mod:`opus_async.manifests.remote_digests`.
"""

from __future__ import annotations

import asyncio
import os
import stat
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

from opus_async.errors import InvalidInputs
from opus_async.gaps import literal
from opus_async.input_problems import ProblemCode, Unfit
from opus_async.manifests.remote_digests import is_same_version, remote_facts, same_content, signature_of
from opus_async.platform import Cache
from opus_async.remote.facts import RemoteFacts
from opus_async.remote_urls import RemoteFile
from opus_async.transport.hashing import new_buffer, sha256
from opus_async.transport.open_source import to_thread
from opus_async.transport.shortage import patiently

_CONCURRENCY = 4
"""Files read at once: a disk is not faster for more readers, and DNS look-ups use the same threads."""

FileSignature: TypeAlias = tuple[int, int, int, str]
"""Size in bytes, time of the last change in nanoseconds, inode, SHA-256 in hex."""


class DigestCache(Protocol):
    """Keeps digests for later processes."""

    async def recall_files(self, paths: Sequence[str]) -> Mapping[str, FileSignature]:
        """Path -> what was kept of it; a path of which nothing was kept is left out."""

    def keep_file(self, path: str, size: int, mtime_ns: int, inode: int, sha256: str) -> None:
        """Keep a digest. It may be lost: then the file is read again."""


class FileDigests:
    """Computes digests of files.

    Args:
        cache: Keeps digests for later processes; None to keep none.
        memory: Tells what was sent of documents elsewhere; None where that is not known.
    """

    def __init__(self, cache: DigestCache | None = None, memory: Cache | None = None) -> None:
        self._cache = cache
        self._memory = memory
        self._room = asyncio.Semaphore(_CONCURRENCY)

    async def of(self, path: Path | RemoteFile) -> str:
        """The SHA-256 of a file in hex; of a document elsewhere what stands for its content.

        Raises:
            InvalidInputs: It is missing, cannot be read, is no file, or changed while it was read.
            StoreUnavailable: It lies elsewhere, and its store gives no answer.
        """
        if isinstance(path, RemoteFile):
            return await self._of_remote(path)
        name = str(path)
        known = (await self._cache.recall_files([name])).get(name) if self._cache else None
        async with self._room:
            stop = threading.Event()
            try:
                found = await patiently(lambda: to_thread(lambda: _hashed(name, known, stop)))
            except asyncio.CancelledError:
                stop.set()
                raise
            except (OSError, ValueError) as error:
                raise InvalidInputs([_unfit(name, error).problem()]) from None
        if self._cache and found != known:
            self._cache.keep_file(name, *found)
        return found[3]

    async def _of_remote(self, file: RemoteFile) -> str:
        facts = await remote_facts(file)
        found = signature_of(file, facts)
        if self._cache is None:
            return found[3]
        name = file.kept_name
        known = (await self._cache.recall_files([name])).get(name)
        if known is not None and await self._holds_the_same(file, facts, known):
            found = (*found[:3], known[3])
        if found != known:
            self._cache.keep_file(name, *found)
        return found[3]

    async def _holds_the_same(self, file: RemoteFile, facts: RemoteFacts, known: FileSignature) -> bool:
        if is_same_version(signature_of(file, facts), known):
            return True
        async with self._room:
            return await same_content(file, facts, known, self._memory)


def _hashed(path: str, known: FileSignature | None, stop: threading.Event) -> FileSignature:
    """Hash the file unless its signature is the known one; runs in a thread."""
    if known is not None and stat_signature(os.stat(path)) == known[:3]:  # noqa: PTH116 - a str
        return known
    with open(path, "rb", buffering=0, opener=_without_blocking) as file:
        before = os.fstat(file.fileno())
        if not stat.S_ISREG(before.st_mode):
            raise Unfit(
                "{} is not a regular file",
                repr(path),
                code=ProblemCode.NO_FILE,
                fix="give the path of a file",
                file=path,
            )
        digest, size = sha256(file.readinto, stop, new_buffer())
        if not stop.is_set() and (size, stat_signature(os.fstat(file.fileno()))) != (
            before.st_size,
            stat_signature(before),
        ):
            raise Unfit(
                "{} changed while it was read",
                repr(path),
                code=ProblemCode.FILE_CHANGED,
                fix="start again when it is written to its end",
                file=path,
            )
    return (*stat_signature(before), digest)


def _without_blocking(path: str, flags: int) -> int:
    """Open a file without blocking: a pipe nobody writes to would block for ever."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def stat_signature(found: os.stat_result) -> tuple[int, int, int]:
    """Size, time of the last change in nanoseconds and inode: what shows that a file has changed."""
    return found.st_size, found.st_mtime_ns, found.st_ino


def _unfit(path: str, error: OSError | ValueError) -> Unfit:
    """Why a file has no digest."""
    if isinstance(error, Unfit):
        return error
    if isinstance(error, FileNotFoundError):
        return Unfit("there is no file {}", repr(path), code=ProblemCode.NO_FILE, file=path)
    why = str(error) if isinstance(error, ValueError) else error.strerror or str(error)
    what, fix = f"{{}} cannot be read ({literal(why)})", "check the path and its permissions"
    return Unfit(what, repr(path), code=ProblemCode.NO_FILE, fix=fix, file=path)
