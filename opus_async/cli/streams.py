r"""Escapes what a terminal must not see, in everything that the command line writes.

Names, keys, outputs and errors come from platforms and disks, and may hold characters that a terminal obeys
(C0, C1, and the escape sequences that begin with them), that turn the order of letters around, or that cannot
be seen. They are written as ``\u001b``: readable, and in a JSON text the same character again.
"""

from __future__ import annotations

import codecs
import io
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from opus_async.cli.unfailing import ESCAPE, Loss, UnfailingStream
from opus_async.terminal_text import escaped

_PLAIN: Mapping[str, str] = {"✓": "+", "✗": "x", "→": ">", "…": "~"}
"""Symbols of our own -> what stands for them, as wide."""


class SafeStream:
    """A text stream that escapes what it writes; in everything else it acts as the stream below it.

    Args:
        raw: The stream below.

    Attributes:
        raw: The stream below, for control sequences of our own.
    """

    def __init__(self, raw: TextIO | UnfailingStream) -> None:
        self.raw: Any = raw

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
        if isinstance(self.raw, UnfailingStream) or self.raw.isatty():
            self.raw.flush()
            return _SafeBytes(self)
        return self.raw.buffer

    def __iter__(self) -> Iterator[str]:
        """Iterate over the stream below; for type checkers, as nobody reads from it."""
        return iter(self.raw)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


class _SafeBytes(io.BufferedIOBase):
    """A stream for bytes of text that escapes them for a terminal, and ends an export that nobody gets."""

    def __init__(self, stream: SafeStream) -> None:
        self._stream = stream
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        raw = self._stream.raw
        if raw.isatty():
            self._stream.write(self._decode(bytes(content)))
        elif isinstance(raw, UnfailingStream):
            raw.write_bytes(bytes(content))
        return len(content)

    def flush(self) -> None:
        if not self.closed:
            self._stream.raw.flush()


def controls(stream: Any) -> Any:
    """The stream that control sequences of our own are written to, unescaped."""
    return stream.raw if isinstance(stream, SafeStream) else stream


@contextmanager
def safe_streams() -> Iterator[None]:
    r"""Escape what is written to stdout and stderr inside of a ``with`` block, and let no write fail.

    A character that a stream's encoding does not have is written as ``\u00e9``.
    """
    out, err = sys.stdout, sys.stderr
    for stream in (out, err):
        with suppress(AttributeError, ValueError, OSError):
            stream.reconfigure(errors=ESCAPE)  # type: ignore[union-attr]
    sys.stdout, sys.stderr = _safe(out), _safe(err)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = out, err


def _safe(stream: Any) -> Any:
    return stream if isinstance(stream, SafeStream) else SafeStream(UnfailingStream(stream))


def deliver(text: str) -> Loss | None:
    """Print on stdout what a command has to give, and wait until it has been taken.

    Returns:
        Why it was not, for a caller who says where it can be had instead; None when all is well.
    """
    print(text, flush=True)
    raw = controls(sys.stdout)
    return raw.take_loss() if isinstance(raw, UnfailingStream) else None


def lost() -> Loss | None:
    """Why something that was written to stdout did not arrive, where nobody has told of it; else None."""
    sys.stdout.flush()
    raw = controls(sys.stdout)
    return raw.loss if isinstance(raw, UnfailingStream) else None


def stderr_is_lost() -> bool:
    """Whether something that was written to stderr did not arrive, or it is closed."""
    sys.stderr.flush()
    raw = controls(sys.stderr)
    return isinstance(raw, UnfailingStream) and (raw.missing or raw.loss is not None)


def symbols(text: str) -> str:
    """A text of our own with plain characters for symbols that the encoding of stdout does not have."""
    try:
        "".join(_PLAIN).encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return text.translate(str.maketrans(dict[str, str | int | None](_PLAIN)))
    return text
