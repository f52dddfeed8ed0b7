"""Result files of a row, fetched into a folder of its own: ``--download-outputs``.

A file comes in below ``.part`` and gets its name once it is whole and on the disk. Names follow from the
outputs alone: what an earlier process had fetched before the ledger knew of it is replaced, never doubled,
and stays where it is as long as it cannot be had again.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opus_async.batch.rows import FetchedFile
from opus_async.disk import make_directory, replace
from opus_async.errors import OpusError
from opus_async.filenames import safe_folder, safe_name, safe_text
from opus_async.layout import OUTPUTS
from opus_async.platform import Platform
from opus_async.tasks import in_order
from opus_async.transport.part_file import numbered, unwritable

STAGE = "download"
"""After the platform's own stages, where a row asks for it."""
_UNFINISHED = ".part"
_LONGEST_ENDING = 20
"""In bytes: with the longest name of an output and a number it stays below a file system's 255."""


class Outputs:
    """Fetches the files that jobs have left.

    Args:
        directory: The batch directory.
        platform: Whose jobs; it bounds how many files come in at once.
    """

    def __init__(self, directory: Path, platform: Platform[Any, Any]) -> None:
        self._home = directory.absolute() / OUTPUTS
        self._platform = platform

    async def fetch(self, key: str, results: Any) -> tuple[FetchedFile, ...]:
        """Fetch the files of one row, all that can be had.

        Args:
            key: The row's; its folder is named after it.
            results: As the platform sent them.

        Returns:
            The files, in the order of the outputs. They are on the disk.

        Raises:
            DownloadError: Storage refused one, or the disk did (``disk_full``).
            OpusError: One of them could not be had. The others are in the folder.
        """
        files = self._platform.files_in(results)
        if not files:
            return ()
        home = self._home / safe_folder(key)
        try:
            await asyncio.to_thread(_clear, home)
        except OSError as error:
            raise unwritable(home, error).located(stage=STAGE) from None
        try:
            return await self._fetch_all(files, home)
        except OpusError as error:
            raise error.located(stage=STAGE) from None
        finally:
            await asyncio.to_thread(shutil.rmtree, home / _UNFINISHED, ignore_errors=True)

    async def _fetch_all(self, files: Sequence[tuple[str, str]], home: Path) -> tuple[FetchedFile, ...]:
        wanted = list(zip(files, file_names(files), strict=True))

        async def fetched(one: tuple[tuple[str, str], str]) -> FetchedFile | OpusError:
            (output, url), name = one
            return await self._fetched_or_error(output, url, home / name)

        done = await in_order(fetched, wanted)
        for error in done:
            if isinstance(error, OpusError):
                raise error
        return tuple(file for file in done if isinstance(file, FetchedFile))

    async def _fetched_or_error(self, output: str, url: str, path: Path) -> FetchedFile | OpusError:
        """One file's failure ends no other's way."""
        unfinished = path.parent / _UNFINISHED / path.name
        try:
            got = await self._platform.fetch(url, unfinished)
            await asyncio.to_thread(replace, unfinished, path)  # one that an earlier process fetched
        except OpusError as error:
            return error
        except OSError as error:
            return unwritable(path, error)
        relative = f"{OUTPUTS}/{path.parent.name}/{path.name}"
        return FetchedFile(name=output, path=relative, size=got.size, sha256=got.sha256)


def file_names(files: Sequence[tuple[str, str]]) -> list[str]:
    """A name for each file: its output's, with the ending of its URL; no two are the same on any system.

    Args:
        files: Display name and URL of each.
    """
    given: set[str] = set()
    names = []
    for output, url in files:
        stem, ending = safe_text(output), Path(safe_name(url)).suffix
        if len(ending.encode()) > _LONGEST_ENDING:
            ending = ""
        whole = stem if stem.casefold().endswith(ending.casefold()) else f"{stem}{ending}"
        name = next(path.name for path in numbered(Path(whole)) if path.name.casefold() not in given)
        given.add(name.casefold())
        names.append(name)
    return names


def _clear(home: Path) -> None:
    """Make a row's folder, on the disk, without what an earlier process left unfinished in it.

    Raises:
        OSError: It cannot be, or it or the one above is a link: that could lead anywhere.
    """
    for folder in (home.parent, home):
        if folder.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(folder))
    make_directory(home, private=True)  # what a batch gets is nobody else's business
    unfinished = home / _UNFINISHED
    if unfinished.is_dir() and not unfinished.is_symlink():
        shutil.rmtree(unfinished)
    else:
        unfinished.unlink(missing_ok=True)
    unfinished.mkdir()
