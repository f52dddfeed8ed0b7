"""Undoes the escapes in a text and keeps the position of every character.

Percent-encoding, escapes of JSON, character references of HTML, base64, and white space or marks in between.
What a secret is, is not known here.
"""

from __future__ import annotations

import binascii
import re
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

_PASSES = 6
"""Layers of escapes that are undone."""
# Texts, where few programs need a pattern: re compiles it when it is first looked for, and keeps it.
_ESCAPED = (
    r"%([0-9A-Fa-f]{2})"
    r"|\\+(?:u([0-9A-Fa-f]{4})|u\{([0-9A-Fa-f]{1,6})\}|x([0-9A-Fa-f]{2}))"
    r"|&\#[xX]0*([0-9A-Fa-f]{1,6});?"
    r"|&\#0*([0-9]{1,7});?"
    r"|&([A-Za-z][A-Za-z0-9]{1,31};)"
)
"""An escaped character; escaped twice it has more backslashes, none of which belongs to it."""
_BETWEEN = (
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
_ODD = r"[\xad\u180e\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]"
_ESCAPES = re.compile(rb"%[0-9A-Fa-f]{2}|\\|&#|&[A-Za-z]+;|<[/A-Za-z]")
_PRINTABLE = re.compile(rb"[\t\n\r -~]{16,}")
"""So many characters of text do not come out of noise by accident."""


class View(NamedTuple):
    """A decoded text; each character with its place in the original.

    Attributes:
        text: The decoded text.
        starts: For each of its characters, where it begins in the original.
        ends: For each of its characters, where it ends in the original.
    """

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    @classmethod
    def of(cls, text: str) -> View:
        """A text as it is."""
        return cls(text, range(len(text)), range(1, len(text) + 1))

    def replaced(self, pattern: str, by: Callable[[re.Match[str]], str | None]) -> View:
        """Replace each match by one character or none; where ``by`` returns None, it stays."""
        pieces: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        last = 0
        for match in re.finditer(pattern, self.text):
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
    """Undo all layers of escapes, and remove what stands between characters."""
    for _ in range(_PASSES):
        before = view
        view = unescaped(view).replaced(_BETWEEN, _nothing)
        if view is before:
            break
    return view


def unescaped(view: View) -> View:
    """Undo escapes, however often a character was escaped."""
    for _ in range(_PASSES):
        before = view
        view = view.replaced(_ESCAPED, _char)
        if view is before:
            break
    return view


def _nothing(_: re.Match[str]) -> str:
    return ""


def _char(match: re.Match[str]) -> str | None:
    """The character, or the byte, behind an escape; None where it is not one."""
    *in_hex, decimal, name = match.groups()
    if name:
        from html.entities import html5  # noqa: PLC0415 - a large table, and hardly a text needs it

        char = html5.get(name)
        return char if char is not None and len(char) == 1 else None
    code = int(decimal) if decimal else int(next(filter(None, in_hex)), 16)
    return chr(code) if code <= sys.maxunicode else None


def from_base64(encoded: bytes) -> bytes:
    """Decode base64, in either alphabet and with or without its padding."""
    if len(encoded) % 4 == 1:
        encoded = encoded[:-1]
    return binascii.a2b_base64(encoded.translate(_URL_SAFE) + b"=" * (-len(encoded) % 4))


def as_bytes(text: str) -> bytes:
    """Encode a text in as many bytes as it has characters."""
    return text.encode("latin-1", "replace")


def may_be_escaped(text: str) -> bool:
    """Whether a text may hold escapes or invisible characters; base64 is not checked."""
    return has_escapes(as_bytes(text)) or (not text.isascii() and re.search(_ODD, text) is not None)


def has_escapes(data: bytes) -> bool:
    """Whether bytes may hold escapes, also where they are wrapped in the middle."""
    return _ESCAPES.search(data.translate(None, JUNK)) is not None


def has_text_with_escapes(data: bytes) -> bool:
    """Whether a text among bytes that are mostly noise may hold escapes."""
    return any(map(has_escapes, _PRINTABLE.findall(data)))


def has_escaped_character(text: str) -> bool:
    """Whether a text holds an escaped character."""
    return re.search(_ESCAPED, text) is not None
