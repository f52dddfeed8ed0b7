"""Finds secrets in a text and replaces them by labels."""

from __future__ import annotations

import re
import struct
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

from opus_async.redaction.decoding import (
    BASE64,
    BASE64_BYTES,
    JUNK,
    View,
    as_bytes,
    from_base64,
    has_escaped_character,
    has_text_with_escapes,
    may_be_escaped,
    read,
    unescaped,
)
from opus_async.redaction.secrets import (
    HINT,
    LOWER,
    RUN,
    SHORTEST,
    SIGNATURE_LABEL,
    STRIDE,
    Secret,
    callback_secret,
)

Mask: TypeAlias = Callable[[str], str]
"""From a text to the same text without secrets."""

LONG = 2_000
"""Characters from which a text counts as data rather than words."""
LOOKED_AT = 200_000
"""Characters of words, and as many of longer texts, that are searched in one response: a tenth of a second's
work at most. What a response holds beyond them stays as it is."""
REMEMBERED = 256
"""Callback URLs given for single jobs that are remembered beside the client's own, about 20 kB each."""

_BASE64_DEPTH = 2
_HINTS_IN = struct.Struct(f"{HINT}s")

_SIGNED = (  # texts: re compiles each when it is first looked for, and keeps it
    # the query of a URL that is escaped
    r"(?i)https?://[^\s\"'<>?#\\]*(?:[?#]([^\s\"'<>\\]+))?",
    (
        r"(?i)\b(?:x-(?:amz|goog|ms|oss)-[a-z0-9-]{1,40}|awsaccesskeyid|googleaccessid|key-pair-id|signature|sig|policy)"
        r"=([^\s&\"'<>\\,;)}]+)"
    ),
    (
        r"(?i)\bx-(?:amz|goog|ms|oss)-(?:signature|credential|security-token)[\"']?\s*:\s*[\"']?"
        r"([^\s&\"'<>\\,;)}]+)"
    ),
)


class Secrets(NamedTuple):
    """Several secrets, searched for at once.

    Attributes:
        each: The secrets.
        hints: The hints of all of them.
        wholes: The whole texts of all of them, as bytes.
    """

    each: tuple[Secret, ...]
    hints: frozenset[tuple[bytes]]
    wholes: tuple[bytes, ...]

    @classmethod
    def of(cls, *secrets: Secret) -> Secrets:
        """Combine secrets."""
        hints = frozenset[tuple[bytes]]().union(*(secret.hints for secret in secrets))
        return cls(secrets, hints, tuple(as_bytes(whole) for secret in secrets for whole in secret.wholes))

    def __repr__(self) -> str:
        return f"<{len(self.each)} secrets>"

    def mask(self, text: str) -> str:
        """The text with a label in the place of each secret, in whatever form it stands there."""
        if len(text) < SHORTEST or not _may_be_in(text, self):
            return text
        return _replaced(text, _found(read(View.of(text)), self, _BASE64_DEPTH))


class Redactor:
    """The secrets of one client.

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
        """The client's secrets and these, combined."""
        if self._all is None:
            self._all = Secrets.of(*self._own, *self._recent.values())
        return Secrets.of(*self._all.each, *more) if more else self._all


def mask_signatures(text: str) -> str:
    """Mask the signatures of presigned URLs in a text, also where the text is escaped."""
    if not has_escaped_character(text):
        return _sub_groups(text, text, range(len(text)), range(1, len(text) + 1))
    view = unescaped(View.of(text))
    return _sub_groups(text, view.text, view.starts, view.ends)


def mask_values(value: Any, mask: Mask) -> Any:
    """JSON with every text in it masked, names included, up to ``LOOKED_AT`` characters of it."""
    return _Values(mask).masked(value)


class _Values:
    __slots__ = ("_left", "_mask")

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._left = {True: LOOKED_AT, False: LOOKED_AT}
        """Characters that may still be searched: of long texts, and of words."""

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


# Where a secret stands

_Span: TypeAlias = tuple[int, int, str]


def _found(view: View, secrets: Secrets, depth: int) -> list[_Span]:
    text = view.text.translate(LOWER)
    spans = [
        (view.starts[begin], view.ends[end - 1], secret.label)
        for secret in secrets.each
        for begin, end in _places(text, secret)
    ]
    if depth:
        for decoded in _decodings(view, secrets, depth - 1):
            spans += _found(read(decoded), secrets, depth - 1)
    return spans


def _places(text: str, secret: Secret) -> Iterator[tuple[int, int]]:
    for whole in secret.wholes:
        at = text.find(whole)
        while at >= 0:
            yield at, at + len(whole)
            at = text.find(whole, at + 1)
    if _hinted(as_bytes(text), secret.hints):
        runs = secret.runs
        for at in range(len(text) - RUN + 1):
            if text[at : at + RUN] in runs:
                yield at, at + RUN


def _decodings(view: View, secrets: Secrets, depth: int) -> Iterator[View]:
    """What the text may hold in base64, from each place where a group of four can begin."""
    for match in BASE64.finditer(view.text):
        for begin in range(match.start(), match.start() + 4):
            decoded = from_base64(as_bytes(view.text[begin : match.end()]))
            if _may_hold(decoded, secrets, depth):
                last = match.end() - 1
                starts = [view.starts[begin + at * 8 // 6] for at in range(len(decoded))]
                ends = [view.ends[min(begin + (at * 8 + 7) // 6, last)] for at in range(len(decoded))]
                yield View(decoded.decode("latin-1"), starts, ends)


# The quick check: most texts hold no secret, and most of what could be base64 is not


def _may_be_in(text: str, secrets: Secrets) -> bool:
    return may_be_escaped(text) or _may_hold(as_bytes(text), secrets, _BASE64_DEPTH, escapes=False)


def _may_hold(data: bytes, secrets: Secrets, depth: int, *, escapes: bool = True) -> bool:
    if escapes and has_text_with_escapes(data):
        return True
    dense = data.translate(None, JUNK)
    lower = dense.lower()
    if _hinted(lower, secrets.hints) or any(whole in lower for whole in secrets.wholes):
        return True
    return depth > 0 and any(
        _may_hold(from_base64(run[offset:]), secrets, depth - 1)
        for run in BASE64_BYTES.findall(dense)
        for offset in range(4)
    )


def _hinted(lower: bytes, hints: frozenset[tuple[bytes]]) -> bool:
    for begin in range(0, HINT, STRIDE):
        whole = len(lower) - (len(lower) - begin) % HINT
        if not hints.isdisjoint(_HINTS_IN.iter_unpack(lower[begin:whole])):
            return True
    return False


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
        for match in re.finditer(pattern, read)
        if match[1]
    ]
    return _replaced(text, spans)
