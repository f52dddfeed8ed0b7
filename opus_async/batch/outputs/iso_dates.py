"""Recognizes texts that are dates or times of ISO 8601, so that a spreadsheet can hold them as such."""

from __future__ import annotations

import enum
import re
from datetime import UTC, datetime

FIRST, LAST = datetime(1900, 3, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
"""Days that Excel counts right: it believes that 1900 was a leap year."""
_TIME = r"[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?"
_DAY = r"\d{4}-\d\d-\d\d"


class DateForm(enum.Enum):
    """A form of ISO 8601, by the number format in which a spreadsheet shows it."""

    DAY = "yyyy-mm-dd"
    MOMENT = "yyyy-mm-dd hh:mm:ss"
    """Without a time zone."""
    MOMENT_UTC = 'yyyy-mm-dd hh:mm:ss" UTC"'


_FORMS = (
    (DateForm.DAY, re.compile(_DAY, re.ASCII)),
    (DateForm.MOMENT, re.compile(_DAY + _TIME, re.ASCII)),
    (DateForm.MOMENT_UTC, re.compile(f"{_DAY}{_TIME}(?:Z|[+-]00:?00)", re.ASCII)),
)


def date_form(text: str) -> DateForm | None:
    """The form that a text has.

    None for what is no day of the calendar, what Excel cannot count, other time zones than UTC, and parts of
    a second below the thousandth: these stay texts, so that nothing is lost.
    """
    form = next((form for form, pattern in _FORMS if pattern.fullmatch(text)), None)
    if form is None:
        return None
    try:
        moment = as_datetime(text).replace(tzinfo=UTC)
    except ValueError:
        return None
    return form if FIRST <= moment <= LAST else None


def as_datetime(text: str) -> datetime:
    """A text of one of the forms as a datetime without a time zone."""
    return datetime.fromisoformat(text).replace(tzinfo=None)
