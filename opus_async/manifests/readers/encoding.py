"""Tells the encoding of a manifest in text, decodes it, and finds the line that cannot be decoded."""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable, Iterator
from itertools import islice
from typing import BinaryIO

from opus_async.errors import ManifestError
from opus_async.manifests.model import Record
from opus_async.manifests.readers.bad_bytes import TOLERANT, without_bad_bytes
from opus_async.manifests.readers.encoding_doubt import (
    is_damaged,
    not_utf8,
    not_utf8_but_zeros,
    seems_utf16,
)
from opus_async.manifests.readers.source_file import Source

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: its mark begins with the same two bytes
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SHIFTING = ("utf-16", "utf-32", "utf-7", "hz", "iso2022")
_NAME_IT = "say how it is encoded with --encoding (in Python encoding=...)"


def given_encoding(encoding: str, head: bytes) -> str:
    """Check the encoding that a caller named; with a byte-order mark, the variant that skips it.

    Raises:
        ManifestError: There is no such encoding.
    """
    try:
        "".encode(encoding)  # unlike codecs.lookup this refuses what encodes no text
    except LookupError:
        raise ManifestError(f"there is no encoding {encoding!r}: try utf-8, cp1252 or utf-16") from None
    marked = marked_encoding(head)
    if marked is not None and codecs.lookup(encoding).name.startswith(marked.removesuffix("-sig")):
        return marked
    if marked is not None:
        raise ManifestError(
            f"--encoding {encoding} contradicts the byte-order mark, by which it is "
            f"{marked.removesuffix('-sig').upper()}: leave the option out (in Python encoding=...)"
        )
    if codecs.lookup(encoding).name in {"utf-16", "utf-32"}:
        raise ManifestError(
            f"there is no byte-order mark, so {encoding} may be either of two encodings: name {encoding}-le, "
            f"as Windows writes it, or {encoding}-be"
        )
    return encoding


def marked_encoding(head: bytes) -> str | None:
    """The encoding that a byte-order mark names; None where there is none."""
    return next((encoding for mark, encoding in _MARKS if head.startswith(mark)), None)


def mistaken_for(encoding: str, head: bytes) -> str | None:
    """A warning where another encoding was named for a text that is UTF-8 by every sign; None where not."""
    if codecs.lookup(encoding).name.startswith("utf"):
        return None
    line = next((line for line in head.split(b"\n")[:-1] or [head] if not line.isascii()), None)
    try:
        read = None if line is None else line.decode()
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return None
    if line is None or read is None:
        return None
    return (
        f"it is valid UTF-8, in which a line reads {read.strip()!r:.60}, and with --encoding {encoding} it "
        f"reads {line.decode(encoding, 'replace').strip()!r:.60}: leave the option out, unless that is right"
    )


def known_encoding(source: Source, head: bytes) -> str:
    """The encoding by the byte-order mark, else UTF-8. Nothing is guessed: jobs would be billed for it.

    Raises:
        ManifestError: It is another one, or no text; the error shows what it may be.
    """
    marked = marked_encoding(head)
    if marked is not None:
        return marked
    if b"\0" in head and seems_utf16(head):
        raise not_utf8_but_zeros(source, head)
    return "utf-8"


def decoded_head(source: Source, head: bytes, encoding: str) -> str:
    """Decode the first part of a file; a character that is cut in two at its end is left out.

    Raises:
        ManifestError: It is encoded otherwise. Text that is damaged is decoded.
    """
    final = len(head) >= source.size
    try:
        return codecs.getincrementaldecoder(encoding)().decode(head, final=final)
    except UnicodeDecodeError as error:
        _refuse_unless_damaged(source, encoding, error)
    return codecs.getincrementaldecoder(encoding)(TOLERANT).decode(head, final=final)


def decoded_rows(
    source: Source,
    encoding: str,
    newline: str | None,
    rows: Callable[[io.TextIOWrapper], Iterator[Record]],
) -> Iterator[Record]:
    """Read the rows of a text; of one that is damaged, cells with bad bytes are unreadable.

    Args:
        source: The file.
        encoding: The encoding of its text.
        newline: As in :func:`open`.
        rows: Reads the rows of the file as it is opened for them; called again when the first bad byte is
            met, and then it gives the same rows up to there.

    Raises:
        ManifestError: It cannot be read or decoded, or changed since the manifest was opened.
    """
    given = 0
    try:
        with source.reading() as file:
            text = io.TextIOWrapper(file, encoding=encoding, newline=newline)  # closes the file when it goes
            for record in rows(text):
                yield record
                given += 1
    except UnicodeDecodeError as error:
        _refuse_unless_damaged(source, encoding, error)
    else:
        return
    with source.reading() as file:
        again = tolerant_text(file, encoding, newline)
        name = "UTF-8" if _is_utf8(encoding) else encoding
        yield from (without_bad_bytes(record, name) for record in islice(rows(again), given, None))


def tolerant_text(file: BinaryIO, encoding: str, newline: str | None) -> io.TextIOWrapper:
    """An open file as text, with a character of its own for each byte that is none in its encoding.

    Not where a bad byte may shift the meaning of those behind it, as in UTF-16.
    """
    errors = "strict" if _shifts(encoding) else TOLERANT
    return io.TextIOWrapper(file, encoding=encoding, newline=newline, errors=errors)


def _refuse_unless_damaged(source: Source, encoding: str, error: UnicodeDecodeError) -> None:
    """Let text pass that has a few bad bytes.

    Raises:
        ManifestError: It is another encoding, as far as that can be told.
    """
    if _shifts(encoding) or not is_damaged(source, encoding):
        raise undecodable(source, encoding) from error


def _shifts(encoding: str) -> bool:
    """Whether a byte that is missing or wrong changes what those behind it mean."""
    return codecs.lookup(encoding).name.startswith(_SHIFTING)


def _is_utf8(encoding: str) -> bool:
    return codecs.lookup(encoding).name in {"utf-8", "utf-8-sig"}


def undecodable(source: Source, encoding: str) -> ManifestError:
    """The error for a file that cannot be decoded, with the line and the fix; reads the file up to there."""
    if _is_utf8(encoding):
        return not_utf8(source)
    with source.reading() as file:
        line, byte = _first_bad_byte(file, encoding)
    return ManifestError(f"{source.path.name}, line {line}: {byte} is not {encoding}; {_NAME_IT}")


def _first_bad_byte(file: BinaryIO, encoding: str) -> tuple[int, str]:
    """The line, from 1, and the value in hex of the first byte that cannot be decoded."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    ended_in_return = False
    while True:
        chunk = file.read(1 << 16)
        state = decoder.getstate()
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            decoder.setstate(state)
            good = decoder.decode(chunk[: max(0, error.start - len(state[0]))])
            line += _line_ends(good, after_return=ended_in_return)
            return line, f"byte 0x{error.object[error.start]:02X}"
        line += _line_ends(text, after_return=ended_in_return)
        ended_in_return = text.endswith("\r") if text else ended_in_return
        if not chunk:
            return line, "its end"


def _line_ends(text: str, *, after_return: bool) -> int:
    """How many lines end in a text; a LF at its beginning does not count after a CR before it."""
    ends = text.count("\n") + text.count("\r") - text.count("\r\n")
    return ends - 1 if after_return and text.startswith("\n") else ends
