"""The only way a text of others gets into the report: escaped, freed of what deceives, and cut."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_DECEPTIVE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)
"""Controls, half surrogates, and marks that turn the direction of what follows them."""
_BLANKS = re.compile(r"[ \t\r\n]+")
_KEY = re.compile(r"_[0-9a-fA-F]{96}")
_LONG = 28
_SIGNED = re.compile(r"\?[^\s\"'<>]*(?:X-Amz-|signature=|sig=|token=)[^\s\"'<>]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        title: Its heading.
        kind: A class of the style sheet: ``number`` stands to the right, ``short`` is not broken into lines,
            ``error`` takes the room that is left, and ``prose`` is all the rest.
    """

    title: str
    kind: str = "prose"


def text(value: object, most: int = 400) -> str:
    """A text as it may stand in HTML, in an attribute too: one line, at most so many characters.

    The ledger holds no secret. Should one have come in with an error's words, it does not go out again.
    """
    shown = _SIGNED.sub("?…", _KEY.sub("_…", str(value)))
    if len(shown) > most:
        shown = f"{shown[:most].rstrip()} …"
    shown = _DECEPTIVE.sub(lambda found: f"\\u{ord(found[0]):04x}", shown)
    return html.escape(_BLANKS.sub(" ", shown).strip())


def isolated(value: object, most: int = 400) -> str:
    """A text of others inside a sentence of ours: its direction does not reach what is around it."""
    return f"<bdi>{text(value, most)}</bdi>"


def code(value: object, most: int = 120) -> str:
    """A name to be copied; only a long one is broken into lines."""
    kind = ' class="long"' if len(str(value)) > _LONG else ""
    return f"<code{kind}><bdi>{text(value, most)}</bdi></code>"


def command(line: str) -> str:
    """A command as it has to be typed: nothing cut, no blank lost."""
    return html.escape(line)


def table(
    columns: Sequence[Column], lines: Iterable[Sequence[str]], *, label: str, kind: str = "plain"
) -> str:
    """A table whose cells are HTML already; the first cell of a line names it.

    Args:
        columns: Its head.
        lines: Below the head.
        label: What it is, for who cannot see it.
        kind: A class of the style sheet: ``plain`` is pushed sideways on a narrow page, ``stack`` has its
            cells below each other there, and ``pairs`` are names and values.
    """
    head = "".join(f'<th scope="col" class="{column.kind}">{text(column.title)}</th>' for column in columns)
    body = "".join(f"<tr>{_cells(columns, line)}</tr>\n" for line in lines)
    return (
        f'<div class="scroll" role="region" aria-label="{text(label)}" tabindex="0"><table class="{kind}">'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>\n"
    )


def section(name: str, title: str, *parts: str) -> str:
    """A section under a heading."""
    head = f'<h2 id="{name}">{text(title)}</h2>'
    return f'<section aria-labelledby="{name}">\n{head}\n{"".join(parts)}</section>\n'


def paragraph(inner: str, kind: str = "") -> str:
    """A paragraph of HTML."""
    return f'<p class="{kind}">{inner}</p>\n' if kind else f"<p>{inner}</p>\n"


def _cells(columns: Sequence[Column], line: Sequence[str]) -> str:
    first, *others = (
        f'class="{column.kind}" data-title="{text(column.title)}">{cell}'
        for column, cell in zip(columns, line, strict=True)
    )
    return f'<th scope="row" {first}</th>' + "".join(f"<td {other}</td>" for other in others)
