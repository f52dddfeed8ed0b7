"""A value that a program shows otherwise than it stores it: 1234 as ``001234``, 0.25 as ``25%``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Displayed:
    """A cell and the text that a person sees there.

    An input of text takes what is seen, one of numbers, dates or truth values what is stored.

    Attributes:
        value: What is stored: a number, a truth value, a text, a date, or the ISO text of a time.
        text: What is seen; None where that cannot be told from the file.
        doubt: Why ``text`` is not certain, or is None; with ``{}`` for each of ``parts``. It completes a
            sentence that begins with the column. None where it is certain.
        parts: What of the doubt differs from cell to cell.
        fix: What to do about the doubt; None where it says that itself.
    """

    value: Any
    text: str | None
    doubt: str | None = None
    parts: tuple[str, ...] = ()
    fix: str | None = None

    def __str__(self) -> str:
        if self.text is not None:
            return self.text
        return self.value.isoformat() if isinstance(self.value, date) else str(self.value)
