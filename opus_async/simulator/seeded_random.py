"""Random values that are a function of the seed and of what they are about: the only source of chance here.

A draw is a pure function of what it is about (seed, whose it is, what for, the how-many-eth time), never of a
generator shared by many requests. So a run can be repeated whatever the order in which its requests arrive.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

_T = TypeVar("_T")

_SEPARATOR = "\x1f"
_MANTISSA_BITS = 53
_STEP: float = 2.0**-_MANTISSA_BITS


def _digest(parts: tuple[object, ...], size: int) -> bytes:
    return blake2b(_SEPARATOR.join(map(str, parts)).encode(), digest_size=size).digest()


def uniform(*about: object) -> float:
    """Return a number in [0, 1) that depends on `about` and on nothing else."""
    return (int.from_bytes(_digest(about, 8), "big") >> (64 - _MANTISSA_BITS)) * _STEP


def identifier(*about: object) -> str:
    """Return a UUID (version 4 in form) that depends on `about` and on nothing else."""
    return str(uuid.UUID(bytes=_digest(about, 16), version=4))


def hexadecimal(length: int, *about: object) -> str:
    """Return `length` hexadecimal digits that depend on `about` and on nothing else."""
    return _digest(about, (length + 1) // 2).hex()[:length]


def pick(choices: Sequence[_T], chance: float) -> _T:
    """Return the choice that a chance from 0 up to 1 falls on."""
    return choices[int(chance * len(choices))]
