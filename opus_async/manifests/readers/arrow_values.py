"""Converts types and values of Arrow to what a cell can hold. The library, an extra, is an argument."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from opus_async.manifests.advised import Advised

_CODED = re.compile(r"dictionary<values=(\w+), indices=\w+, ordered=\d>")
"""How a type reads that was not so in the file: text and bytes are read as dictionaries."""
_LISTS = ("list", "large_list", "fixed_size_list", "list_view", "large_list_view")
_EXACT = 2**53
Convert = Callable[[Any], Any]
"""Converts a value of Arrow, never None; raises ValueError with a sentence for one that cannot be used."""


def plain_type(arrow: Any, kind: Any) -> Any:
    """The type to read a column as: dictionaries become their values, times those that Python can hold.

    Args:
        arrow: The module ``pyarrow``.
        kind: A data type.

    Returns:
        A data type; None for a type that no cell can hold: binary, durations, unions, extensions.
    """
    types = arrow.types
    if getattr(kind, "extension_name", None) == "arrow.json":
        return plain_type(arrow, kind.storage_type)
    if types.is_dictionary(kind):
        return plain_type(arrow, kind.value_type)
    if types.is_nested(kind):
        return _plain_nested(arrow, kind)
    if types.is_timestamp(kind):
        return arrow.timestamp("us", kind.tz)
    if types.is_time(kind):
        return arrow.time64("us")
    return _plain_scalar(arrow, kind)


def _plain_scalar(arrow: Any, kind: Any) -> Any:
    if _is(arrow.types, "string_view", kind):
        return arrow.large_string()
    return kind if _is_scalar(arrow.types, kind) else None


def _is_uuid(kind: Any) -> bool:
    return getattr(kind, "extension_name", None) == "arrow.uuid"


def _is(types: Any, name: str, kind: Any) -> bool:
    """Whether a type is one that ``pyarrow`` knows since a later version than the oldest that is taken."""
    asked = getattr(types, f"is_{name}", None)
    return asked is not None and bool(asked(kind))


def converter(arrow: Any, kind: Any, *, nested: bool = False) -> Convert | None:
    """The function that converts values of a type to a cell, or to a part of one.

    Args:
        arrow: The module ``pyarrow``.
        kind: A type that :func:`plain_type` returned.
        nested: Whether the values are inside of a list, struct or map: then they become what JSON can hold.

    Returns:
        None where the values need no conversion.
    """
    types = arrow.types
    if types.is_nested(kind):
        return _nested_converter(arrow, kind)
    if types.is_floating(kind):
        return {16: _finite_half, 32: _finite_single}.get(kind.bit_width, _finite)
    if _is_uuid(kind):
        return str
    if types.is_time(kind) or (nested and (types.is_date(kind) or types.is_timestamp(kind))):
        return _iso_text
    return _number if nested and types.is_decimal(kind) else None


def refusal(kind: Any) -> Convert:
    """The function that refuses the values of a type for which :func:`plain_type` returned None."""
    name = _CODED.sub(r"\1", str(kind))

    def refuse(_: Any) -> Any:
        raise ValueError(
            Advised(f"no input can take the type {name}", "convert it to text or numbers, or leave it out")
        )

    return refuse


def _plain_nested(arrow: Any, kind: Any) -> Any:
    types = arrow.types
    if types.is_struct(kind):
        fields = [(field.name, plain_type(arrow, field.type)) for field in kind]
        return None if any(one is None for _, one in fields) else arrow.struct(fields)
    if types.is_map(kind):
        key = plain_type(arrow, kind.key_type)
        texts = key is not None and (types.is_string(key) or types.is_large_string(key))
        item = plain_type(arrow, kind.item_type) if texts else None
        return None if item is None else arrow.map_(key, item)
    if any(_is(types, name, kind) for name in _LISTS):
        item = plain_type(arrow, kind.value_type)
        # A view is converted to a list whose offsets have another size alone: Arrow 26 damages its offsets.
        made = arrow.large_list if _is(types, "list_view", kind) else arrow.list_
        return None if item is None else made(item)
    return None


def _is_scalar(types: Any, kind: Any) -> bool:
    return bool(
        types.is_boolean(kind)
        or types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_decimal(kind)
        or types.is_date(kind)
        or types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_null(kind)
        or _is_uuid(kind)
    )


def _nested_converter(arrow: Any, kind: Any) -> Convert:
    if arrow.types.is_struct(kind):
        fields = {field.name: converter(arrow, field.type, nested=True) for field in kind}
        return lambda value: {name: _part(fields[name], held) for name, held in value.items()}
    if arrow.types.is_map(kind):
        return _map_converter(converter(arrow, kind.item_type, nested=True))
    item = converter(arrow, kind.value_type, nested=True)
    return lambda value: [_part(item, held) for held in value]


def _map_converter(item: Convert | None) -> Convert:
    def convert(value: Any) -> Any:
        held = {key: _part(item, one) for key, one in value}
        if len(held) < len(value):
            raise ValueError("a map has the same key twice: which value counts cannot be told")
        return held

    return convert


def _part(convert: Convert | None, value: Any) -> Any:
    return value if convert is None or value is None else convert(value)


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(
            Advised(f"the value is {value}, which is no number", "write null where there is none")
        )
    return value


def _finite_single(value: float) -> float:
    return _shortest(_finite(value), "f", 9)


def _finite_half(value: float) -> float:
    return _shortest(_finite(value), "e", 5)


def _shortest(value: float, stored: str, most: int) -> float:
    """The number of the fewest digits that is stored as the same one in 2 or 4 bytes: 0.1, as it was written.

    Whole numbers stay: of an id no digit is to be another one.

    Args:
        value: What is stored, as a double.
        stored: How it is stored, as :mod:`struct` names it.
        most: Digits that always tell two such numbers apart.
    """
    if value.is_integer() and abs(value) < _EXACT:
        return value
    for digits in range(1, most):
        short = float(format(value, f".{digits}g"))
        try:
            if struct.unpack(stored, struct.pack(stored, short))[0] == value:
                return short
        except OverflowError:  # rounded up beyond the largest
            continue
    return float(format(value, f".{most}g"))


def _iso_text(value: Any) -> str:
    return str(value.isoformat())


def _number(value: Decimal) -> int | float | str:
    """A decimal as a number if that loses no digit, else as text."""
    if value == value.to_integral_value():
        return int(value)
    return float(value) if Decimal(repr(float(value))) == value else str(value)
