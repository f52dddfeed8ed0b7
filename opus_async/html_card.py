"""A small table for notebooks: what ``_repr_html_`` of our values returns.

Colours are those of the notebook, so that it is read on light and on dark alike; every text is escaped and
cut. No style sheet, no script, no network.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

MOST_CHARS = 200
"""Characters of a cell; the value itself has the rest."""
MOST_LINES = 30
"""Lines of a table; the value itself has the rest."""
_CARD = "border-collapse:collapse;text-align:left;font-size:90%"
_CELL = "border:1px solid rgba(128,128,128,.4);padding:.25em .6em;text-align:left;vertical-align:top"
_CAPTION = "text-align:left;font-weight:bold;padding:.25em 0;color:inherit"


def card(title: str, lines: Iterable[Sequence[object]], *, header: Sequence[str] = ()) -> str:
    """Make a table of a title and lines of cells.

    Args:
        title: What it shows.
        lines: The cells of each line; the first of a line names it.
        header: The names of the columns; empty for none.
    """
    rows = iter(lines)
    body = "".join(_line(line) for line in islice(rows, MOST_LINES))
    left = sum(1 for _ in rows)
    more = f"<tr>{_cell('td', f'and {left:,} more')}</tr>" if left else ""
    head = f"<thead><tr>{''.join(_cell('th', name) for name in header)}</tr></thead>" if header else ""
    caption = f'<caption style="{_CAPTION}">{_text(title)}</caption>'
    return f'<table style="{_CARD}">{caption}{head}<tbody>{body}{more}</tbody></table>'


def _line(cells: Sequence[object]) -> str:
    first, *others = cells
    return f"<tr>{_cell('th', first)}{''.join(_cell('td', each) for each in others)}</tr>"


def _cell(tag: str, value: object) -> str:
    return f'<{tag} style="{_CELL}">{_text(value)}</{tag}>'


def _text(value: object) -> str:
    text = str(value)
    cut = text[:MOST_CHARS] + ("..." if len(text) > MOST_CHARS else "")
    from html import escape  # noqa: PLC0415 - it brings a large table of names, and few programs show a card

    return escape("".join(letter if letter.isprintable() else " " for letter in cut))
