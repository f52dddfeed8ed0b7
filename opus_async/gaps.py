"""Texts whose variable parts are marked, so that equal failures can be counted."""

from __future__ import annotations

GAP = "…"
"""What stands in a group's text for a variable part."""


class Gapped(str):
    """A text whose variable parts are known.

    Attributes:
        group: The text with a gap for each variable part: the same for all texts of its kind.
    """

    __slots__ = ("group",)
    group: str


def gapped(template: str, *parts: object) -> Gapped:
    """Fill a template, whose ``{}`` are the places of the variable parts.

    Parts can be anybody's data; of one that is a :class:`Gapped` itself, its group goes into the group. The
    template is our own text, but for what went through :func:`literal`.
    """
    text = Gapped(template.format(*parts))
    text.group = template.format(*(part.group if isinstance(part, Gapped) else GAP for part in parts))
    return text


def group_of(text: str) -> str:
    """The group of a text, to count by; the text itself where it has none."""
    return text.group if isinstance(text, Gapped) else text


def literal(text: str) -> str:
    """Escape a text for a template of :func:`gapped`, as a part that is not variable."""
    return text.replace("{", "{{").replace("}", "}}")
