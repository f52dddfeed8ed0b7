"""Where a download is written: the path for each file, checked before anything is sent.

A URL only ever names a file inside the folder; see :mod:`~opus_async.filenames`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from opus_async.errors import InvalidInputs
from opus_async.filenames import safe_name
from opus_async.input_problems import bad_argument
from opus_async.transport.part_file import Destination, numbered

_SEPARATORS = tuple(filter(None, (os.sep, os.altsep)))


def destination_of(url: str, wanted: str | os.PathLike[str], *, overwrite: bool) -> Destination:
    """The path of one file: ``wanted`` itself, or in the folder ``wanted`` under the URL's own name.

    Raises:
        InvalidInputs: It exists and may not be replaced, or there can be no such file.
    """
    text = _text(wanted)
    path = Path(text)
    if text.endswith(_SEPARATORS) or path.is_dir():
        return destinations_in(text, [url], overwrite=overwrite)[url]
    if not path.parent.is_dir():
        raise InvalidInputs([bad_argument(f"there is no folder '{path.parent}': make it first")])
    mode = _mode(path)
    if mode is not None and not overwrite:
        raise InvalidInputs([bad_argument(f"'{path}' exists already: give another name, or overwrite=True")])
    if mode is not None and not _replaceable(mode):
        raise InvalidInputs(
            [bad_argument(f"'{path}' is no regular file, and is not replaced: give another name")]
        )
    return Destination(path, overwrite=overwrite)


def destinations_in(
    folder: str | os.PathLike[str], urls: Iterable[str], *, overwrite: bool
) -> dict[str, Destination]:
    """The path of each of these files in a folder, which is made if need be; no two are the same.

    Raises:
        InvalidInputs: There can be no such folder.
    """
    home = _folder(Path(_text(folder)))
    given: set[str] = set()
    series: dict[str, Iterator[Path]] = {}
    found = {}
    for url in urls:
        name = safe_name(url)
        paths = series.setdefault(name.casefold(), numbered(home / name))
        path = next(
            path for path in paths if path.name.casefold() not in given and _free(path, overwrite=overwrite)
        )
        given.add(path.name.casefold())  # macOS does not tell cases apart
        found[url] = Destination(path, overwrite=overwrite, renumber=True)
    return found


def _text(wanted: str | os.PathLike[str]) -> str:
    try:
        text: Any = os.fspath(wanted)
    except TypeError:
        text = None
    if not isinstance(text, str) or not text or "\0" in text:
        raise InvalidInputs(
            [bad_argument("a destination is a path as text, not empty and without a NUL character")]
        )
    return text


def _folder(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInputs(
            [bad_argument(f"there can be no folder '{path}' ({error.strerror}): give another")]
        ) from None
    return path


def _free(path: Path, *, overwrite: bool) -> bool:
    mode = _mode(path)
    return mode is None or (overwrite and _replaceable(mode))


def _mode(path: Path) -> int | None:
    """The mode of what is at this path, links not followed; None when nothing is."""
    try:
        return path.lstat().st_mode
    except OSError:
        return None


def _replaceable(mode: int) -> bool:
    """Whether it is a regular file or a link. Devices are not: root would replace ``/dev/null`` itself."""
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode)
