"""Cells of a text that hold a byte which is none in its encoding: they are refused, and never sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from opus_async.manifests.advised import Advised, placed
from opus_async.manifests.model import Record, Unreadable

TOLERANT = "surrogateescape"
"""How such text is decoded: each bad byte becomes a character of its own, which no other text can have."""
ESCAPED = 0xDC00
"""Added to the byte in that character."""

_BAD = re.compile("[\udc80-\udcff]")
_SHOWN = 40
_FIX = "mend it in an editor, and save the file as"


def without_bad_bytes(record: Record, encoding: str) -> Record:
    """The same row; cells with bad bytes are unreadable in place of cells.

    Args:
        record: The row.
        encoding: That of the text, as a person writes it.
    """
    bad = {name: found for name, value in record.cells.items() if (found := _first(name) or _first(value))}
    if not bad:
        return record
    unreadable = tuple(
        Unreadable(
            problem=placed("a name" if _first(name) else f"column {name!r}", _told(text, place, encoding)),
            column=None if _first(name) else name,
            group=f"a byte that is not {encoding}",
        )
        for name, (text, place) in bad.items()
    )
    cells = {name: value for name, value in record.cells.items() if name not in bad}
    return replace(record, cells=cells, unreadable=(*record.unreadable, *unreadable))


def has_bad_byte(text: str) -> bool:
    """Whether a text has a bad byte."""
    return _BAD.search(text) is not None


def _first(value: Any) -> tuple[str, int] | None:
    """The first text with a bad byte in a value, at any depth, and the place of the byte in it."""
    for text in _texts(value):
        if not text.isascii() and (found := _BAD.search(text)):
            return text, found.start()
    return None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from _texts(item)


def _told(text: str, place: int, encoding: str) -> str:
    byte = ord(text[place]) - ESCAPED
    begins = max(0, place - _SHOWN // 2)
    shown = _BAD.sub("\ufffd", text[begins : begins + _SHOWN])
    return Advised(
        f"byte 0x{byte:02X} is not {encoding}, at character {place + 1} of {shown!r}", f"{_FIX} {encoding}"
    )
