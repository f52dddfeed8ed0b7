"""Dataclasses that are made for each request: as good as frozen, and as cheap as others.

A frozen one sets each of its fields by ``object.__setattr__``, which makes it three times as expensive. Of
these the type checker sees that nobody changes them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, dataclass_transform

from opus_async.value import Value

__all__ = ["cheap_dataclass"]

ClassT = TypeVar("ClassT")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def cheap_dataclass(*, kw_only: bool = False) -> Callable[[type[ClassT]], type[ClassT]]:
    """Make a dataclass with slots that is frozen for the type checker alone.

    Args:
        kw_only: Whether its fields are given by name.
    """

    def made(cls: Any) -> type[ClassT]:
        cls.__repr__, cls.__eq__, cls.__hash__ = Value.__repr__, Value.__eq__, Value.__hash__
        with_slots: type[ClassT] = dataclass(slots=True, kw_only=kw_only, repr=False, eq=False)(cls)
        return with_slots

    return made
