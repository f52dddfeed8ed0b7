"""Converts values of cells: to what JSON can hold, and to what an input of a type takes.

What a text means beyond lists (``"0.8"``, ``"true"``, the JSON text of an object) is decided by the platform.
A value is refused with ``Unfit``, whose text completes the sentence "column X ...".
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from opus_async.input_problems import Unfit
from opus_async.manifests.displayed import Displayed
from opus_async.models import InputField
from opus_async.text import quoted

_DEEPEST = 100
_LONG_EXPONENT = 100
_STORED = frozenset({"int", "float", "bool", "date", "json_string", "object"})
"""Types that take what is stored: JSON has no signs of currencies, and no zeros in front."""
_WORDED = frozenset({None, "str", "file"})
"""Types that take a truth value as the word that stands for it; others take it as JSON has it."""
_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?"
    r"(Z|[+-][0-9]{2}(:?[0-9]{2})?)?"
)
_WORDS = {"true": True, "false": False}
_LOWER = {True: "true", False: "false"}


def to_json_value(value: Any, target: InputField | None = None, depth: int = 0) -> Any:
    """Convert a value to what JSON can hold, without loss.

    Of what is seen otherwise than it is stored, inputs of numbers, dates and truth values take what is
    stored, all others what is seen. A truth value is for an input of text the word that JSON has. Dates and
    times become ISO text (for an input of type ``date`` a date and time, also as ISO text, its day), decimals
    their digits, UUIDs and durations text.

    Raises:
        Unfit: JSON cannot hold it; or text is wanted, and what is seen cannot be told.
    """
    if isinstance(value, Displayed):
        value = _wanted(value, target)
    if isinstance(value, str):
        return iso_day(value) if target is not None and target.type == "date" else value
    if value is None or isinstance(value, int):
        as_word = isinstance(value, bool) and target is not None and target.type == "str"
        return _LOWER[bool(value)] if as_word else value
    if isinstance(value, float | Decimal):
        return _number(value)
    if isinstance(value, datetime) and target is not None and target.type == "date":
        value = value.date()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, UUID | timedelta):
        return str(value)
    return _nested(value, depth)


def _nested(value: Any, depth: int) -> Any:
    """A list or an object of what JSON can hold."""
    if depth > _DEEPEST:
        raise Unfit(f"is nested deeper than {_DEEPEST} levels")
    if isinstance(value, list | tuple):
        return [to_json_value(item, None, depth + 1) for item in value]
    if isinstance(value, Mapping):
        return {str(name): to_json_value(item, None, depth + 1) for name, item in value.items()}
    raise Unfit("holds a value of type {}, which an input cannot take", type(value).__name__)


def iso_day(text: str) -> str:
    """The day of a date and time in ISO 8601, its own whatever the zone; other text as it is."""
    moment = _MOMENT.fullmatch(text.strip())
    return moment[1] if moment else text


def takes_shown(value: Displayed, target: InputField | None) -> bool:
    """Whether what is seen of a value counts, not what is stored: for texts, titles, keys, lists of text."""
    if target is None:
        return True
    kind = target.item_type if target.type == "array" else target.type
    if isinstance(value.value, bool):
        return kind in _WORDED
    return kind not in _STORED


def _wanted(value: Displayed, target: InputField | None) -> Any:
    if not takes_shown(value, target):
        return value.value
    if value.text is None:
        raise Unfit(value.doubt or "shows what cannot be told", *value.parts)
    return value.text


def split_list(text: str) -> list[Any]:
    """Split ``a; b; c``, or the JSON text of a list, into items; other text that begins with ``[`` is one."""
    stripped = text.strip()
    if stripped.startswith("["):
        try:
            items = json.loads(stripped)
        except (ValueError, RecursionError):
            return [stripped]  # a file name or a pattern can begin so
        if isinstance(items, list):
            return items
    return [item for piece in stripped.split(";") if (item := piece.strip())]


def parse_array(value: Any, target: InputField) -> Any:
    """Convert a cell for an input of type ``array``: ``a; b; c`` becomes a list of the type of its items.

    Raises:
        Unfit: An item is not of that type.
    """
    if isinstance(value, int | float):
        value = _LOWER[value] if isinstance(value, bool) else str(value)  # as in a CSV: a list of one
    if not isinstance(value, str) or value.lstrip().startswith("["):
        return value
    return [parse_item(item, target.item_type or "") for item in split_list(value)]


def parse_item(item: Any, kind: str) -> Any:
    """An item of a list, from its text.

    Raises:
        Unfit: It is no value of the type; the text completes the sentence "column X ...".
    """
    return _ITEMS.get(kind, str)(item)


def _number(value: float | Decimal) -> Any:
    if not math.isfinite(value):
        raise Unfit("holds {}, which is no number", value)
    if isinstance(value, float):
        return value
    return format(value, "f") if abs(value.adjusted()) < _LONG_EXPONENT else str(value)


def _number_in(item: str) -> Any:
    try:
        number = json.loads(item)
    except ValueError:
        number = None
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        raise Unfit("wants numbers with ';' between them, got {}", quoted(item))
    return number


def _word_in(item: str) -> bool:
    word = _WORDS.get(item.lower())
    if word is None:
        raise Unfit("wants true or false with ';' between them, got {}", quoted(item))
    return word


_ITEMS: Mapping[str, Callable[[str], Any]] = {"int": _number_in, "float": _number_in, "bool": _word_in}
