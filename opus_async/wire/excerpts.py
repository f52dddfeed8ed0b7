"""Short, printable excerpts of responses for messages and logs, without secrets.

A body can quote a presigned URL, a header or a key. Everything that the platform wrote passes through here
before it reaches an error, a log or a screen. The secrets that a client knows are masked first, while the
text is whole; here is also what is known of secrets in general.

Patterns are texts: :mod:`re` compiles each when an excerpt is first made. Few programs make any.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from opus_async.redaction import CALLBACK_LABEL, KEY_LABEL, Mask, mask_signatures

DETAIL_CHARS = 300
"""Long enough for every validation message seen, short enough for one look."""

CALLBACK_MARK = "oacb-"
"""What the secret part of our callback URLs begins with, so that it is known wherever it is quoted."""

_READ_CHARS = 16_384
"""No more than this of a text is looked at: bounds the work on a page that never ends."""

_PAGE_NOISE = (
    r"(?is)<(script|style|svg|AWSAccessKeyId|SignatureProvided|StringToSign(?:Bytes)?|CanonicalRequest(?:Bytes)?)"
    r"\b.*?(?:</\1\s*>|\Z)"
)
_PAGE_HEADING = r"(?i)<(title|h1)\b[^<>]*>([^<>]*)"
_TAG = r"<[^<>]*>"
_LABELS = (KEY_LABEL, CALLBACK_LABEL, "<callback token>", "<key removed>", "<token removed>")
"""With these a text can begin that came through here before."""
_DIGIT = r"[\d_]"  # a value with a digit in it; without one it is a word of the sentence
_SECRETS: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    # the query of a URL, also where JSON has escaped its slashes, and a user and password before the host
    (r"(?i)(https?:(?:\\?/){2})[^\s\"'<>/?#\\@]*@", r"\1"),
    (
        r"(?i)(https?:(?:\\?/){2}[^\s\"'<>?#]*)([?#][^\s\"'<>]*)?",
        lambda url: f"{url[1]}?..." if url[2] else url[1],  # a URL without query is stepped over at once
    ),
    # a query without its URL
    (r"\?[\w.%~-]+=[^\s\"'<>]*", "?..."),
    (r"(?i)\b(X-Amz-[A-Za-z-]{1,40})(?:=|%3D)[^\s\"'<>&]*", r"\1=..."),
    # a header that carries a secret, quoted with its value
    (
        (
            r"(?i)((?:x-service-key|x-opus-callback-token|authorization|bearer)(?:[\"']?\s*[:=]\s*[\"']?|\s+)"
            r"(?:(?:bearer|basic)\s+)?)([^\s\"',;}]+)"
        ),
        lambda header: f"{header[1]}..." if re.search(_DIGIT, header[2]) else header[0],
    ),
    # the last segment of a callback URL of ours, also cut short
    (r"(?i)" + CALLBACK_MARK + r"[\w=-]*(?:(?:\.|%2E)[\w=-]*)?", "<callback token>"),
    # anything shaped like a JSON Web Token, also cut short: its parts are JSON in base64
    (r"(?<![A-Za-z0-9])eyJ[\w-]{12,}(?:\.[\w-]*){0,2}", "<token removed>"),
    # anything shaped like a service key: longer than a SHA-256 digest, which is worth reading
    (r"_?[0-9a-fA-F]{65,}|_[0-9a-fA-F]{32,}", "<key removed>"),
)


def as_it_is(text: str) -> str:
    """Return the text unchanged: the mask of callers without secrets."""
    return text


def excerpt(text: str, limit: int = DETAIL_CHARS, mask: Mask = as_it_is) -> str:
    """The beginning of a text on one line, without control characters, URL queries and keys.

    Of an HTML or XML page only the words are kept, its title first.

    Args:
        text: Of anybody.
        limit: Characters that are kept.
        mask: Takes out the secrets that the caller knows.
    """
    short = text[:_READ_CHARS]
    is_page = short.lstrip()[:1] == "<" and not short.startswith(_LABELS)
    short = mask_signatures(mask(short))
    if is_page:
        short = _words_of_page(short)
    short = "".join(char if char.isprintable() else " " for char in short)
    for pattern, replacement in _SECRETS:
        short = re.sub(pattern, replacement, short)
    short = " ".join(short.split())
    return short if len(short) <= limit else short[: limit - 3].rstrip() + "..."


def excerpt_of_bytes(body: bytes, limit: int = DETAIL_CHARS, mask: Mask = as_it_is) -> str:
    """Like :func:`excerpt`, of bytes that may be no text at all."""
    return excerpt(body[:_READ_CHARS].decode(errors="replace"), limit, mask)


def _words_of_page(page: str) -> str:
    import html  # noqa: PLC0415 - it brings a large table of names, and few answers are pages

    page = re.sub(_PAGE_NOISE, " ", page)
    if heading := re.search(_PAGE_HEADING, page):
        words = heading[2].strip()
        if words:
            return html.unescape(words)
    return html.unescape(re.sub(_TAG, " ", page))
