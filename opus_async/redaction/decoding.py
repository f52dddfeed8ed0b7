"""How a text is read by those who undo what others have done to it, with the place of every character kept.

Percent-encoding, escapes of JSON, character references of HTML, base64, and white space or marks in between.
What a secret is, is not known here.
"""

from __future__ import annotations

import binascii
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html.entities import html5

_PASSES = 6
"""Layers of writing that are undone."""
_WRITTEN = re.compile(
    r"%([0-9A-Fa-f]{2})"
    r"|\\+(?:u([0-9A-Fa-f]{4})|u\{([0-9A-Fa-f]{1,6})\}|x([0-9A-Fa-f]{2}))"
    r"|&\#[xX]0*([0-9A-Fa-f]{1,6});?"
    r"|&\#0*([0-9]{1,7});?"
    r"|&([A-Za-z][A-Za-z0-9]{1,31};)"
)
"""One character written as several; escaped twice it has more backslashes, none of which belongs to it."""
_BETWEEN = re.compile(
    r"(?:\\+[nrtfvb]|\\+|</?[A-Za-z]{1,10}\s{0,8}/?>"
    r"|[\s\x00-\x1f\x7f\xad\u180e\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]"
    r"|\xc2\xad|\xe1\xa0\x8e|\xe2\x80[\x8b-\x8f\xa8-\xaf]|\xe2\x81[\xa0-\xaf]|\xef\xbb\xbf)+"
)
"""What wrapping, escaping and highlighting put between the characters of a text; also as bytes of UTF-8."""
BASE64 = re.compile(r"[A-Za-z0-9+/_-]{11,}")
"""The shortest that can hold eight bytes."""
BASE64_BYTES = re.compile(BASE64.pattern.encode())
_URL_SAFE = bytes.maketrans(b"-_", b"+/")

JUNK = bytes([*range(33), 0x7F])
"""Bytes that no secret has."""
_ODD = re.compile(r"[\xad\u180e\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]")
_ESCAPES = re.compile(rb"%[0-9A-Fa-f]{2}|\\|&#|&[A-Za-z]+;|<[/A-Za-z]")
_PRINTABLE = re.compile(rb"[\t\n\r -~]{16,}")
"""So many characters of text do not come out of noise by accident."""


@dataclass(frozen=True, slots=True)
class View:
    """A text as somebody reads it; each character with the place in the original where it is written."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    @classmethod
    def of(cls, text: str) -> View:
        """A text as it is."""
        return cls(text, range(len(text)), range(1, len(text) + 1))

    def replaced(self, pattern: re.Pattern[str], by: Callable[[re.Match[str]], str | None]) -> View:
        """This view with one character or none for each match; None leaves it as it is."""
        pieces: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        last = 0
        for match in pattern.finditer(self.text):
            char = by(match)
            if char is None:
                continue
            begin, end = match.span()
            pieces += (self.text[last:begin], char)
            starts += self.starts[last:begin]
            ends += self.ends[last:begin]
            if char:
                starts.append(self.starts[begin])
                ends.append(self.ends[end - 1])
            last = end
        if not pieces:
            return self
        pieces.append(self.text[last:])
        return View("".join(pieces), [*starts, *self.starts[last:]], [*ends, *self.ends[last:]])


def read(view: View) -> View:
    """Without any layer of writing, and without what stands between characters."""
    for _ in range(_PASSES):
        before = view
        view = unwritten(view).replaced(_BETWEEN, _nothing)
        if view is before:
            break
    return view


def unwritten(view: View) -> View:
    """Each character as itself."""
    for _ in range(_PASSES):
        before = view
        view = view.replaced(_WRITTEN, _char)
        if view is before:
            break
    return view


def _nothing(_: re.Match[str]) -> str:
    return ""


def _char(match: re.Match[str]) -> str | None:
    """The character, or the byte, that is written so; None where it is none."""
    *in_hex, decimal, name = match.groups()
    if name:
        char = html5.get(name)
        return char if char is not None and len(char) == 1 else None
    code = int(decimal) if decimal else int(next(filter(None, in_hex)), 16)
    return chr(code) if code <= sys.maxunicode else None


def from_base64(written: bytes) -> bytes:
    """What is written so, in either alphabet and with or without its padding."""
    if len(written) % 4 == 1:
        written = written[:-1]
    return binascii.a2b_base64(written.translate(_URL_SAFE) + b"=" * (-len(written) % 4))


def as_bytes(text: str) -> bytes:
    """As many bytes as characters."""
    return text.encode("latin-1", "replace")


def is_unlike(text: str) -> bool:
    """Whether a text may be read as another one, apart from base64 and from white space in it."""
    return has_escapes(as_bytes(text)) or (not text.isascii() and _ODD.search(text) is not None)


def has_escapes(data: bytes) -> bool:
    """Whether something may be written in another way, also where it is wrapped in the middle."""
    return _ESCAPES.search(data.translate(None, JUNK)) is not None


def has_text_with_escapes(data: bytes) -> bool:
    """Whether a text among bytes that are mostly noise may be written in another way."""
    return any(map(has_escapes, _PRINTABLE.findall(data)))


def is_written(text: str) -> bool:
    """Whether a character of a text is written as several."""
    return _WRITTEN.search(text) is not None
