"""Checks of files before any byte of them is read: extension, size, and what an input allows.

Section "Uploading files" of the vendor's docs: twelve extensions, one size limit; an input can allow fewer.
"""

from __future__ import annotations

import os
from dataclasses import field as attribute
from functools import lru_cache
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, Protocol

from opus_async.cheap_dataclass import cheap_dataclass
from opus_async.errors import InvalidInputs
from opus_async.gaps import literal
from opus_async.input_problems import InputProblem, ProblemCode, Unfit
from opus_async.models import InputField, UploadedFile
from opus_async.opus.protocol.input_labels import quoted
from opus_async.remote_urls import RemoteFile
from opus_async.wire.excerpts import excerpt
from opus_async.wire.requests import sendable

EXTENSIONS = frozenset(
    (".pdf", ".docx", ".csv", ".xls", ".xlsx", ".txt", ".json", ".html", ".xml", ".jpeg", ".jpg", ".png")
)
"""Every file type the vendor documents."""

_LISTED = ", ".join(sorted(EXTENSIONS))
_PAIR = 2
_MEBIBYTE = 1024 * 1024


@cheap_dataclass()
class FileFacts:
    """What is known of a file before it is sent.

    Attributes:
        filename: Its name, with extension, without folder.
        size: Bytes.
        source: Whatever the client can open again for every attempt.
    """

    filename: str
    size: int
    source: object = attribute(repr=False)


class FileInspector(Protocol):
    """Finds out the name and size of a file; passed in, so that this package does no I/O."""

    def __call__(self, source: Any, filename: str | None, /) -> FileFacts:
        """Inspect a path, bytes or a binary file object; ``filename`` is what the caller named it.

        Raises:
            Unfit: The file is missing or cannot be read.
        """
        ...


@cheap_dataclass()
class FileToSend:
    """One file that must be uploaded before the job can be executed.

    Attributes:
        field: The input it is for.
        filename: As the caller named it, without folder.
        extension: Lower case, with the dot.
        size: Bytes.
        source: Whatever the client can open again.
    """

    field: InputField
    filename: str
    extension: str
    size: int
    source: object = attribute(repr=False)


def checked_extension(extension: str) -> str:
    """Bring an extension (``PDF``, ``.pdf``, ``pdf``) into the platform's form: ``.pdf``.

    Raises:
        InvalidInputs: The platform does not take such files.
    """
    normalised = "." + extension.strip().lower().removeprefix(".")
    if normalised not in EXTENSIONS:
        raise InvalidInputs(
            [
                InputProblem(
                    f"files with extension {quoted(extension)} are not supported, only {_LISTED}",
                    code=ProblemCode.FILE_TYPE,
                )
            ]
        )
    return normalised


def extension_of(filename: str) -> str:
    """Get the extension of a file name, lower case with the dot.

    Raises:
        Unfit: It has none, or one that the platform does not take.
    """
    _, dot, ending = filename.strip().rpartition(".")
    extension = f".{ending.lower()}"
    if not dot:
        raise _unfit_file(
            "the file {} has no extension", filename, ProblemCode.FILE_TYPE, fix=f"supported are {_LISTED}"
        )
    if extension not in EXTENSIONS:
        raise _unfit_file(
            "the file {} is of an unsupported type",
            filename,
            ProblemCode.FILE_TYPE,
            fix=f"supported are {_LISTED}",
        )
    return extension


def check_allowed(field: InputField, filename: str, extension: str) -> None:
    """Check a file against the input's ``allowed_file_types``; JPEG and JPG are the same.

    Raises:
        Unfit: The input does not take such files.
    """
    if not field.allowed_file_types:
        return
    if _type_of(extension) not in _types_of(field.allowed_file_types):
        allowed_types = excerpt(", ".join(field.allowed_file_types), 120)
        raise _unfit_file(
            f"takes only {literal(allowed_types)} files, got {{}}", filename, ProblemCode.FILE_TYPE
        )


def check_size(filename: str, size: int, max_bytes: int) -> None:
    """Check a file against the size limit; an empty one is refused, too.

    Raises:
        Unfit: It is empty or too large.
    """
    if size <= 0:
        raise _unfit_file("the file {} is empty", filename, ProblemCode.FILE_EMPTY)
    if size > max_bytes:
        raise Unfit(
            f"the file {{}} has {{}} bytes, more than the limit of {max_bytes:,} "
            f"({max_bytes / _MEBIBYTE:.3g} MB)",
            quoted(filename),
            f"{size:,}",
            code=ProblemCode.FILE_TOO_LARGE,
            fix="split or compress it",
            file=filename,
        )


def file_or_url(field: InputField, value: Any, inspect: FileInspector, max_bytes: int) -> FileToSend | str:
    """Read what a caller gave for one file: the URL of an earlier upload, or a file that must be uploaded.

    Raises:
        Unfit: It is neither, or a file that the input does not take.
    """
    url = _url_of(value)
    if url is not None:
        return url
    source, filename = _source_of(value)
    facts = inspect(source, filename)
    extension = extension_of(facts.filename)
    check_allowed(field, facts.filename, extension)
    check_size(facts.filename, facts.size, max_bytes)
    return FileToSend(field, facts.filename, extension, facts.size, facts.source)


def is_named_file(value: Any) -> bool:
    """Whether this is ``(filename, bytes or file object)``: one file, though it is a tuple."""
    return (
        isinstance(value, tuple)
        and len(value) == _PAIR
        and isinstance(value[0], str)
        and (_is_bytes(value[1]) or _is_open_file(value[1]))
    )


def is_presigned(url: str) -> bool:
    """Whether a URL is signed: it is a short-lived secret, and no ``fileUrl``."""
    return "x-amz-signature=" in url.lower()


def _url_of(value: Any) -> str | None:
    if isinstance(value, UploadedFile):
        return value.url
    if not isinstance(value, str) or not value.lstrip()[:8].lower().startswith(("http://", "https://")):
        return None
    url = value.strip()
    if is_presigned(url):
        raise Unfit("got a presigned URL", fix="a file input takes the fileUrl that came with it")
    return sendable(url)


def _source_of(value: Any) -> tuple[Any, str | None]:
    """Get what is to be inspected, and the name that the caller gave it, if any."""
    if isinstance(value, str | os.PathLike):  # most are
        path = os.fspath(value)
        if not isinstance(path, str):
            raise Unfit("got a path in bytes", fix="give it as text")
        if not path.strip():
            raise Unfit("got an empty path")
        return value, None
    if isinstance(value, RemoteFile):
        return value, None
    if is_named_file(value):
        return value[1], _base_name(value[0])
    if _is_bytes(value):
        raise Unfit("got bare bytes, which have no file name", fix="give (filename, bytes)")
    if _is_open_file(value):
        # of an upload of a web framework "name" can be the field of the form
        name = getattr(value, "filename", None) or getattr(value, "name", None)
        if not isinstance(name, str):
            raise Unfit("got a file object without a name", fix="give (filename, file)")
        return value, _base_name(name)
    raise Unfit(
        "wants a path, the URL of a document or of an earlier upload, an UploadedFile, a binary file object, "
        "(filename, bytes) or (filename, file), got {}",
        type(value).__name__,
    )


def _unfit_file(template: str, filename: str, code: ProblemCode, fix: str | None = None) -> Unfit:
    return Unfit(template, quoted(filename), code=code, fix=fix, file=filename)


def _is_bytes(value: Any) -> bool:
    return isinstance(value, bytes | bytearray | memoryview)


def _is_open_file(value: Any) -> bool:
    return callable(getattr(value, "read", None)) and not isinstance(value, os.PathLike)


def _base_name(name: str) -> str:
    """The last part of a name that may hold folders of either kind."""
    return PureWindowsPath(PurePosixPath(name).name).name


@lru_cache(maxsize=64)
def _types_of(allowed: tuple[str, ...]) -> frozenset[str]:
    """What an input allows; each file for it is compared with that."""
    return frozenset(map(_type_of, allowed))


def _type_of(extension: str) -> str:
    name = extension.strip().lstrip(".").upper()
    return "JPEG" if name == "JPG" else name
