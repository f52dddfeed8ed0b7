"""Output streams whose writing never fails: what could not be written is remembered, and told by the caller.

A disk that is full, a reader that has gone or a stream that was closed before we began must not end a command
in the middle of paid work, and change neither its result nor its exit code.
"""

from __future__ import annotations

import codecs
import io
import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, NamedTuple, TextIO

ESCAPE = "opus_async.escape"
r"""The error handler of codecs that writes what an encoding does not have as ``\u00e9``.

In a JSON text that is the same character again."""
_STANDARD = (0, 1, 2)


class Loss(NamedTuple):
    """Why output was lost.

    Attributes:
        reason: In words that follow "stdout cannot be written:".
        reader_gone: Whether nobody reads any more, as behind ``| head``.
        closed: Whether there was no stream from the beginning.
    """

    reason: str
    reader_gone: bool = False
    closed: bool = False


class OutputLost(Exception):
    """Bytes could not be written to stdout: raised once, so that an export ends early."""


class UnfailingStream:
    """A text stream that takes what it is given, and remembers if that did not arrive.

    Args:
        raw: The stream below; None where there is none (``>&-``, a service).

    Attributes:
        loss: Why the first of what was lost could not be written; None when nothing was lost.
        missing: Whether there is no stream below.
    """

    def __init__(self, raw: TextIO | None) -> None:
        self.missing = raw is None
        self.loss: Loss | None = None
        self._raw: TextIO = (
            raw if raw is not None else io.TextIOWrapper(io.BufferedWriter(_Nowhere()), "utf-8")
        )

    def write(self, text: str) -> int:
        """Write a text; returns its length, also when it was lost."""
        try:
            self._raw.write(text)
        except (OSError, ValueError) as error:  # ValueError: closed by somebody in this process
            self._lose(error)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write lines."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Pass on what is buffered."""
        try:
            self._raw.flush()
        except (OSError, ValueError) as error:
            self._lose(error)

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        with suppress(ValueError):
            return self._raw.isatty()
        return False

    def write_bytes(self, content: bytes) -> None:
        """Write bytes as they are.

        Raises:
            OutputLost: They did not arrive; the first time only.
        """
        before = self.loss
        try:
            self._raw.buffer.write(content)
        except (OSError, ValueError) as error:
            self._lose(error)
            if before is None:
                raise OutputLost from None

    def take_loss(self) -> Loss | None:
        """Why something was lost, for a caller who tells of it: afterwards it is forgotten."""
        if self.missing:
            return Loss("it is closed", closed=True)
        loss, self.loss = self.loss, None
        return loss

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def _lose(self, error: OSError | ValueError) -> None:
        """Remember the first loss, and let the rest go nowhere.

        The interpreter flushes once more at its end, and would exit with 120.
        """
        if self.loss is None:
            number = error.errno if isinstance(error, OSError) else None
            reason = os.strerror(number) if number is not None else "it is closed"
            self.loss = Loss(reason, reader_gone=isinstance(error, BrokenPipeError))
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            try:
                os.dup2(nowhere, self._raw.fileno())
            finally:
                os.close(nowhere)


class _Nowhere(io.RawIOBase):
    """Takes bytes and keeps none."""

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        return len(content)


def hold_descriptors() -> None:
    """Open /dev/null in place of standard streams that are closed, and let none of them be non-blocking.

    Without the first, the next file that is opened, a ledger say, gets number 1 or 2, and whatever a library
    prints ends up in it. Without the second, a pipe that is full for a moment loses output.
    """
    for number in _STANDARD:
        try:
            blocking = os.get_blocking(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one; it stays open
        else:
            if not blocking:
                os.set_blocking(number, True)


def _escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    escaped = "".join(f"\\u{units[place : place + 2].hex()}" for place in range(0, len(units), 2))
    return escaped, error.end


codecs.register_error(ESCAPE, _escape)
