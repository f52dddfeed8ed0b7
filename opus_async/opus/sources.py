"""Turns what a caller gives as a file into a source that can be opened again for every attempt."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opus_async.errors import UploadError
from opus_async.input_problems import ProblemCode, Unfit
from opus_async.opus.protocol.payload import FileFacts
from opus_async.opus.web_uploads import HeldUpload, file_behind, is_upload
from opus_async.remote_urls import RemoteFile
from opus_async.transport.sources import BytesSource, FileObjectSource, PathSource

if TYPE_CHECKING:
    from opus_async.remote.source import RemoteSource

_COLLAPSED = r"[A-Za-z][A-Za-z0-9+.-]+:/[^/]"
"""What a Path makes of a URL."""


def file_info(value: Any, filename: str | None) -> FileFacts:
    """Find out a file's name and size without reading it.

    Args:
        value: A path, bytes, a seekable binary file object, an upload of a web framework, or a document that
            was looked up where it lies.
        filename: Its name, where the value has none or another is wanted.

    Raises:
        Unfit: It cannot be sent.
    """
    try:
        source = _source(value, filename)
    except UploadError as problem:
        unfit = Unfit("{}", problem.message, code=ProblemCode.NO_FILE, file=problem.filename)
        unfit.group = problem.group
        raise unfit from None
    return FileFacts(filename=source.filename, size=source.size, source=source)


def _source(value: Any, filename: str | None) -> PathSource | BytesSource | FileObjectSource | RemoteSource:
    if isinstance(value, RemoteFile):
        return _remote_source(value, filename)
    if isinstance(value, str | os.PathLike):
        return _path_source(value, filename)
    if is_upload(value):
        return _upload_source(value, filename)
    named = filename or getattr(value, "name", None)  # a temporary file's name is a number
    if not named or not isinstance(named, str):
        raise Unfit("it has no file name, which tells the type", fix='give one, like "invoice.pdf"')
    if isinstance(value, bytes | bytearray | memoryview):
        return BytesSource(Path(named).name, bytes(value))
    return FileObjectSource(Path(named).name, value)


def _upload_source(upload: Any, filename: str | None) -> FileObjectSource:
    if isinstance(upload, HeldUpload) and upload.problem is not None:
        raise upload.problem
    named = filename or upload.filename
    if not named:
        raise Unfit("the upload has no file name, which tells the type", fix="give (filename, upload)")
    behind = file_behind(upload)
    if behind is None:
        raise Unfit("the upload {} cannot be read twice", repr(named), fix="give (filename, bytes)")
    return FileObjectSource(Path(named).name, behind, start=0)


def _remote_source(file: RemoteFile, filename: str | None) -> RemoteSource:
    from opus_async.remote.found import FoundFile  # noqa: PLC0415 - most files are here
    from opus_async.remote.source import RemoteSource  # noqa: PLC0415 - most files are here

    if not isinstance(file, FoundFile):
        raise Unfit("{} was not looked up", repr(str(file)), file=str(file))
    if file.problem is not None or file.facts is None:
        raise file.problem or Unfit("{} was not found", repr(str(file)), file=str(file))
    return RemoteSource(file, file.facts, filename, file.patience)


def _path_source(path: str | os.PathLike[str], filename: str | None) -> PathSource:
    try:
        source = PathSource(path, Path(filename).name if filename else None)
    except UploadError:
        if not Path(path).exists():
            as_url = isinstance(path, Path) and re.match(_COLLAPSED, str(path))
            fix = "give a URL as text, not as a Path, which loses a slash of it" if as_url else None
            raise _no_file("there is no file {}", path, fix) from None
        raise
    if not os.access(path, os.R_OK):
        raise _no_file("{} cannot be read: permission denied", path)
    return source


def _no_file(template: str, path: str | os.PathLike[str], fix: str | None = None) -> Unfit:
    return Unfit(template, repr(str(Path(path))), code=ProblemCode.NO_FILE, fix=fix, file=str(path))
