r"""Escapes what a terminal must not see, in everything that the command line writes.

Names, keys, outputs and errors come from platforms and disks, and may hold characters that a terminal obeys
(C0, C1, and the escape sequences that begin with them), that turn the order of letters around, or that cannot
be seen. They are written as ``\u001b``: readable, and in a JSON text the same character again.
"""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from opus_async.terminal_text import escaped


class SafeStream:
    """A text stream that escapes what it writes; in everything else it acts as the stream below it.

    Args:
        raw: The stream below.

    Attributes:
        raw: The stream below, for control sequences of our own.
    """

    def __init__(self, raw: TextIO) -> None:
        self.raw = raw

    def write(self, text: str) -> int:
        """Write a text, escaped; returns its length as it was given."""
        self.raw.write(escaped(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write lines, escaped."""
        for line in lines:
            self.write(line)

    @property
    def buffer(self) -> Any:
        """The stream for bytes: a file or a pipe gets them as they are, a terminal escaped."""
        return _SafeBytes(self) if self.raw.isatty() else self.raw.buffer

    def __iter__(self) -> Iterator[str]:
        """Iterate over the stream below; for type checkers, as nobody reads from it."""
        return iter(self.raw)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


class _SafeBytes:
    """A stream for bytes of text that escapes them for a terminal."""

    def __init__(self, stream: SafeStream) -> None:
        self._stream = stream
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode

    def write(self, content: bytes) -> int:
        self._stream.write(self._decode(bytes(content)))
        return len(content)

    def flush(self) -> None:
        self._stream.raw.flush()


def controls(stream: Any) -> TextIO:
    """The stream that control sequences of our own are written to, unescaped."""
    return stream.raw if isinstance(stream, SafeStream) else stream


@contextmanager
def safe_streams() -> Iterator[None]:
    """Escape what is written to stdout and stderr inside of a ``with`` block.

    A terminal that cannot show a character gets a question mark, not a traceback.
    """
    out, err = sys.stdout, sys.stderr
    for stream in (out, err):
        with suppress(AttributeError, ValueError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    sys.stdout, sys.stderr = _safe(out), _safe(err)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = out, err


def _safe(stream: Any) -> Any:
    return stream if stream is None or isinstance(stream, SafeStream) else SafeStream(stream)
