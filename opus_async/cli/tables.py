"""Text in aligned columns, and its width on a terminal."""

from __future__ import annotations

import shutil
import sys
import unicodedata
from collections.abc import Sequence
from itertools import zip_longest

GAP = "  "
_NARROWEST = 16
"""Terminal cells below which a column is not narrowed."""


def columns(rows: Sequence[Sequence[str]], *, width: int | None = None) -> str:
    """Format rows in aligned columns.

    Args:
        rows: Texts, as many in each row.
        width: Terminal cells of the whole; when it is wider, the texts of the widest columns are wrapped.
            None to wrap nothing.
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(cells_wide, column)) for column in zip(*cells, strict=True)]
    if width:
        _narrow(widths, width - len(GAP) * (len(widths) - 1))
    lines = []
    for row in cells:
        pieces = [wrapped(cell, wide) for cell, wide in zip(row, widths, strict=True)]
        lines += [
            GAP.join(map(_padded, line, widths)).rstrip() for line in zip_longest(*pieces, fillvalue="")
        ]
    return "\n".join(lines)


def wrapped(text: str, width: int | None) -> list[str]:
    """Wrap a text into lines of at most so many terminal cells, between words where that is possible.

    A text that is indented is so on each line.
    """
    if width is None or cells_wide(text) <= width:
        return [text]
    indent = text[: len(text) - len(text.lstrip(" "))][: width // 2]
    width -= len(indent)
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".lstrip()
        if cells_wide(longer) <= width:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if cells_wide(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter
    return [f"{indent}{line}".rstrip() for line in lines]


def terminal_width() -> int | None:
    """The width of the terminal that stdout is; None when it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def cells_wide(text: str) -> int:
    """How many terminal cells a text takes."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


def printable(text: str) -> str:
    """The text with a space for each character that cannot be printed, such as a line end."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _narrow(widths: list[int], room: int) -> None:
    """Narrow the widest column, of several the last, until all fit or none may be narrowed further."""
    while sum(widths) > room and max(widths) > _NARROWEST:
        widest = max(range(len(widths)), key=lambda column: (widths[column], column))
        widths[widest] -= 1


def _padded(text: str, wide: int) -> str:
    return text + " " * (wide - cells_wide(text))
