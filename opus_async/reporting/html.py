"""HTML by construction: what is no ``Markup`` is escaped, freed of what deceives, and cut.

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
"""Of a text where nothing else is said."""
_DECEPTIVE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)
"""Controls, half surrogates, and marks that turn the direction of what follows them."""
_BLANKS = re.compile(r"[ \t\r\n]+")
_KEY = re.compile(r"_[0-9a-fA-F]{96}")
_SIGNED = re.compile(r"\?[^\s\"'<>]*(?:X-Amz-|signature=|sig=|token=)[^\s\"'<>]*", re.IGNORECASE)
_LONG_NAME = 28

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
    """A column of a table.

    Attributes:
        title: Its heading.
        cell: What a line has in it: ``Markup``, or anything else as a text.
        kind: A class of the style sheet: ``number`` stands to the right, ``short`` is not broken into lines,
            ``error`` takes the room that is left, and ``prose`` is all the rest.
    """

    title: str
    cell: Callable[[Row], object]
    kind: str = "prose"


@dataclass(frozen=True, slots=True)
class Table(Generic[Row]):
    """A table; the first cell of a line names it.

    Attributes:
        label: What it is, for who cannot see it.
        columns: From left to right.
        lines: Below the head.
        kind: A class of the style sheet: ``plain`` is pushed sideways on a narrow page, ``stack`` has its
            cells below each other there, and ``pairs`` are names and values.
    """

    label: str
    columns: tuple[Column[Row], ...]
    lines: Iterable[Row]
    kind: str = "plain"


def shown(value: object, most: int = MOST_CHARS) -> str:
    """A text of anybody on one line, at most so many characters, deceptive ones as their code points.

    What it comes from should hold no secret. Should one have come in with an error's words, it does not go
    out again.
    """
    text = _SIGNED.sub("?…", _KEY.sub("_…", str(value)))
    if len(text) > most:
        text = f"{text[:most].rstrip()} …"
    text = _DECEPTIVE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return _BLANKS.sub(" ", text).strip()


def finalize(value: object) -> object:
    """What a template prints for a value: a text goes through :func:`shown`, and is escaped after it."""
    return shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def cut(value: object, most: int) -> Markup:
    """A text with a bound of its own."""
    return escape(shown(value, most))


def isolated(value: object, most: int = MOST_CHARS) -> Markup:
    """A text of others inside a sentence of ours: its direction does not reach what is around it."""
    return Markup("<bdi>{}</bdi>").format(shown(value, most))


def code(value: object, most: int = 120) -> Markup:
    """A name to be copied; only a long one is broken into lines."""
    kind = Markup(' class="long"') if len(str(value)) > _LONG_NAME else ""
    return Markup("<code{}><bdi>{}</bdi></code>").format(kind, shown(value, most))


def verbatim(line: str) -> Markup:
    """A command as it has to be typed: nothing cut, no blank lost."""
    return escape(line)


def element(name: str, *inner: object, **attributes: object) -> Markup:
    """An element of HTML or SVG.

    Args:
        name: Its tag.
        inner: What is in it: ``Markup``, or anything else as a text. Without any it is closed at once.
        attributes: By name; ``_`` stands for ``-``, and at the end for nothing (``class_``). Escaped,
            and nothing else: an outline is long. Floats are told to a tenth, which is enough for pixels.
    """
    told = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _attribute(value))
        for key, value in attributes.items()
    )
    if not inner:
        return Markup("<{}{}/>").format(name, told)
    return Markup("<{0}{1}>{2}</{0}>").format(name, told, together(inner))


def together(parts: Iterable[object]) -> Markup:
    """Parts of a page one after another, each as :func:`finalize` has it."""
    return Markup("").join(escape(finalize(part)) for part in parts)


def _attribute(value: object) -> object:
    return f"{round(value, 1):g}" if isinstance(value, float) else value
