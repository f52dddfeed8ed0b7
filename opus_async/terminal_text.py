"""Escapes characters in a text that a terminal must not see."""

from __future__ import annotations

import re

_UNSAFE = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and line feed, DEL, C1
    "\xad\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # the soft hyphen, and what turns text around
    "\u2028\u2029"  # other ends of a line
    "\u200b\u2060-\u2064\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"  # what cannot be seen
    "]"
)


def escaped(text: str) -> str:
    r"""The text with every character that a terminal must not see written as ``\uXXXX``."""
    return _UNSAFE.sub(_as_json_writes_it, text)


def _as_json_writes_it(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be")
    return "".join(f"\\u{units[place : place + 2].hex()}" for place in range(0, len(units), 2))
