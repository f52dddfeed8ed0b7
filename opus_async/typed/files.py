"""The type of what can be given for one file."""

from __future__ import annotations

import os
from collections.abc import Awaitable
from typing import IO, Annotated, Any, Protocol, TypeAlias

from pydantic_core import CoreSchema, core_schema

from opus_async.models import UploadedFile


class ReadableUpload(Protocol):
    """What a web framework calls an uploaded file."""

    @property
    def filename(self) -> str | None:
        """Its name, as the browser sent it."""

    def read(self, size: int, /) -> bytes | Awaitable[bytes]:
        """Bytes from where it stands; empty at the end."""


class _Unchecked:
    """Lets pydantic take a value as it is: whether it is a file is found out when the job is bound."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> CoreSchema:
        """Take anything."""
        return core_schema.any_schema()


InputFile: TypeAlias = Annotated[
    str
    | os.PathLike[str]
    | UploadedFile
    | IO[bytes]
    | ReadableUpload
    | tuple[str, bytes | bytearray | memoryview | IO[bytes] | ReadableUpload],
    _Unchecked,
]
"""A path, the ``fileUrl`` of an earlier upload, an :class:`~opus_async.UploadedFile`, a binary file object,
the upload of a web framework, or ``(filename, content)``."""
