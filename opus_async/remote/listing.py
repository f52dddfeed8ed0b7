"""Lists documents in a folder or by a pattern. Blocks: to be called in a thread."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from posixpath import basename
from typing import Any, TypeAlias

from opus_async.errors import ManifestError
from opus_async.remote import access
from opus_async.remote.facts import read_info, remember
from opus_async.remote.hold import held
from opus_async.remote.libraries import EXTRAS, Located
from opus_async.remote.refusals import obstacle, refused
from opus_async.remote.stores import ask
from opus_async.remote_urls import RemoteFile, RemoteFolder, is_chain, scheme_of
from opus_async.tasks import in_order

_MAGIC = re.compile(r"[*?\[]")
_REQUESTS = 20
"""Requests whose time a listing may take: of a store with many documents it takes one for each thousand."""
_AT_ONCE = 16
"""Folders that are listed at the same time."""
_DEEPEST = 100
"""Folders within each other: where there are more, one of them holds itself."""

_Info: TypeAlias = Mapping[str, Any]
"""What a library tells of a document or a folder."""


@dataclass(frozen=True, slots=True)
class RemoteListing:
    """Documents in a folder, or that match a pattern.

    Attributes:
        folder: What ``names`` start at.
        names: Paths from there -> the signature of each: of its URL, size and version.
        deeper: How many documents lie in folders of the folder, where these are not listed.
    """

    folder: RemoteFolder
    names: Mapping[str, str]
    deeper: bool = False


def is_folder(url: str) -> bool:
    """Whether a URL names a folder.

    Raises:
        ManifestError: It cannot be looked up; what does not exist is no folder.
    """
    with _told(url), suppress(FileNotFoundError):
        return bool(_asked(url, "isdir"))
    return False


def is_document(url: str) -> bool:
    """Whether a URL names a document as it is written, whatever characters of a pattern are in it.

    Raises:
        ManifestError: It cannot be looked up, or no bucket has such a name.
    """
    _start(url)
    with _told(url), suppress(FileNotFoundError, NotADirectoryError):
        return bool(_asked(url, "info").get("type") != "directory")
    return False


def in_folder(folder: RemoteFolder) -> RemoteListing:
    """The documents in a folder, without those in its folders.

    Raises:
        ManifestError: It cannot be listed.
    """
    _refuse_inside(folder.url)
    with _told(folder.url):
        infos = access.blocking(_listed(folder.url))
        deeper = any(map(_is_folder, infos))
        return RemoteListing(folder, dict(_named(folder, infos)), deeper=deeper)


def matching(pattern: str) -> RemoteListing:
    """The documents that match a pattern such as ``s3://bucket/in/**/*.pdf``.

    Raises:
        ManifestError: They cannot be listed.
    """
    folder = RemoteFolder(_start(pattern))
    hidden = basename(pattern).startswith(".")
    with _told(pattern):
        infos = access.blocking(_matching(folder, pattern.removeprefix(f"{folder.url}/")))
        return RemoteListing(folder, dict(_named(folder, infos, hidden=hidden)))


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Hold the connection for a listing, and tell what is wrong with it.

    Raises:
        ManifestError: In place of what the library raises. Its cause is an OpusError where others of its
            store would meet it as well.
    """
    with held():
        try:
            yield
        except Exception as error:  # noqa: BLE001 - each library has its own
            file = RemoteFile(url)
            cause = obstacle(file, error)
            raise ManifestError(cause.message if cause else str(refused(file, error))) from cause


def _asked(url: str, method: str, **options: Any) -> Any:
    """What a file system tells, from code that may block."""
    return access.blocking(_tell(url, method, **options))


async def _tell(url: str, method: str, **options: Any) -> Any:
    """What a file system tells, which its library neither takes from its memory nor leaves there."""

    async def ask_anew(place: Located) -> Any:
        place.filesystem.invalidate_cache()
        try:
            return await access.call(place, method, **options)
        finally:
            place.filesystem.invalidate_cache()

    return await ask(RemoteFile(url), ask_anew, times=_REQUESTS)


async def _listed(url: str) -> Sequence[_Info]:
    """What lies in a folder; a document and a folder can have the same name."""
    infos: Sequence[_Info] = await _tell(url, "ls", detail=True)
    return infos


async def _matching(folder: RemoteFolder, pattern: str) -> Iterable[_Info]:
    """The documents below a folder that match a pattern.

    The library's own search leaves out a folder that cannot be listed, and its documents with it: rows would
    be missing.
    """
    from fsspec.utils import glob_translate  # noqa: PLC0415 - an optional library

    parts, stem = pattern.split("/"), _MAGIC.split(pattern, maxsplit=1)[0]
    flat = scheme_of(folder.url) in EXTRAS and not is_chain(folder.url)
    infos: Iterable[_Info]
    if flat and ("**" in parts or (len(parts) == 1 and stem)):
        told = await _tell(
            folder.url, "find", withdirs=False, detail=True, **({"prefix": stem} if stem else {})
        )
        infos = told.values() if isinstance(told, Mapping) else []
    else:
        infos = await _walked(folder, parts[:-1])
    start, fits = await _start_of(folder), re.compile(glob_translate(pattern)).match
    return [info for info in infos if fits(str(info["name"]).removeprefix(start))]


async def _walked(folder: RemoteFolder, parts: Sequence[str]) -> Iterable[_Info]:
    """What lies in the folders that match these parts of a pattern, of which ``**`` is any number.

    Raises:
        ManifestError: They have no end.
    """
    from fsspec.utils import glob_translate  # noqa: PLC0415 - an optional library

    start, found = await _start_of(folder), list(await _listed_below(folder.url))
    level, depth = found, 0
    deep = "**" in parts
    while deep or depth < len(parts):
        if depth == _DEEPEST:
            raise ManifestError(
                f"{folder} has more than {_DEEPEST} folders within each other: name some of them"
            )
        fits = None if deep else re.compile(glob_translate(parts[depth])).match
        names = {str(info["name"]).rstrip("/").removeprefix(start) for info in level if _is_folder(info)}
        inner = [name for name in sorted(names) if name.count("/") == depth]  # a folder can list itself
        inner = [name for name in inner if name and (fits is None or fits(basename(name)))]
        if not inner:
            break
        lists = await in_order(_listed_below, [f"{folder.url}/{name}" for name in inner], at_once=_AT_ONCE)
        level, depth = [info for infos in lists for info in infos], depth + 1
        found += level
    return found


async def _listed_below(url: str) -> Sequence[_Info]:
    with suppress(FileNotFoundError):  # it is not there, or went meanwhile
        return await _listed(url)
    return []


async def _start_of(folder: RemoteFolder) -> str:
    """What the names in a folder begin with, as its library has them."""
    return f"{(await access.located(folder.url)).path.rstrip('/')}/"


def _is_folder(info: _Info) -> bool:
    return bool(info.get("type") == "directory")


def _start(pattern: str) -> str:
    """The folder that a pattern starts at: all parts before the first with a special character."""
    _refuse_inside(pattern)
    scheme, separator, rest = pattern.partition("://")
    plain = []
    for part in rest.split("/")[:-1]:
        if _MAGIC.search(part):
            break
        plain.append(part)
    if not plain:
        raise ManifestError(
            f"{RemoteFile(pattern)}: a pattern begins with the name of one bucket: write it out"
        )
    return f"{scheme}{separator}{'/'.join(plain)}"


def _refuse_inside(url: str) -> None:
    """Refuse to list what lies inside of another file: each document needs the whole chain in its URL."""
    if RemoteFolder(url).is_inside_file:
        raise ManifestError(
            f"{RemoteFile(url)} lies inside of another file, which is not listed: name its documents one by "
            "one, each by its whole URL, or unpack it"
        )


def _named(
    folder: RemoteFolder, infos: Iterable[_Info], *, hidden: bool = False
) -> Iterator[tuple[str, str]]:
    """The documents of a listing: names below the folder, and signatures."""
    start = access.blocking(_start_of(folder))
    for info in infos:
        path = str(info["name"])
        name = path.removeprefix(start)
        if not name or name == path or name.endswith("/") or _is_folder(info):
            continue
        if basename(name).startswith(".") and not hidden:
            continue
        file = folder / name
        yield name, _signature(file, info)


def _signature(file: RemoteFile, info: Mapping[str, Any]) -> str:
    try:
        remember(file.url, info)
        return read_info(info).signature(file)
    except ValueError:  # a listing need not tell sizes: each document is asked for by itself then
        return ""
