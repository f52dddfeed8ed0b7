"""Cells of a workbook as a person sees them, with what is stored where that is another value."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

from opus_async.manifests.displayed import Displayed
from opus_async.manifests.readers.number_format import general, shown_moment, shown_number

_EXACT = 10**15
"""Excel keeps 15 digits of a number: of a longer one the last digits are lost in the file."""


def shown_cell(value: Any, code: str | None, place: Callable[[], str]) -> Any:
    """The value of a cell; a :class:`~opus_async.manifests.displayed.Displayed` where another text is shown.

    Args:
        value: As ``python_calamine`` gives it.
        code: The number format of the cell; None for one that shows numbers as they are.
        place: Tells the place of the cell, for messages: ``Orders!B7``.
    """
    stored = plain(value)
    if isinstance(value, str | bool):
        return stored
    if isinstance(value, int | float):
        return _number(value, stored, code, place)
    if not isinstance(value, date | time | timedelta):
        return stored
    iso = stored.isoformat() if isinstance(stored, date) else stored
    text = shown_moment(value, code) if code is not None else None
    if text == iso:
        return stored
    if text is not None:
        return Displayed(value=stored, text=text)
    told = "shows a date or time as the settings of each computer want it ({}); it is sent as {}"
    return Displayed(value=stored, text=iso, doubt=told, parts=(place(), iso))


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


def _number(value: float, stored: float, code: str | None, place: Callable[[], str]) -> Any:
    if abs(value) >= _EXACT:
        told = (
            "takes text, and the number in {} has more than the 15 digits that Excel keeps: enter it as text"
        )
        return Displayed(value=stored, text=None, doubt=told, parts=(place(),))
    text = general(value) if code is None else shown_number(value, code)
    if text == str(stored):
        return stored
    if text is not None:
        return Displayed(value=stored, text=text)
    told = "takes text, and what {} shows for {} in the number format {} cannot be told: enter it as text"
    return Displayed(value=stored, text=None, doubt=told, parts=(place(), str(stored), repr(code)))
