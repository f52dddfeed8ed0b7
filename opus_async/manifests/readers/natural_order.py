"""Sorts paths as a person would: ``page 2`` before ``page 10``."""

from __future__ import annotations

import re

_DIGITS = re.compile(r"[0-9]+")


def in_order(names: set[str]) -> list[str]:
    """Sort paths: numbers by their value, letters whatever their case, folder by folder."""
    ordered = sorted(names)
    ordered.sort(key=_natural)
    return ordered


def _natural(path: str) -> str:
    """The sort key of a path."""
    spelled = _DIGITS.sub(_number, path.casefold())
    return spelled.replace("/", "\0")


def _number(digits: re.Match[str]) -> str:
    """Digits behind their number: of two such texts the smaller value comes first."""
    value = digits[0].lstrip("0")
    return f"{len(value):03}{value}"
