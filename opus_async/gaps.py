"""Texts with parts that differ from case to case, which a count of cases leaves out."""

from __future__ import annotations

GAP = "…"
"""What stands in a group's text for a part that differs from case to case."""


class Gapped(str):
    """A text that knows what all texts of its kind have in common.

    Attributes:
        group: The text with a gap for each part that differs from case to case.
        parts: What stands in these gaps, in order.
    """

    __slots__ = ("group", "parts")
    group: str
    parts: tuple[str, ...]


def gapped(template: str, *parts: object) -> Gapped:
    """Fill a template, whose ``{}`` are the places of the parts that differ from case to case.

    Parts can be anybody's data; of one that is such a text itself, what is common to its kind stays. The
    template is ours, but for what went through :func:`literal`.
    """
    text = Gapped(template.format(*parts))
    text.group = template.format(*(part.group if isinstance(part, Gapped) else GAP for part in parts))
    text.parts = tuple(
        each for part in parts for each in (part.parts if isinstance(part, Gapped) else (str(part),))
    )
    return text


def group_of(text: str) -> str:
    """What all texts of its kind have in common; the text itself where nothing else is known."""
    return text.group if isinstance(text, Gapped) else text


def literal(text: str) -> str:
    """Any text as a piece of a template that is the same in every case."""
    return text.replace("{", "{{").replace("}", "}}")
