"""Tells what carries nothing: a text that looks blank, an empty list, an object without values.

All readers and the validation ask here, so that a row that is none in a CSV is none in a workbook either.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

_VISIBLE = re.compile(
    "[^"
    "\x01-\x20\x7f-\xa0\xad"
    "\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f"
    "\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "]"
)
"""A character that leaves ink, or a zero byte, which is damage. The others are control characters (a file of
DOS ends in Ctrl-Z), White_Space and Default_Ignorable_Code_Point of Unicode 15.1, and the empty Braille
pattern."""


def looks_blank(text: str) -> bool:
    """Whether no character of a text can be seen: spaces of any width, joiners, marks of byte order."""
    return _VISIBLE.search(text) is None


def all_blank(texts: Iterable[str]) -> bool:
    """Whether each of these texts looks blank, none included."""
    return not any(map(_VISIBLE.search, texts))


def each_visible(texts: Iterable[str]) -> bool:
    """Whether none of these texts looks blank."""
    return all(map(_VISIBLE.search, texts))


def carries_nothing(value: Any) -> bool:
    """Whether a value of a cell says nothing: None, a text that looks blank, or a list or object of such."""
    if isinstance(value, str):
        return looks_blank(value)
    if value is None:
        return True
    if isinstance(value, Mapping):
        return all(map(carries_nothing, value.values()))
    if isinstance(value, list | tuple):
        return all(map(carries_nothing, value))
    return False
