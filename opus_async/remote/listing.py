"""Lists documents in a folder or by a pattern. Blocks: to be called in a thread."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from posixpath import basename
from typing import Any

from opus_async.errors import ManifestError
from opus_async.remote import access
from opus_async.remote.facts import read_info, remember
from opus_async.remote.hold import held
from opus_async.remote.libraries import Located
from opus_async.remote.refusals import obstacle, refused
from opus_async.remote.stores import ask
from opus_async.remote_urls import RemoteFile, RemoteFolder

_MAGIC = re.compile(r"[*?\[]")
_REQUESTS = 20
"""Requests whose time a listing may take: of a store with many documents it takes one for each thousand."""


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
        infos = {str(info["name"]): info for info in _asked(folder.url, "ls", detail=True)}
        deeper = any(info.get("type") == "directory" for info in infos.values())
        return RemoteListing(folder, dict(_named(folder, infos)), deeper=deeper)


def matching(pattern: str) -> RemoteListing:
    """The documents that match a pattern such as ``s3://bucket/in/**/*.pdf``.

    Raises:
        ManifestError: They cannot be listed.
    """
    folder = RemoteFolder(_start(pattern))
    hidden = basename(pattern).startswith(".")
    with _told(pattern):
        infos = _asked(pattern, "glob", detail=True)
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
    """What a file system tells, which its library neither takes from its memory nor leaves there."""

    async def ask_anew(place: Located) -> Any:
        place.filesystem.invalidate_cache()
        try:
            return await access.call(place, method, **options)
        finally:
            place.filesystem.invalidate_cache()

    return access.blocking(ask(RemoteFile(url), ask_anew, times=_REQUESTS))


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
    folder: RemoteFolder, infos: Mapping[str, Any], *, hidden: bool = False
) -> Iterator[tuple[str, str]]:
    """The documents of a listing: names below the folder, and signatures."""
    start = access.locate(folder.url).path.rstrip("/") + "/"
    for path, info in infos.items():
        name = path.removeprefix(start)
        if not name or name == path or name.endswith("/") or info.get("type") == "directory":
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
