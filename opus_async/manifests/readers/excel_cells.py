"""Cells of a workbook as a person sees them, with what is stored where that is another value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any, TypeAlias

from opus_async.manifests.displayed import Displayed
from opus_async.manifests.readers.number_format import general, shown_moment, shown_number, shown_text

_EXACT = 10**15
"""Excel keeps 15 digits of a number: of a longer one the last digits are lost in the file."""
_WORDS = {True: "TRUE", False: "FALSE"}
_UNKNOWN = "takes text, and what {} shows for {} in the number format {} cannot be told: enter it as text"
_CONDITIONAL = (
    "takes text, and what {} shows for {} depends on a conditional format: enter it as text, or take the "
    "number format out of the condition"
)
_HIDDEN = "takes text, and {} does not show its own, {}, in the number format {}: give it another one"
_INEXACT = "takes text, and the number in {} has more than the 15 digits that Excel keeps: enter it as text"
_LOCAL_DATE = "shows a date or time as the settings of each computer want it ({}); it is sent as {}"
_LOCAL_NUMBER = "shows separators as the settings of each computer want them ({}); it is sent as {}"
_LOCAL_WORD = "shows a truth value in the language of each computer ({}); it is sent as {}"
_FIXES: Mapping[str | None, str] = {
    _LOCAL_DATE: "give the column a format that names day, month and year, or one of text",
    _LOCAL_NUMBER: "give the column a format without separators, or one of text",
}

Shown: TypeAlias = tuple[str | None, str | None]
"""What is seen, and why it is not the same on each computer; None where that is not so."""


def shown_cell(value: Any, codes: Sequence[str | None], place: Callable[[], str]) -> Any:
    """The value of a cell; a :class:`~opus_async.manifests.displayed.Displayed` where another text is shown.

    Args:
        value: As ``python_calamine`` gives it.
        codes: The number format of the cell, None for one that shows numbers as they are; several where a
            condition decides which.
        place: Tells the place of the cell, for messages: ``Orders!B7``.
    """
    stored = plain(value)
    if isinstance(value, bool):
        word = _WORDS[value]
        told: tuple[str, ...] = (place(), word)
        return Displayed(value=value, text=word, doubt=_LOCAL_WORD, parts=told, fix="enter it as text")
    if not isinstance(value, str | int | float | date | time | timedelta):
        return stored
    text, doubt = _shown(value, stored, codes[0])
    unknown = _unknown(value, stored, codes, text)
    if unknown is not None:
        told = (place(), str(stored), repr(codes[0]))
        return Displayed(value=stored, text=None, doubt=unknown, parts=told[: unknown.count("{}")])
    if doubt is None and text == (stored.isoformat() if isinstance(stored, date) else str(stored).strip()):
        return stored
    told = () if doubt is None else (place(), str(text))
    return Displayed(value=stored, text=text, doubt=doubt, parts=told, fix=_FIXES.get(doubt))


def _unknown(value: Any, stored: Any, codes: Sequence[str | None], text: str | None) -> str | None:
    """Why it cannot be told what is seen of a value; None where it can be."""
    if isinstance(value, int | float) and abs(value) >= _EXACT:
        return _INEXACT
    if any(_shown(value, stored, code)[0] != text for code in codes[1:]):
        return _CONDITIONAL
    if text is None:
        return _HIDDEN if isinstance(value, str) else _UNKNOWN
    return None


def plain(value: Any) -> Any:
    """A cell as it is stored: 3 rather than 3.0, times and durations as text."""
    if isinstance(value, float):
        if not value.is_integer():
            return value
        return int(value) if abs(value) < _EXACT else int(Decimal(repr(value)))
    if isinstance(value, time):
        return value.isoformat()
    if isinstance(value, timedelta):
        minutes, seconds = divmod(round(value.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    return value


def _shown(value: Any, stored: Any, code: str | None) -> Shown:
    """What a person sees of a value in one number format."""
    if isinstance(value, str):
        return (value.strip() if code is None else shown_text(value, code)), None
    if isinstance(value, int | float):
        text = general(value) if code is None else shown_number(value, code) or None
        if text is None or code is None or "," not in text or shown_number(value, code, "") == text:
            return text, None
        return text, _LOCAL_NUMBER
    text = None if code is None else shown_moment(value, code)
    if text is None:
        return (stored.isoformat() if isinstance(stored, date) else stored), _LOCAL_DATE
    return text, None
