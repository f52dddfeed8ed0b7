"""HTML helpers: each text that is no ``Markup`` is escaped and cut, and its control characters made visible.

Templates print through :func:`finalize`, drawings through :func:`element`, and cells of tables through the
functions here. Nothing else makes ``Markup``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from markupsafe import Markup, escape

MOST_CHARS = 400
"""Characters of a text, unless another bound is given."""
_DECEPTIVE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)
"""Control characters, half surrogates, and marks that change the direction of text; none is printable."""
_BLANKS = re.compile(r"[ \t\r\n]+")
_KEY = re.compile(r"_[0-9a-fA-F]{96}")
_SIGNED = re.compile(r"\?[^\s\"'<>]*(?:X-Amz-|signature=|sig=|token=)[^\s\"'<>]*", re.IGNORECASE)
_LONG_NAME = 28
_OPTION = re.compile(r"(?<= )(--[a-z-]+)")

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
    """A column of a table.

    Attributes:
        title: The heading.
        cell: Gives the cell of a line: ``Markup``, or anything else as a text.
        kind: A class of the style sheet: ``number`` is aligned to the right, ``short`` is not wrapped,
            ``error`` takes the room that is left, ``key`` what the others leave of it, ``place`` says itself
            what it is, ``job`` is the id of one, ``bar`` holds a drawing, and ``prose`` is for all others.
    """

    title: str
    cell: Callable[[Row], object]
    kind: str = "prose"


@dataclass(frozen=True, slots=True)
class Table(Generic[Row]):
    """A table; the first cell of a line names it.

    Attributes:
        label: What it shows, for screen readers.
        columns: The columns from left to right.
        lines: The lines below the header.
        kind: A class of the style sheet: on a narrow page ``plain`` has the cells of a line one after another
            below its first, and ``stack`` has them below each other; ``pairs`` are names and values, and
            ``values`` are values and how often they came.
    """

    label: str
    columns: tuple[Column[Row], ...]
    lines: Iterable[Row]
    kind: str = "plain"

    def body(self) -> Markup:
        """Its lines. They are made here, as a template takes twice as long for each of so many cells."""
        cells: list[tuple[Callable[[Row], object], str, str]] = []
        for column in self.columns:
            tag, scope = ("td", "") if cells else ("th", ' scope="row"')
            kind, title = _printed(column.kind), _printed(column.title)
            cells.append((column.cell, f'<{tag}{scope} class="{kind}" data-title="{title}">', f"</{tag}>"))
        lines = (
            "".join(f"{begin}{_printed(cell(line))}{end}" for cell, begin, end in cells)
            for line in self.lines
        )
        return Markup("".join(f"<tr>{line}</tr>\n" for line in lines))  # noqa: S704 - cells are escaped


def shown(value: object, most: int = MOST_CHARS) -> str:
    """A text from outside on one line, cut, with deceptive characters as code points and secrets masked.

    There should be no secret in it; one could have come in with the words of an error.

    Args:
        value: The text.
        most: Characters at most.
    """
    text = str(value)
    if "_" in text or "?" in text:
        text = _SIGNED.sub("?…", _KEY.sub("_…", text))
    if len(text) > most:
        text = f"{text[:most].rstrip()} …"
    if not text.isprintable() or "  " in text:  # most texts of a page are short words of ours
        text = _DECEPTIVE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
        text = _BLANKS.sub(" ", text)
    return text.strip()


def finalize(value: object) -> object:
    """What a template prints for a value: a text goes through :func:`shown`, and is escaped after it."""
    return shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def cut(value: object, most: int) -> Markup:
    """A text of at most ``most`` characters."""
    return escape(shown(value, most))


def isolated(value: object, most: int = MOST_CHARS) -> Markup:
    """A text from outside in a sentence of ours: its direction does not affect the words around it."""
    return Markup(f"<bdi>{cut(value, most)}</bdi>")  # noqa: S704 - escaped


def code(value: object, most: int = 120) -> Markup:
    """A name to be copied, in ``<code>``; only a long one is wrapped."""
    kind = ' class="long"' if len(str(value)) > _LONG_NAME else ""
    return Markup(f"<code{kind}>{isolated(value, most)}</code>")  # noqa: S704 - escaped


def link(content: Markup, url: str) -> Markup:
    """A link to a page, which does not learn where the link stood; the content alone if it is no https."""
    if not url.startswith("https://"):
        return content
    return element("a", content, href=url, rel="noopener noreferrer")


def verbatim(line: str) -> Markup:
    """A command as it has to be typed: not cut, with all its spaces; no line ends within an option."""
    return Markup(_OPTION.sub(r'<span class="option">\1</span>', str(escape(line))))  # noqa: S704 - escaped


def element(name: str, *inner: object, **attributes: object) -> Markup:
    """An element of HTML or SVG.

    Args:
        name: Its tag.
        inner: Its content: ``Markup``, or anything else as a text. Without any the tag is closed at once.
        attributes: Values by name; ``_`` stands for ``-``, and at the end for nothing (``class_``). They are
            escaped and not cut, as the outline of a path is long. Floats are rounded to tenths of a pixel.
    """
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_attribute(value)}"' for key, value in attributes.items()
    )  # not by Markup.format, which takes five times as long, and a chart has a thousand of these
    if not inner:
        return Markup(f"<{name}{told}/>")  # noqa: S704 - values are escaped, and names are ours
    return Markup(f"<{name}{told}>{together(inner)}</{name}>")  # noqa: S704 - as above


def together(parts: Iterable[object]) -> Markup:
    """Parts of a page one after another; those that are no ``Markup`` go through :func:`finalize`."""
    return Markup("".join(map(_printed, parts)))  # noqa: S704 - escaped


def _printed(value: object) -> Markup:
    return value if isinstance(value, Markup) else escape(finalize(value))


def _attribute(value: object) -> str:
    return f"{round(value, 1):g}" if isinstance(value, float) else escape(value)
