"""Turns any value into plain JSON, whatever it is: for what is written down, never for what is sent.

Nothing here raises: a value that JSON has no word for becomes a text. What is sent to a platform is checked
in ``opus/protocol/json_values.py`` instead, where a wrong value is an error.
"""

from __future__ import annotations

import base64
import math
import os
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from datetime import date, time, timedelta
from enum import Enum
from numbers import Integral, Real
from typing import Any

MAX_DEPTH = 100
"""Deeper values hold themselves, or no reader could follow them."""
_TOO_DEEP = "..."


def plain(value: Any) -> Any:
    """The value as dict, list, str, int, float, bool and None: ``json.loads(json.dumps(it)) == it``.

    Members of an Enum become their values; dates, times, paths, UUIDs and decimals texts; bytes base64;
    mappings, dataclasses and pydantic models objects; sets lists; a number that is not finite None; anything
    else its ``str()``. Of a dataclass the fields that take part in no comparison, which repeat what others
    say, are left out.
    """
    return _plain(value, 0)


def _plain(value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        return _TOO_DEEP
    if isinstance(value, Enum):
        return _plain(value.value, depth + 1)
    entries = _entries(value)
    if entries is not None:
        return {_key(key): _plain(item, depth + 1) for key, item in entries.items()}
    if isinstance(value, list | tuple | AbstractSet):
        return [_plain(item, depth + 1) for item in value]
    return _scalar(value)


def _entries(value: Any) -> Mapping[Any, Any] | None:
    if isinstance(value, Mapping):
        return value
    if isinstance(value, type):
        return None
    if is_dataclass(value):
        return {each.name: getattr(value, each.name) for each in fields(value) if each.compare}
    if callable(dump := getattr(value, "model_dump", None)):  # a pydantic model
        found = dump()
        return found if isinstance(found, Mapping) else None
    return None


def _scalar(value: Any) -> Any:  # noqa: PLR0911 - a table
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        number = float(value)
        return number if math.isfinite(number) else None
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    return str(value)


def _key(key: Any) -> str:
    found = _plain(key, 0)
    return found if isinstance(found, str) else str(found)
