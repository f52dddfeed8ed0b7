"""The language of number formats of Excel: sections, conditions, places for digits, units of time.

It is told in ECMA-376, part 1, 18.8.31. What is not known of it is refused, so that nothing is shown wrong.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import TypeAlias

_MOST_CODE = 255
"""Characters of a format code, as many as Excel takes."""
_MOST_SECTIONS = 4
_TOKEN = re.compile(
    r"""
    "(?P<quoted>[^"]*)" | \\(?P<escaped>.) | _(?P<space>.) | \*(?P<fill>.) | \[(?P<brackets>[^\]]*)\]
    | (?P<end>;) | (?P<digit>[0#?]) | (?P<sign>[.,%]) | (?P<text>@) | (?P<general>general)
    | (?P<half>am/pm|a/p) | (?P<date>y+|m+|d+|h+|s+) | (?P<exponent>e[+-])
    | (?P<plain>[-$+/():!^&'~{}<>= ]|[^\x00-\x7f])
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_LITERAL = frozenset({"quoted", "escaped", "plain"})
_COLOUR = re.compile(r"(?i)black|blue|cyan|green|magenta|red|white|yellow|color ?\d+")
_CONDITION = re.compile(r"(<=|>=|<>|<|>|=)\s*(-?\d+(?:\.\d+)?)")
_CURRENCY = re.compile(r"\$([^\]-]*)(?:-([0-9A-Fa-f]{1,8}))?")
_ELAPSED = re.compile(r"(?i)h+|m+|s+")


Condition: TypeAlias = tuple[str, Decimal]
"""A comparison and a number."""


class UnknownFormatError(ValueError):
    """What is shown cannot be told from the file."""


@dataclass(frozen=True, slots=True)
class Section:
    """One of the up to four parts of a format code.

    Attributes:
        parts: Kind and text of each token: ``literal``, ``digit``, ``sign`` (``.,%``), ``date`` (``yyyy``),
            ``elapsed`` (``[h]``), ``half`` (AM/PM), ``exponent``, ``general``, ``text`` (``@``).
        condition: The comparison and the number that choose it; None where there is none.
        locale: The locale id that it names; None where it names none.
    """

    parts: Sequence[tuple[str, str]]
    condition: Condition | None
    locale: int | None


@lru_cache(maxsize=256)
def sections_of(code: str) -> tuple[Section, ...]:
    """Read a format code.

    Raises:
        UnknownFormatError: It has something that is not known.
    """
    if len(code) > _MOST_CODE:
        raise UnknownFormatError
    sections: list[Section] = []
    parts: list[tuple[str, str]] = []
    condition: Condition | None = None
    locale: int | None = None
    for kind, text in _tokens(code):
        if kind == "end":
            sections.append(Section(tuple(parts), condition, locale))
            parts, condition, locale = [], None, None
        elif kind == "condition" and (found := _CONDITION.fullmatch(text)):
            condition = found[1], Decimal(found[2])
        elif kind == "locale":
            locale = int(text, 16) & 0xFFFF
        elif kind != "fill":
            parts.append((kind, text))
    sections.append(Section(tuple(parts), condition, locale))
    if len(sections) > _MOST_SECTIONS:
        raise UnknownFormatError
    return tuple(sections)


def _tokens(code: str) -> list[tuple[str, str]]:
    """Kind and text of each token, in order."""
    found: list[tuple[str, str]] = []
    place = 0
    while place < len(code):
        token = _TOKEN.match(code, place)
        if token is None or token.lastgroup is None:
            raise UnknownFormatError
        kind, text, place = token.lastgroup, token[token.lastgroup], token.end()
        if kind == "brackets":
            found += _in_brackets(text)
        elif kind == "space":  # as wide as that letter
            found.append(("literal", " "))
        else:
            found.append(("literal", text) if kind in _LITERAL else (kind, text.lower()))
    return found


def _in_brackets(inside: str) -> list[tuple[str, str]]:
    """A colour, a condition, an elapsed time, or a currency with a locale."""
    if _COLOUR.fullmatch(inside):
        return []
    if _CONDITION.fullmatch(inside):
        return [("condition", inside)]
    if _ELAPSED.fullmatch(inside):
        return [("elapsed", inside.lower())]
    currency = _CURRENCY.fullmatch(inside)
    if currency is None:
        raise UnknownFormatError
    return [("literal", currency[1])] if currency[1] else [("locale", currency[2] or "0")]
