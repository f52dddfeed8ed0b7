"""Numbers, dates and truth values as people write them where they live: ``1.234,56``, ``9.11.2025``, ``ja``.

Nothing is guessed: text is read so where an option says it, for all columns of a manifest alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any

from opus_async.input_problems import Unfit
from opus_async.manifests.binding.cells import parse_item
from opus_async.models import InputField
from opus_async.text import quoted

DECIMALS = (",", ".")
"""What may separate the whole from the fraction; the other one then separates thousands."""
ORDERS = ("dmy", "mdy", "ymd")
"""The orders of day, month and year."""

_SPACES = " \u00a0\u202f\u2009'\u2019"
"""What separates thousands in some countries, beside the point and the comma."""
_EXACT = 2**53
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}")
_DATE = re.compile(r"(\d{1,4})([./-]) ?(\d{1,2})\2 ?(\d{1,4})\.?")
_YEAR = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How text in cells is to be read.

    Args:
        decimal: ``,`` or ``.``, if numbers have it before their fraction; the other one, a space or an
            apostrophe may then separate thousands. None for numbers as JSON has them.
        dates: ``dmy``, ``mdy`` or ``ymd``: dates with ``.``, ``/`` or ``-`` in this order, with years of four
            digits. None for ``2025-11-09`` alone, which is always read.
        true: A word for true, in any case, beside those that are always read.
        false: A word for false.

    Raises:
        ValueError: There is no such habit.
    """

    decimal: str | None = None
    dates: str | None = None
    true: str | None = None
    false: str | None = None
    _readers: Mapping[str, Callable[[str], Any]] = field(init=False, repr=False, compare=False)
    """What reads text for a type, where a habit is given for it."""

    def __post_init__(self) -> None:
        given: Mapping[str, Any] = {
            "decimal": self.decimal,
            "dates": self.dates,
            "true": self.true,
            "false": self.false,
        }
        if wrong := [
            f"{name}={value!r}" for name, value in given.items() if not isinstance(value, str | None)
        ]:
            raise ValueError(f"{wrong[0]} is no text, as a habit is")
        if self.decimal not in {None, *DECIMALS}:
            raise ValueError(f"decimal={self.decimal!r} is none of ',' and '.'")
        if self.dates not in {None, *ORDERS}:
            raise ValueError(f"dates={self.dates!r} is none of {', '.join(map(repr, ORDERS))}")
        true, false = _folded(self.true), _folded(self.false)
        if "" in {true, false} or (true is not None and true == false):
            raise ValueError(f"true={self.true!r} and false={self.false!r} are no two words")
        readers: Mapping[str, tuple[bool, Callable[[str], Any]]] = {
            "int": (self.decimal is not None, self._number),
            "float": (self.decimal is not None, self._number),
            "date": (self.dates is not None, self._date),
            "bool": (self.true is not None or self.false is not None, self._truth),
        }
        object.__setattr__(self, "_readers", {kind: read for kind, (given, read) in readers.items() if given})

    def read(self, value: Any, target: InputField | None) -> Any:
        """A cell as its input takes it, if a habit is given for inputs of its type; else as it is.

        Raises:
            Unfit: It is not written so; the text completes the sentence "column X ...".
        """
        if not self._readers or not isinstance(value, str) or target is None:
            return value
        if target.type == "array":
            return self._list(value, target.item_type or "")
        read = self._readers.get(target.type)
        return value if read is None else read(value.strip())

    def _list(self, text: str, kind: str) -> Any:
        read = self._readers.get(kind)
        if read is None or text.lstrip().startswith("["):
            return text
        items = [read(item) for piece in text.split(";") if (item := piece.strip())]
        return [parse_item(item, kind) if isinstance(item, str) else item for item in items]

    def _number(self, text: str) -> Any:
        if not text:
            return text
        plain = plain_number(text, self.decimal or ".")
        if plain is None:
            raise Unfit("wants a number with the decimal sign {}, got {}", quoted(self.decimal), quoted(text))
        number = Decimal(plain)
        whole = number == number.to_integral_value()
        if whole:
            return int(number)
        held = float(number)
        return held if abs(held) < _EXACT else plain

    def _date(self, text: str) -> str:
        day = None if _ISO.fullmatch(text) else plain_date(text, self.dates or "")
        return text if day is None else day

    def _truth(self, text: str) -> Any:
        word = _folded(text)
        if word == _folded(self.true):
            return True
        return False if word == _folded(self.false) else text


def plain_number(text: str, decimal: str) -> str | None:
    """A number as JSON has it; None for a text that is not written so.

    Args:
        text: The number, without spaces around it.
        decimal: The sign before its fraction.
    """
    number = _number_with(decimal).fullmatch(text)
    if number is None or not (number[2] or number[4]):
        return None
    sign = "-" if number[1] in {"-", "\u2212"} else ""
    whole = re.sub(r"\D", "", number[2] or "0")
    return f"{sign}{whole}.{number[4]}" if number[4] else f"{sign}{whole}"


@cache
def _number_with(decimal: str) -> re.Pattern[str]:
    """Matches numbers with this sign before their fraction: the sign, whole and fraction."""
    other = re.escape("," if decimal == "." else ".")
    point = re.escape(decimal)
    # Nobody groups thousands behind a leading 0: with a decimal comma 0.800 is no 800.
    grouped = rf"[1-9][0-9]{{0,2}}(?:([{other}{_SPACES}])[0-9]{{3}})(?:\3[0-9]{{3}})*"
    return re.compile(rf"([+\-\u2212]?)({grouped}|[0-9]+)?(?:{point}([0-9]+))?")


def plain_date(text: str, order: str) -> str | None:
    """A date in ISO 8601; None for a text that is not written so, or that is no day.

    Args:
        text: The date, without spaces around it.
        order: Of day, month and year, as in :data:`ORDERS`.
    """
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    parts = dict(zip(order, (found[1], found[3], found[4]), strict=True))
    if len(parts["y"]) != _YEAR or len(parts["d"]) > 2 or len(parts["m"]) > 2:  # noqa: PLR2004 - digits
        return None
    try:
        return date(int(parts["y"]), int(parts["m"]), int(parts["d"])).isoformat()
    except ValueError:
        return None


def _folded(word: str | None) -> str | None:
    return None if word is None else word.strip().casefold()
