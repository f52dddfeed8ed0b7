"""The base of values that the client loads: representation and comparison, written once for all of them.

``dataclass`` would compile them for each class, which is a third of what defining one takes.
"""

from __future__ import annotations

from dataclasses import Field, fields
from typing import Any, ClassVar

__all__ = ["Value"]


class Value:
    """A dataclass made with ``repr=False, eq=False``, which is shown and compared as any other is."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]  # of each dataclass; fields() asks for it

    def __repr__(self) -> str:
        told = (f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)
        return f"{type(self).__qualname__}({', '.join(told)})"

    def __eq__(self, other: object) -> bool:
        return _compared(self) == _compared(other) if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        hashed = (each for each in fields(self) if (each.compare if each.hash is None else each.hash))
        return hash(tuple(getattr(self, each.name) for each in hashed))


def _compared(value: Any) -> tuple[Any, ...]:
    return tuple(getattr(value, each.name) for each in fields(value) if each.compare)
