"""A page in parts: the head, the sections, the foot. Of a live page only those that changed are sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape
from typing import Self

_TITLE = re.compile(r"<title>(.*?)</title>", re.DOTALL)
_MAIN = re.compile(r"<main>\n(.*)</main>", re.DOTALL)
_PART = re.compile(
    r"^<(?P<tag>header|section|details|footer)\b(?:[^>]* aria-labelledby=\"(?P<name>[^\"]+)\")?"
    r".*?^</(?P=tag)>$",
    re.DOTALL | re.MULTILINE,
)
"""An element that begins and ends a line. All text of others is escaped: nothing of theirs looks like one."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page in parts.

    Attributes:
        html: All of it, in UTF-8.
        title: Its title.
        parts: Name -> HTML of each part of ``<main>``, in their order. A section is named by its heading, any
            other part by its tag: ``live.js`` finds them in the same way.
    """

    html: bytes
    title: str
    parts: Mapping[str, str]

    @classmethod
    def of(cls, html: bytes) -> Self:
        """Cut a page that was rendered from ``page.html`` into parts."""
        text = html.decode()
        title, main = _TITLE.search(text), _MAIN.search(text)
        assert title is not None and main is not None  # noqa: PT018, S101 - every page has both
        parts = {found["name"] or found["tag"]: found[0] for found in _PART.finditer(main[1])}
        return cls(html, unescape(title[1]), parts)
