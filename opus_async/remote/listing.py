"""Lists documents in a folder or by a pattern. Blocks: to be called in a thread."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from posixpath import basename
from typing import Any

from opus_async.errors import ManifestError
from opus_async.remote import access
from opus_async.remote.facts import read_info, remember
from opus_async.remote.libraries import Located
from opus_async.remote.refusals import obstacle, refused
from opus_async.remote_urls import RemoteFile, RemoteFolder

_MAGIC = re.compile(r"[*?\[]")


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
    with _listed(url) as place:
        try:
            return bool(place.filesystem.isdir(place.path))
        except FileNotFoundError:
            return False


def is_document(url: str) -> bool:
    """Whether a URL names a document as it is written, whatever characters of a pattern are in it.

    Raises:
        ManifestError: It cannot be looked up, or no bucket has such a name.
    """
    _start(url)
    with _listed(url) as place:
        try:
            return bool(place.filesystem.info(place.path).get("type") != "directory")
        except (FileNotFoundError, NotADirectoryError):
            return False


def in_folder(folder: RemoteFolder) -> RemoteListing:
    """The documents in a folder, without those in its folders.

    Raises:
        ManifestError: It cannot be listed.
    """
    _refuse_inside(folder.url)
    with _listed(folder.url) as place:
        infos = {str(info["name"]): info for info in place.filesystem.ls(place.path, detail=True)}
        deeper = any(info.get("type") == "directory" for info in infos.values())
        return RemoteListing(folder, dict(_named(folder, place.path, infos)), deeper=deeper)


def matching(pattern: str) -> RemoteListing:
    """The documents that match a pattern such as ``s3://bucket/in/**/*.pdf``.

    Raises:
        ManifestError: They cannot be listed.
    """
    folder = RemoteFolder(_start(pattern))
    hidden = basename(pattern).startswith(".")
    with _listed(pattern) as place:
        base = access.locate(folder.url)
        infos = place.filesystem.glob(place.path, detail=True)
        return RemoteListing(folder, dict(_named(folder, base.path, infos, hidden=hidden)))


@contextmanager
def _listed(url: str) -> Iterator[Located]:
    """Hold the connection for a listing, which the library neither takes from its memory nor leaves there.

    Raises:
        ManifestError: In place of what the library raises. Its cause is an OpusError where others of its
            store would meet it as well.
    """
    with access.held():
        try:
            place = access.locate(url)
            place.filesystem.invalidate_cache()
            yield place
            place.filesystem.invalidate_cache()
        except ManifestError:
            raise
        except Exception as error:  # noqa: BLE001 - each library has its own
            file = RemoteFile(url)
            raise ManifestError(str(refused(file, error))) from obstacle(file, error)


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
    folder: RemoteFolder, base: str, infos: Mapping[str, Any], *, hidden: bool = False
) -> Iterator[tuple[str, str]]:
    """The documents of a listing: names below the folder, and signatures."""
    start = base.rstrip("/") + "/"
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
