"""Converts types and values of Arrow to what a cell can hold. The library, an extra, is an argument."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

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
    if types.is_dictionary(kind):
        return plain_type(arrow, kind.value_type)
    if types.is_nested(kind):
        return _plain_nested(arrow, kind)
    if types.is_timestamp(kind):
        return arrow.timestamp("us", kind.tz)
    if types.is_time(kind):
        return arrow.time64("us")
    return kind if _is_scalar(types, kind) else None


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
        return _finite
    if types.is_time(kind) or (nested and (types.is_date(kind) or types.is_timestamp(kind))):
        return _iso_text
    return _number if nested and types.is_decimal(kind) else None


def _plain_nested(arrow: Any, kind: Any) -> Any:
    types = arrow.types
    if types.is_struct(kind):
        fields = [(field.name, plain_type(arrow, field.type)) for field in kind]
        return None if any(one is None for _, one in fields) else arrow.struct(fields)
    if types.is_map(kind):
        key = plain_type(arrow, kind.key_type)
        item = plain_type(arrow, kind.item_type) if key is not None and types.is_string(key) else None
        return None if item is None else arrow.map_(key, item)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        item = plain_type(arrow, kind.value_type)
        return None if item is None else arrow.list_(item)
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
        raise ValueError(f"the value is {value}, which is no number: write null where there is none")
    return value


def _iso_text(value: Any) -> str:
    return str(value.isoformat())


def _number(value: Decimal) -> int | float | str:
    """A decimal as a number if that loses no digit, else as text."""
    if value == value.to_integral_value():
        return int(value)
    return float(value) if Decimal(repr(float(value))) == value else str(value)
