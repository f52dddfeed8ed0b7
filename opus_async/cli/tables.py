"""Text in columns, for people, on stdout."""

from __future__ import annotations

import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Sequence

GAP = "  "
_NARROWEST = 16


def columns(rows: Sequence[Sequence[str]], *, width: int | None = None) -> str:
    """Rows in aligned columns; the last column is wrapped when the whole is wider than ``width``."""
    cells = [[printable(cell) for cell in row] for row in rows]
    *widths, _ = (max(map(cells_wide, column)) for column in zip(*cells, strict=True))
    left = sum(widths) + len(GAP) * len(widths)
    room = max(width - left, _NARROWEST) if width else None
    lines = []
    for *first, last in cells:
        start = "".join(_padded(cell, wide) + GAP for cell, wide in zip(first, widths, strict=True))
        pieces = textwrap.wrap(last, room) if room else [last]
        lines.append((start + "".join(pieces[:1])).rstrip())
        lines += [" " * left + piece for piece in pieces[1:]]
    return "\n".join(lines)


def terminal_width() -> int | None:
    """The columns of the terminal that reads our stdout; None when nobody looks."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def cells_wide(text: str) -> int:
    """How many cells of a terminal a text takes."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


def printable(text: str) -> str:
    """The text without line ends and control characters: names come from the platform."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _padded(text: str, wide: int) -> str:
    return text + " " * (wide - cells_wide(text))
