"""Names of a platform's people as names in Python: of classes, constants and fields."""

from __future__ import annotations

import builtins
import keyword
import re
import unicodedata
from collections.abc import Container

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def class_name(name: str) -> str:
    """``Invoice check (new)`` -> ``InvoiceCheckNew``; ``Workflow`` where nothing is left of a name."""
    joined = "".join(word[0].upper() + word[1:] for word in _words(name))
    return _identifier(joined, "Workflow")


def constant_name(name: str) -> str:
    """``Invoice check (new)`` -> ``INVOICE_CHECK_NEW``; ``WORKFLOW`` where nothing is left of a name."""
    return _identifier("_".join(_words(name)).upper(), "WORKFLOW")


def field_name(name: str, taken: Container[str]) -> str:
    """``Due date`` -> ``due_date``.

    Args:
        name: What people call it.
        taken: Names that it must not get: those of other fields, and of what would be hidden.
    """
    snake = _identifier("_".join(_words(_CAMEL.sub(" ", name))).lower(), "field")
    if keyword.iskeyword(snake) or hasattr(builtins, snake):
        snake += "_"
    free, number = snake, 1
    while free in taken:
        number += 1
        free = f"{snake.rstrip('_')}_{number}"
    return free


def _words(name: str) -> list[str]:
    """The parts of a name that can stand in an identifier."""
    folded = unicodedata.normalize("NFKC", name)
    kept = "".join(letter if f"a{letter}".isidentifier() and letter != "_" else " " for letter in folded)
    return kept.split()


def _identifier(text: str, otherwise: str) -> str:
    """A text as an identifier, as Python itself normalises it."""
    text = unicodedata.normalize("NFKC", text)
    if not text:
        return otherwise
    if not text.isidentifier():  # it begins with a digit
        text = f"{otherwise}_{text}" if otherwise.islower() or otherwise.isupper() else f"{otherwise}{text}"
    return text if text.isidentifier() else otherwise
