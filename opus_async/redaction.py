"""Secrets in texts that others wrote: found in every form that text takes, and replaced by their name.

What is quoted back to us was often written by several programs on its way: a URL inside JSON inside an HTML
page, wrapped, cut. So a text is first read as each of them would read it (percent-encoding, escapes of JSON,
character references of HTML, white space put in between, base64), with the place of every character kept, and
a secret is looked for there. Any ``RUN`` characters of it in a row are enough: a text can begin or end in the
middle of a secret.

Pure: no I/O, no clock. It runs over the texts of errors and audits, never over an answer that is a plain yes.
Whoever cuts a text masks it first.
"""

from __future__ import annotations

import binascii
import re
import struct
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from html.entities import html5
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

Mask: TypeAlias = Callable[[str], str]
"""From a text to the same text without secrets."""

RUN = 8
"""Characters of a secret in a row that no text keeps: 32 bits of a key in hex, of 384."""

KEY_LABEL = "<service key>"
CALLBACK_LABEL = "<callback URL>"
SIGNATURE_LABEL = "..."

LONG = 2_000
"""Characters from which a text is data rather than words of somebody."""
LOOKED_AT = 200_000
"""Characters of words, and as many of longer texts, that are looked at in one answer: a tenth of a second's
work at most. What an answer holds beyond them stays as it is."""
REMEMBERED = 256
"""Callback URLs given for single jobs that are remembered beside the client's own, about 20 kB each."""

_HINT = 6
_STRIDE = RUN - _HINT + 1  # 3, which divides 6
"""In any ``RUN`` characters a run of ``_HINT`` begins at a multiple of this: fewer places to look at."""
_SHORTEST = 4
"""A shorter text is no secret, and would be found in every word."""
_SHORTEST_TOKEN = 6
_LONGEST_WORD = 7
_PHRASE = 12
"""Several words, which are found whole though each of them is no secret."""
_PASSES = 6
"""Layers of writing that are undone."""
_BASE64_DEPTH = 2

_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
"""ASCII alone: any other letter could change the length of the text."""
_WRITTEN = re.compile(
    r"%([0-9A-Fa-f]{2})"
    r"|\\(?:u([0-9A-Fa-f]{4})|u\{([0-9A-Fa-f]{1,6})\}|x([0-9A-Fa-f]{2}))"
    r"|&\#[xX]0*([0-9A-Fa-f]{1,6});?"
    r"|&\#0*([0-9]{1,7});?"
    r"|&([A-Za-z][A-Za-z0-9]{1,31};)"
)
"""One character written as several."""
_BETWEEN = re.compile(
    r"(?:\\+[nrtfvb]|\\+|</?[A-Za-z]{1,10}\s{0,8}/?>"
    r"|[\s\x00-\x1f\x7f\xad\u180e\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]"
    r"|\xc2\xad|\xe1\xa0\x8e|\xe2\x80[\x8b-\x8f\xa8-\xaf]|\xe2\x81[\xa0-\xaf]|\xef\xbb\xbf)+"
)
"""What wrapping, escaping and highlighting put between the characters of a text; also as bytes of UTF-8."""
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{11,}")
"""The shortest that can hold ``RUN`` bytes."""
_URL_SAFE = bytes.maketrans(b"-_", b"+/")

# The same on bytes, for the quick look that most texts get
_JUNK = bytes([*range(33), 0x7F])
_ODD = re.compile(r"[\xad\u180e\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]")
_ESCAPES = re.compile(rb"%[0-9A-Fa-f]{2}|\\|&#|&[A-Za-z]+;|<[/A-Za-z]")
_WORDS_OR_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{11,}")
_PRINTABLE = re.compile(rb"[\t\n\r -~]{16,}")
"""So many characters of text do not come out of noise by accident."""
_HINTS_IN = struct.Struct(f"{_HINT}s")

_WORDS = frozenset(
    re.split(
        r"\s+",
        """callback callbacks complete completed completion endpoint execution executions finished handler
        incoming integration integrations internal invoke listener localhost notification notifications
        operator production receiver receivers services staging subscription subscriptions triggers
        webhook webhooks workflow workflows""",
    )
)
"""Long words of paths that are no secret; to mask them in every sentence would make it unreadable."""
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_SEPARATORS = re.compile(r"[-_.~/:,+@ ]+")

_SIGNED = (
    # the query of a URL that was written in another way than it is sent
    re.compile(r"https?://[^\s\"'<>?#\\]*(?:[?#]([^\s\"'<>\\]+))?", re.IGNORECASE),
    re.compile(
        r"\b(?:x-(?:amz|goog|ms|oss)-[a-z0-9-]{1,40}|awsaccesskeyid|googleaccessid|key-pair-id|signature|sig|policy)"
        r"=([^\s&\"'<>\\,;)}]+)",
        re.IGNORECASE,
    ),
    re.compile(
        r"\bx-(?:amz|goog|ms|oss)-(?:signature|credential|security-token)[\"']?\s*:\s*[\"']?([^\s&\"'<>\\,;)}]+)",
        re.IGNORECASE,
    ),
)


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret, prepared for being looked for. Made by the functions below.

    Attributes:
        label: What stands in its place.
        wholes: Texts that are masked where they are found whole.
        runs: Every ``RUN`` characters of its secret parts.
        hints: Every ``_HINT`` characters of those.
    """

    label: str
    wholes: tuple[str, ...] = ()
    runs: frozenset[str] = frozenset()
    hints: frozenset[tuple[bytes]] = frozenset()

    def __repr__(self) -> str:
        return f"<Secret {self.label}>"


def secret_text(text: str, label: str) -> Secret:
    """A text that is secret from its first to its last character: a key, a token."""
    return _secret(label, (), [text])


def callback_secret(url: str) -> Secret:
    """A callback URL: secret as a whole, and so are its path and every part of it that is no plain word."""
    parts = urlsplit(url)
    path = url.partition("://")[2].partition("/")[2]
    segments = [segment for segment in parts.path.split("/") if segment]
    values = [pair.partition("=")[2] or pair for pair in re.split(r"[&;]", parts.query)]
    user = [text for text in (parts.username, parts.password) if text]
    wholes = [url, *(segment for segment in segments if len(segment) >= _PHRASE)]
    if len(segments) > 1 and len(path) >= RUN:
        wholes += [f"/{path}", path]
    tokens = [part for part in (*segments, *values, parts.fragment) if _is_token(part)]
    return _secret(CALLBACK_LABEL, wholes, [*tokens, *user])


def presigned_secret(url: str) -> Secret:
    """A presigned URL: whatever its query holds. Where it leads is no secret."""
    query = urlsplit(url).query
    values = [value or name for name, _, value in (pair.partition("=") for pair in query.split("&"))]
    return _secret(SIGNATURE_LABEL, [query], [value for value in values if _is_token(value)])


@dataclass(frozen=True, slots=True)
class Secrets:
    """Several secrets, looked for at once.

    Attributes:
        each: Them.
        hints: Of all of them.
        wholes: Likewise, as bytes.
    """

    each: tuple[Secret, ...]
    hints: frozenset[tuple[bytes]]
    wholes: tuple[bytes, ...]

    @classmethod
    def of(cls, *secrets: Secret) -> Secrets:
        """These, together."""
        hints = frozenset[tuple[bytes]]().union(*(secret.hints for secret in secrets))
        return cls(secrets, hints, tuple(_bytes(whole) for secret in secrets for whole in secret.wholes))

    def __repr__(self) -> str:
        return f"<{len(self.each)} secrets>"

    def mask(self, text: str) -> str:
        """The text with a label in the place of each secret, in whatever form it stands there."""
        if len(text) < _SHORTEST or not _may_be_in(text, self):
            return text
        return _replaced(text, _found(_read(_View.of(text)), self, _BASE64_DEPTH))


class Redactor:
    """Masks the secrets of one client.

    Args:
        secrets: Those that it has for as long as it lives.
    """

    def __init__(self, *secrets: Secret) -> None:
        self._own = secrets
        self._recent: OrderedDict[str, Secret] = OrderedDict()
        self._all: Secrets | None = None

    def remember_callback(self, url: str) -> None:
        """Mask a callback URL of single jobs, too, until ``REMEMBERED`` others came after it."""
        if url in self._recent:
            self._recent.move_to_end(url)
            return
        self._recent[url] = callback_secret(url)
        if len(self._recent) > REMEMBERED:
            self._recent.popitem(last=False)
        self._all = None  # put together when it is needed

    def known(self, *more: Secret) -> Secrets:
        """All that are to be masked, and these."""
        if self._all is None:
            self._all = Secrets.of(*self._own, *self._recent.values())
        return Secrets.of(*self._all.each, *more) if more else self._all


def mask_signatures(text: str) -> str:
    """The text without what signs a URL, where the text is written in another way than it would be sent."""
    if _WRITTEN.search(text) is None and "\\" not in text:
        return _sub_groups(text, text, range(len(text)), range(1, len(text) + 1))
    view = _unwritten(_View.of(text))
    return _sub_groups(text, view.text, view.starts, view.ends)


def mask_values(value: Any, mask: Mask) -> Any:
    """JSON with every text in it masked, names included, up to ``LOOKED_AT`` characters of it."""
    return _Values(mask).masked(value)


class _Values:
    __slots__ = ("_left", "_mask")

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._left = {True: LOOKED_AT, False: LOOKED_AT}
        """Characters that may still be looked at: of long texts, and of words."""

    def masked(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, dict):
            return {self._text(name): self.masked(entry) for name, entry in value.items()}
        if isinstance(value, list):
            return [self.masked(entry) for entry in value]
        return value

    def _text(self, text: str) -> str:
        is_long = len(text) > LONG
        self._left[is_long] -= len(text)
        return self._mask(text) if self._left[is_long] >= 0 else text


# What a secret is made of


def _secret(label: str, wholes: Iterable[str], parts: Iterable[str]) -> Secret:
    plain = [_plain(part) for part in parts]
    long = [part for part in plain if len(part) >= RUN]
    short = {*map(_plain, wholes), *plain}.difference(long)
    whole = sorted((text for text in short if len(text) >= _SHORTEST), key=len, reverse=True)
    runs = frozenset(text[at : at + RUN] for text in long for at in range(len(text) - RUN + 1))
    hints = frozenset((_bytes(run[at : at + _HINT]),) for run in runs for at in range(_STRIDE))
    return Secret(label, tuple(whole), runs, hints)


def _plain(text: str) -> str:
    return _read(_View.of(text)).text.translate(_LOWER)


def _is_token(part: str) -> bool:
    """Whether a part of a path or a value of a query is a secret rather than words that people chose."""
    if len(part) < _SHORTEST_TOKEN:
        return False
    if len(part) < RUN:  # short: letters and digits, and not a version or a year
        return any(char.isdigit() for char in part[1:]) and sum(char.isalpha() for char in part) > 1
    return not all(
        (word.isdigit() and len(word) < RUN)
        or (_WORD.fullmatch(word) is not None and (len(word) <= _LONGEST_WORD or word.lower() in _WORDS))
        for word in _SEPARATORS.split(unquote(part))
        if word
    )


# How a text is read


@dataclass(frozen=True, slots=True)
class _View:
    """A text as somebody reads it; each character with the place in the original where it is written."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    @classmethod
    def of(cls, text: str) -> _View:
        return cls(text, range(len(text)), range(1, len(text) + 1))

    def replaced(self, pattern: re.Pattern[str], by: Callable[[re.Match[str]], str | None]) -> _View:
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
        return _View("".join(pieces), [*starts, *self.starts[last:]], [*ends, *self.ends[last:]])


def _read(view: _View) -> _View:
    """Without any layer of writing, and without what stands between characters."""
    for _ in range(_PASSES):
        before = view
        view = _unwritten(view).replaced(_BETWEEN, _nothing)
        if view is before:
            break
    return view


def _unwritten(view: _View) -> _View:
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


# Where a secret stands

_Span: TypeAlias = tuple[int, int, str]


def _found(view: _View, secrets: Secrets, depth: int) -> list[_Span]:
    text = view.text.translate(_LOWER)
    spans = [
        (view.starts[begin], view.ends[end - 1], secret.label)
        for secret in secrets.each
        for begin, end in _places(text, secret)
    ]
    if depth:
        for decoded in _decodings(view, secrets, depth - 1):
            spans += _found(_read(decoded), secrets, depth - 1)
    return spans


def _places(text: str, secret: Secret) -> Iterator[tuple[int, int]]:
    for whole in secret.wholes:
        at = text.find(whole)
        while at >= 0:
            yield at, at + len(whole)
            at = text.find(whole, at + 1)
    if _hinted(_bytes(text), secret.hints):
        runs = secret.runs
        for at in range(len(text) - RUN + 1):
            if text[at : at + RUN] in runs:
                yield at, at + RUN


def _decodings(view: _View, secrets: Secrets, depth: int) -> Iterator[_View]:
    """What the text may hold in base64, from each place where a group of four can begin."""
    for match in _BASE64.finditer(view.text):
        for begin in range(match.start(), match.start() + 4):
            decoded = _from_base64(_bytes(view.text[begin : match.end()]))
            if _may_hold(decoded, secrets, depth):
                last = match.end() - 1
                starts = [view.starts[begin + at * 8 // 6] for at in range(len(decoded))]
                ends = [view.ends[min(begin + (at * 8 + 7) // 6, last)] for at in range(len(decoded))]
                yield _View(decoded.decode("latin-1"), starts, ends)


def _from_base64(written: bytes) -> bytes:
    if len(written) % 4 == 1:
        written = written[:-1]
    return binascii.a2b_base64(written.translate(_URL_SAFE) + b"=" * (-len(written) % 4))


# The quick look: most texts hold nothing, and most of what can be read as base64 is none


def _may_be_in(text: str, secrets: Secrets) -> bool:
    data = _bytes(text)
    if _has_escapes(data) or (not text.isascii() and _ODD.search(text) is not None):
        return True
    return _may_hold(data, secrets, _BASE64_DEPTH, escapes=False)


def _may_hold(data: bytes, secrets: Secrets, depth: int, *, escapes: bool = True) -> bool:
    if escapes and any(map(_has_escapes, _PRINTABLE.findall(data))):
        return True
    dense = data.translate(None, _JUNK)
    lower = dense.lower()
    if _hinted(lower, secrets.hints) or any(whole in lower for whole in secrets.wholes):
        return True
    return depth > 0 and any(
        _may_hold(_from_base64(run[offset:]), secrets, depth - 1)
        for run in _WORDS_OR_BASE64.findall(dense)
        for offset in range(4)
    )


def _has_escapes(data: bytes) -> bool:
    """Whether something may be written in another way, also where it is wrapped in the middle."""
    return _ESCAPES.search(data.translate(None, _JUNK)) is not None


def _hinted(lower: bytes, hints: frozenset[tuple[bytes]]) -> bool:
    for begin in range(0, _HINT, _STRIDE):
        whole = len(lower) - (len(lower) - begin) % _HINT
        if not hints.isdisjoint(_HINTS_IN.iter_unpack(lower[begin:whole])):
            return True
    return False


def _bytes(text: str) -> bytes:
    """As many bytes as characters."""
    return text.encode("latin-1", "replace")


def _replaced(text: str, spans: list[_Span]) -> str:
    if not spans:
        return text
    pieces: list[str] = []
    last = 0
    for begin, end, label in _merged(spans):
        pieces += (text[last:begin], label)
        last = end
    return "".join((*pieces, text[last:]))


def _merged(spans: list[_Span]) -> Iterator[_Span]:
    ordered = sorted(spans, key=lambda span: (span[0], -span[1]))
    begin, end, label = ordered[0]
    for other_begin, other_end, other_label in ordered[1:]:
        if other_begin > end:
            yield begin, end, label
            begin, end, label = other_begin, other_end, other_label
        else:
            end = max(end, other_end)
    yield begin, end, label


def _sub_groups(text: str, read: str, starts: Sequence[int], ends: Sequence[int]) -> str:
    spans = [
        (starts[match.start(1)], ends[match.end(1) - 1], SIGNATURE_LABEL)
        for pattern in _SIGNED
        for match in pattern.finditer(read)
        if match[1]
    ]
    return _replaced(text, spans)
