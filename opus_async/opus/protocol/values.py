"""Converts a caller's value to the JSON value of one input, by the type in its schema; files aside.

Every refusal is an ``Unfit`` whose text completes the sentence "input X ...". What a spreadsheet or a
form gives as text is taken where it can mean only one thing.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from enum import Enum
from numbers import Integral, Real
from typing import Any
from uuid import UUID

from pydantic_core import from_json

from opus_async.input_problems import Unfit
from opus_async.opus.protocol.json_values import (
    LARGEST_SAFE_INT,
    entries_of,
    iso_date,
    preview,
    safe_int,
    to_float,
    to_jsonable,
)
from opus_async.wire.requests import sendable

_WHOLE = re.compile(r"[+-]?[0-9]{1,4000}(\.0*)?")
_DIGITS = re.compile(r"[+-]?[0-9]{1,4000}")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]{1,20},[0-9]{1,20}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_BOOLS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def coerce(kind: str, value: Any) -> Any:
    """Convert a value to what is sent for an input of this type.

    A member of an Enum counts as its value. A type that is not known takes anything that is JSON.

    Raises:
        Unfit: The value does not fit; the text says what would.
    """
    if isinstance(value, Enum):
        value = value.value
    return _BY_TYPE.get(kind, to_jsonable)(value)


def as_text(value: Any) -> str:
    """Convert to text: numbers, dates, UUIDs and paths as they are written, whole numbers without a point.

    A bool is refused: which word? So is a whole float beyond ``LARGEST_SAFE_INT``: the digits of an id that
    it may have been are lost.
    """
    if isinstance(value, str):
        return sendable(value)
    if isinstance(value, os.PathLike) and isinstance(name := os.fspath(value), str):
        return sendable(name)
    if isinstance(value, date):
        return iso_date(value)
    if isinstance(value, UUID | Integral) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, Decimal) and math.isfinite(to_float(value)):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return _float_text(value)
    raise Unfit("wants text, got {}", preview(value))


def _float_text(value: float) -> str:
    if not value.is_integer():
        return repr(float(value))
    if abs(value) > LARGEST_SAFE_INT:
        raise Unfit("wants text, and the number {} has lost digits", preview(value), fix="give it as text")
    return str(int(value))


def as_int(value: Any) -> int:
    """Convert to a whole number, from ``3``, ``3.0`` or ``"3"``, of at most ``LARGEST_SAFE_INT``."""
    whole: int | None = None
    if isinstance(value, str):
        if _WHOLE.fullmatch(digits := value.strip()):
            whole = int(digits.partition(".")[0])
    elif isinstance(value, Integral) and not isinstance(value, bool):
        whole = int(value)
    elif isinstance(value, Real | Decimal) and not isinstance(value, bool):
        number = to_float(value)
        if number.is_integer() and number == value:
            whole = int(number)
    if whole is None:
        raise Unfit("wants a whole number, got {}", preview(value))
    return safe_int(whole)


def as_float(value: Any) -> float | int:
    """Convert to a finite number, also from text like ``"0.8"``; an integer stays one. No bool.

    A number of which a double loses whole digits is refused, with or without a point.
    """
    number: float | int = math.nan
    if isinstance(value, str):
        digits = value.strip()
        if _DIGITS.fullmatch(digits):
            return as_float(int(digits))
        if _NUMBER.fullmatch(digits):
            number = float(digits)
            if math.isfinite(number) and not _held(Decimal(digits), number):
                safe_int(int(Decimal(digits)))
    elif isinstance(value, Integral) and not isinstance(value, bool):
        number = int(value)
        if not _held(number, to_float(number)):
            safe_int(number)
    elif isinstance(value, Real | Decimal) and not isinstance(value, bool):
        number = to_float(value)
    if not math.isfinite(number):
        raise Unfit("wants a finite number, got {}", preview(value), fix=_with_a_point(value))
    return number


def _held(written: int | Decimal, number: float) -> bool:
    """Whether a double has all digits of a number, as far as whole digits go."""
    return abs(Decimal(written)) <= LARGEST_SAFE_INT or Decimal(written) == Decimal(repr(number))


def as_bool(value: Any) -> bool:
    """Convert to a bool, also from the number 0 or 1, or from true/false, yes/no, 1/0 in any case."""
    if isinstance(value, bool):
        return value
    known = _BOOLS.get(value.strip().lower()) if isinstance(value, str) else None
    if known is None and isinstance(value, int | float) and value in (0, 1):
        known = bool(value)
    if known is None:
        raise Unfit("wants true or false, yes or no, 1 or 0, got {}", preview(value))
    return known


def as_date(value: Any) -> str:
    """Convert to a day as ``YYYY-MM-DD``, from a date, a datetime (its own day) or that text."""
    if isinstance(value, date):
        return iso_date(value)[:10]
    day = value.strip() if isinstance(value, str) else ""
    if not _DAY.fullmatch(day):
        raise Unfit("wants a date like 2025-11-09, got {}", preview(value))
    try:
        return date.fromisoformat(day).isoformat()
    except ValueError as error:
        raise Unfit("wants a day that exists, got {} ({})", preview(value), error) from None


def as_array(value: Any) -> list[Any]:
    """Convert to a list, from a list, a tuple or JSON text; its items are any JSON."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = _parsed(value)
    if not isinstance(value, list | tuple):
        raise Unfit("wants a list, or the JSON text of one, got {}", preview(value))
    items: list[Any] = to_jsonable(value)
    return items


def as_object(value: Any) -> dict[str, Any]:
    """Convert to an object, from a mapping, a dataclass, a pydantic model or JSON text."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        value = _parsed(value)
    if entries_of(value) is None:
        raise Unfit("wants a mapping, or the JSON text of an object, got {}", preview(value))
    entries: dict[str, Any] = to_jsonable(value)
    return entries


def as_json_text(value: Any) -> str:
    """Convert to text that holds JSON: such text unchanged, anything else serialised once."""
    if isinstance(value, str):
        _parsed(value)
        return sendable(value)
    return json.dumps(to_jsonable(value, exact_ints=True), ensure_ascii=False, allow_nan=False)


def _with_a_point(value: Any) -> str | None:
    """What to write instead of a number with a decimal comma; None for anything else."""
    if isinstance(value, str) and _DECIMAL_COMMA.fullmatch(value.strip()):
        return f"write {value.strip().replace(',', '.')}"
    return None


def _parsed(text: str) -> Any:
    try:
        return from_json(sendable(text), allow_inf_nan=False)
    except ValueError as error:
        raise Unfit("wants valid JSON, got {} ({})", preview(text), error) from None


_BY_TYPE: Mapping[str, Callable[[Any], Any]] = {
    "str": as_text,
    "int": as_int,
    "float": as_float,
    "bool": as_bool,
    "date": as_date,
    "array": as_array,
    "object": as_object,
    "json_string": as_json_text,
}
