"""The secrets in keys and URLs, prepared for searching."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from opus_async.redaction.decoding import View, as_bytes, read

RUN = 8
"""Characters of a secret in a row that no text keeps: 32 bits of a key in hex, of 384."""

KEY_LABEL = "<service key>"
CALLBACK_LABEL = "<callback URL>"
SIGNATURE_LABEL = "..."

HINT = 6
STRIDE = RUN - HINT + 1  # 3, which divides 6
"""In any ``RUN`` characters a run of ``HINT`` begins at a multiple of this: fewer places to search."""
SHORTEST = 4
"""A shorter text is no secret, and would be found in every word."""
_SHORTEST_TOKEN = 6
_LONGEST_WORD = 7
_PHRASE = 12
"""Several words, which are found whole though each of them is no secret."""
LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
"""ASCII alone: any other letter could change the length of the text."""
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


class Secret(NamedTuple):
    """A secret, prepared for searching. Made by the functions below.

    Attributes:
        label: What stands in its place.
        wholes: Texts that are masked where they are found whole.
        runs: Every ``RUN`` characters of its secret parts.
        hints: Every ``HINT`` characters of those.
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


def whole_secret(text: str, label: str) -> Secret:
    """A secret that people chose, a password: masked as a whole, since its parts can be words of any text."""
    return _secret(label, [text], ())


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


def _secret(label: str, wholes: Iterable[str], parts: Iterable[str]) -> Secret:
    plain = [_plain(part) for part in parts]
    long = [part for part in plain if len(part) >= RUN]
    short = {*map(_plain, wholes), *plain}.difference(long)
    whole = sorted((text for text in short if len(text) >= SHORTEST), key=len, reverse=True)
    runs = frozenset(text[at : at + RUN] for text in long for at in range(len(text) - RUN + 1))
    hints = frozenset((as_bytes(run[at : at + HINT]),) for run in runs for at in range(STRIDE))
    return Secret(label, tuple(whole), runs, hints)


def _plain(text: str) -> str:
    return read(View.of(text)).text.translate(LOWER)


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
