"""Templates of titles: ``Invoice {Number} ({file})``.

A name in braces is that of a column and nothing more: no attribute, no index, no format is looked up by what
a manifest says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from opus_async.input_names import folded
from opus_async.text import utf8

OURS = ("key", "index", "row")
"""Names that every row has: its key, its place from 0, its place from 1. A column of such a name has to be
written in another case: ``{Key}``."""

_PIECES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


class Template:
    """A text with names of columns in braces; doubled braces stand for themselves.

    Args:
        text: The template.

    Attributes:
        text: The template, as given.
        columns: The names of columns in it, each once.

    Raises:
        ValueError: A brace stands alone, or there is no name between two; the text completes the sentence
            "the template ...".
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._pieces: list[tuple[str, str | None]] = []
        """Pairs of a text and the name whose value follows it; None behind the last."""
        end = 0
        to_text = ""
        for piece in _PIECES.finditer(text):
            to_text += text[end : piece.start()]
            end = piece.end()
            if piece[1] is None:
                if len(piece[0]) == 1:
                    raise ValueError(f"has a single {piece[0]!r}: double it to mean the character itself")
                to_text += piece[0][0]
                continue
            if not piece[1].strip():
                raise ValueError("has nothing between two braces: name a column, or double the braces")
            self._pieces.append((to_text, piece[1]))
            to_text = ""
        self._pieces.append((to_text + text[end:], None))
        names = (name for _, name in self._pieces if name is not None and name not in OURS)
        self.columns: Sequence[str] = tuple(dict.fromkeys(names))

    def render(self, cells: Mapping[str, Any], *, key: str, index: int) -> str:
        """The text for one row, on one line; a cell that the row does not have is empty."""
        ours = {"key": key, "index": str(index), "row": str(index + 1)}
        parts: list[str] = []
        for text, name in self._pieces:
            parts.append(text)
            if name is not None:
                parts.append(ours[name] if name in ours else _cell(cells, name))
        return single_line("".join(parts))


def is_column(name: str, columns: Sequence[str]) -> bool:
    """Whether a name in a template means one of these columns."""
    return name in columns or folded(name) in map(folded, columns)


def to_text(value: Any) -> str:
    """A cell as text: a whole number without ``.0``, a list with semicolons."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "; ".join(map(to_text, value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def single_line(text: str) -> str:
    """The text on one line, with single spaces, and without half characters, which some file names have."""
    return " ".join(utf8(text).split())


def _cell(cells: Mapping[str, Any], name: str) -> str:
    if name not in cells:
        wanted = folded(name)
        name = next((column for column in cells if folded(column) == wanted), name)
    return "" if cells.get(name) is None else to_text(cells[name])
