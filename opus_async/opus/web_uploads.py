"""Files that a web framework received: objects with a ``filename`` and a sync or async ``read``.

Starlette and FastAPI, Litestar, Werkzeug and Flask, Quart, Django. Most of them have a seekable file behind,
which is read where it lies. What has none is copied first, at most ``MEMORY`` of it into memory and the rest
into a temporary file, because a failed upload must be read again. All jobs that are given the same upload
share the copy. Either way the whole file is sent, whatever was read of it before; one that cannot seek is
refused where it tells that something was, or where a copy of it was given up. The framework closes it.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import weakref
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Protocol, cast

from opus_async.errors import OpusError
from opus_async.input_problems import ProblemCode, Unfit
from opus_async.transport.open_source import to_thread, unreadable

MEMORY = 1024 * 1024
"""Bytes of a copy that are held in memory: with 500 jobs in flight half a gigabyte, and mostly far less."""
CHUNK = 256 * 1024
"""Bytes that are asked for at once."""
TOO_MUCH = 64 * 1024 * 1024
"""Bytes beyond the limit up to which they are counted, so that the error can say how many there are."""
_SEEKABLE = ("read", "seek", "tell")
_BEHIND = ("file", "stream")
"""Where frameworks have the file itself."""


class WebUpload(Protocol):
    """What a web framework calls an uploaded file."""

    @property
    def filename(self) -> str | None:
        """Its name, as the browser sent it."""

    def read(self, size: int, /) -> bytes | Awaitable[bytes]:
        """Bytes from where it stands; empty at the end."""


class HeldUpload:
    """The copy of an upload that has no seekable file behind.

    Args:
        filename: As the browser sent it.

    Attributes:
        filename: As given.
        problem: Why it cannot be sent; None where nothing is wrong.
    """

    def __init__(self, filename: str) -> None:
        self.filename = filename
        self.problem: Unfit | None = None
        self._file = SpooledTemporaryFile[bytes](MEMORY)
        self.read, self.tell = self._file.read, self._file.tell
        weakref.finalize(self, self._file.close)  # also where it is collected in a circle with its file

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to a position, and return it."""
        self._file.seek(offset, whence)
        return self._file.tell()

    async def fill(self, upload: Any, most: int) -> None:
        """Copy an upload; beyond ``most`` bytes it is only counted, and refused.

        Raises:
            Exception: Whatever its ``read`` raises.
        """
        if not await _rewound(upload):
            raise _read_in_part(self.filename)
        size = 0
        takes_size = _takes_size(upload.read)
        while piece := await _result(upload.read, *([CHUNK] if takes_size else [])):
            if not isinstance(piece, bytes | bytearray | memoryview):
                raise Unfit("the upload {} gives text, not bytes", repr(self.filename), file=self.filename)
            size += len(piece)
            if size > most + TOO_MUCH:
                break
            if size <= most:
                await to_thread(functools.partial(self._file.write, bytes(piece)))
            if not takes_size:
                break
        if size > most:
            raise Unfit(
                f"the upload {{}} has {{}} bytes, more than the limit of {most:,}",
                repr(self.filename),
                f"{size:,}",
                code=ProblemCode.FILE_TOO_LARGE,
                fix="split or compress it",
                file=self.filename,
            )
        await _rewound(upload)
        self._file.seek(0)


class _Shared:
    """The one copy of an upload, for all jobs that are given it."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.begun = False
        self.copy: HeldUpload | None = None


_SHARED: weakref.WeakKeyDictionary[Any, _Shared] = weakref.WeakKeyDictionary()


def is_upload(value: Any) -> bool:
    """Whether a value is a file that a web framework received."""
    return (
        not isinstance(value, str | bytes | os.PathLike | type)
        and hasattr(value, "filename")
        and callable(getattr(value, "read", None))
    )


def file_behind(upload: Any) -> IO[bytes] | None:
    """The seekable file that an upload is, or has behind; None where it must be copied first."""
    for each in (upload, *(getattr(upload, name, None) for name in _BEHIND)):
        if each is not None and all(
            _is_plain(getattr(each, name, None)) for name in ("read", "seek", "tell")
        ):
            return cast("IO[bytes]", each)
    return None


def any_to_hold(inputs: Mapping[str, Any]) -> bool:
    """Whether there are uploads to hold: a quick look, which most inputs do not pass."""
    return any(map(_needs_copy, inputs.values()))


async def with_uploads_held(inputs: Mapping[str, Any], most: int) -> Mapping[str, Any]:
    """The inputs, with a copy of each upload among them that can be read only once.

    Args:
        inputs: They are looked at, and the items of their lists.
        most: The largest file that is sent.
    """
    held = {name: await _held_value(value, most) for name, value in inputs.items() if _needs_copy(value)}
    return {**inputs, **held}


async def held(value: Any, most: int) -> Any:
    """The value, or a copy of an upload that can be read only once. What is wrong with it, the copy tells."""
    if not is_upload(value) or file_behind(value) is not None:
        return value
    try:
        shared = _SHARED.setdefault(value, _Shared())
    except TypeError:  # not every object can be a key: such an upload has no copy but that of its job
        return await _copied(value, most)
    async with shared.lock:
        if shared.copy is None:
            if shared.begun and not callable(getattr(value, "seek", None)):
                given_up = HeldUpload(str(value.filename or ""))
                given_up.problem = _read_in_part(given_up.filename)
                return given_up
            shared.begun = True
            shared.copy = await _copied(value, most)
        return shared.copy


async def _copied(value: Any, most: int) -> HeldUpload:
    copy = HeldUpload(str(value.filename or ""))
    try:
        await copy.fill(value, most)
    except Unfit as unfit:
        copy.problem = unfit
    except OpusError:
        raise
    except Exception as error:  # noqa: BLE001 - somebody else's read
        refused = unreadable(copy.filename, copy.filename, error)
        copy.problem = Unfit("{}", refused.message, code=ProblemCode.NO_FILE, file=copy.filename)
    return copy


def _read_in_part(filename: str) -> Unfit:
    return Unfit(
        "the upload {} was read in part, and cannot seek to its beginning",
        repr(filename),
        code=ProblemCode.NO_FILE,
        file=filename,
    )


def _needs_copy(value: Any) -> bool:
    if isinstance(value, str):  # most values are, and this is asked for each
        return False
    if isinstance(value, list | tuple):
        return any(map(_needs_copy, value))
    return is_upload(value) and file_behind(value) is None


async def _held_value(value: Any, most: int) -> Any:
    if isinstance(value, list | tuple):
        items = [await _held_value(item, most) for item in value]
        return tuple(items) if isinstance(value, tuple) else items
    return await held(value, most)


def _is_plain(method: Any) -> bool:
    return callable(method) and not inspect.iscoroutinefunction(method)


def _takes_size(read: Callable[..., Any]) -> bool:
    try:
        inspect.signature(read).bind(CHUNK)
    except TypeError:
        return False
    except ValueError:  # a function in C that does not tell
        return True
    return True


async def _rewound(upload: Any) -> bool:
    """Seek to the beginning; False where it cannot, and tells that it does not stand there."""
    if callable(seek := getattr(upload, "seek", None)):
        with suppress(OSError, NotImplementedError):
            await _result(seek, 0)
            return True
    if callable(tell := getattr(upload, "tell", None)):
        with suppress(OSError, NotImplementedError):
            return not await _result(tell)
    return True


async def _result(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns: awaited where that is asked for, else called in a thread."""
    if inspect.iscoroutinefunction(function):
        return await function(*arguments)
    result = await to_thread(lambda: function(*arguments))
    return await result if inspect.isawaitable(result) else result
