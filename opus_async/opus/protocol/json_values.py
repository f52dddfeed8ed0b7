"""Converts any Python value to plain JSON, or says where in it something is none."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, time
from decimal import Decimal
from enum import Enum
from numbers import Integral, Real
from typing import Any, SupportsFloat, cast
from uuid import UUID

from opus_async.input_problems import Unfit
from opus_async.wire.excerpts import excerpt
from opus_async.wire.requests import place, sendable

LARGEST_SAFE_INT = 2**53
"""Beyond it, numbers in JavaScript and in every double skip integers: an id would arrive as another one."""

MAX_DEPTH = 100
"""Deeper values are a mistake or hold themselves; parsers give up not much later."""


def to_jsonable(value: Any, path: str = "", depth: int = 0, *, exact_ints: bool = False) -> Any:
    """Convert a value to plain JSON; dates, UUIDs, paths, decimals, Enum members as they are written.

    Args:
        value: Anything; mappings, dataclasses and pydantic models become objects, lists and tuples arrays.
        path: Where it stands, for the message: ``.client.ids[3]``.
        depth: How deep it stands.
        exact_ints: Whether integers beyond ``LARGEST_SAFE_INT`` may stay. True only where the result becomes
            text, in which every digit survives.

    Raises:
        Unfit: Something in it is no JSON (NaN, a set, bytes, an open file ...); the text has its path.
    """
    if depth > MAX_DEPTH:
        raise Unfit(f"is nested deeper than {MAX_DEPTH} levels, or holds itself")
    if isinstance(value, Enum):
        return to_jsonable(value.value, path, depth + 1, exact_ints=exact_ints)
    if isinstance(value, str):
        return sendable(value, path)
    if isinstance(value, int | float):
        return _scalar(value, path, exact_ints=exact_ints)
    if isinstance(value, list | tuple):
        return [
            to_jsonable(item, f"{path}[{position}]", depth + 1, exact_ints=exact_ints)
            for position, item in enumerate(value)
        ]
    entries = entries_of(value)
    if entries is not None:
        return {
            _key(key, path): to_jsonable(item, f"{path}.{key}", depth + 1, exact_ints=exact_ints)
            for key, item in entries.items()
        }
    return _scalar(value, path, exact_ints=exact_ints)


def entries_of(value: Any) -> Mapping[Any, Any] | None:
    """The entries of a mapping, a dataclass or a pydantic model; None for everything else."""
    if isinstance(value, Mapping):
        return value
    if callable(dump := getattr(type(value), "model_dump", None)):  # a pydantic model
        return cast("Mapping[Any, Any]", dump(value))
    if is_dataclass(value) and not isinstance(value, type):
        return {entry.name: getattr(value, entry.name) for entry in fields(value)}
    return None


def safe_int(value: int, path: str = "") -> int:
    """Return the integer if no digit of it is lost on the way.

    Raises:
        Unfit: It is beyond ``LARGEST_SAFE_INT``.
    """
    if abs(value) > LARGEST_SAFE_INT:
        raise Unfit(
            "holds an integer beyond 2^53{}, whose last digits would be lost on the way",
            place(path),
            fix="send it as text, through an input of type str",
        )
    return value


def iso_date(value: date | time) -> str:
    """Write a date, a datetime or a time in ISO 8601.

    Raises:
        Unfit: It is a "not a time" that passes for a datetime, as in pandas.
    """
    text = value.isoformat()
    if not text[:1].isdigit():
        raise Unfit("wants a date, got {}", text)
    return text


def preview(value: Any) -> str:
    """Describe a value in a message: short, and of containers the type alone."""
    if isinstance(value, str):
        return f"'{excerpt(value, 60)}'"
    if isinstance(value, float | Decimal | bool) or (isinstance(value, int) and abs(value) <= 10**30):
        return f"{value} ({type(value).__name__})"
    return f"a value of type {type(value).__name__}"


def _scalar(value: Any, path: str, *, exact_ints: bool) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Real | Decimal):
        return _number(value, path, exact_ints=exact_ints)
    if isinstance(value, date | time):
        return iso_date(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, os.PathLike) and isinstance(name := os.fspath(value), str):
        return sendable(name, path)
    raise Unfit("holds {}, which JSON cannot say", f"{preview(value)}{place(path)}")


def _number(value: Real | Decimal, path: str, *, exact_ints: bool) -> float | int:
    if isinstance(value, Integral):
        return int(value) if exact_ints else safe_int(int(value), path)
    number = to_float(value)
    if not math.isfinite(number):
        raise Unfit("holds {}, which JSON cannot say", f"{preview(value)}{place(path)}")
    return number


def to_float(value: SupportsFloat) -> float:
    """The nearest float; infinity for what none holds, NaN for what is no number."""
    try:
        return float(value)
    except OverflowError:
        return math.inf
    except ValueError:  # a signalling NaN
        return math.nan


def _key(key: Any, path: str) -> str:
    if isinstance(key, Enum):
        key = key.value
    if not isinstance(key, str):
        raise Unfit("holds a key that is no text{}: {}", place(path), preview(key))
    return sendable(key, path)
