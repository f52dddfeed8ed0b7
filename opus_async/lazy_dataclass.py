"""``dataclass`` of the standard library, except that methods are compiled when used, not when imported.

The standard library compiles up to seven methods for each class, which takes half a millisecond. A program
that imports the client loads fifty such classes, and runs its jobs with a third of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

_COMPILED = {
    "__init__": "init",
    "__repr__": "repr",
    "__eq__": "eq",
    "__hash__": "eq",
    "__setattr__": "frozen",
    "__delattr__": "frozen",
    "__getstate__": "frozen",
    "__setstate__": "frozen",
}
"""Method -> the option by which the standard library makes it."""
_DEFAULTS = {"init": True, "repr": True, "eq": True, "frozen": False, "unsafe_hash": False}
_NONE_COMPILED = dict.fromkeys(_DEFAULTS, False)


class _CompiledWhenUsed:
    """Stands for a method of a dataclass until that is looked up for the first time.

    Args:
        owner: The dataclass.
        name: The method.
        options: Of its decorator.
    """

    def __init__(self, owner: type[Any], name: str, options: Mapping[str, bool]) -> None:
        self._owner = owner
        self._name = name
        self._options = options

    def __get__(self, instance: object, owner: type[Any] | None = None) -> Any:
        method = getattr(self._twin(), self._name)
        setattr(self._owner, self._name, method)
        return method.__get__(instance, owner)

    def _twin(self) -> type[Any]:
        """A class with the same fields, for which the standard library compiles this method and no other."""
        made, fields = self._owner, self._owner.__dataclass_fields__
        body = {
            "__module__": made.__module__,
            "__doc__": made.__doc__,  # else one is made of its signature, which takes long
            "__annotations__": {name: f.type for name, f in fields.items()},
        }
        if hasattr(made, "__post_init__"):
            body["__post_init__"] = made.__post_init__
        twin = type(made.__name__, (), body | fields)
        twin.__qualname__ = made.__qualname__
        alone = {"init": False, "repr": False, "eq": False, _COMPILED[self._name]: True}
        return dataclasses.dataclass(**{**self._options, **alone})(twin)


def _lazily_compiled(cls: type[Any], options: Mapping[str, bool]) -> type[Any]:
    """A dataclass of whose methods none is compiled yet.

    Args:
        cls: As it stands in its module.
        options: Of its decorator.
    """
    asked = {**_DEFAULTS, **options}
    heir_of_frozen = any(
        base.__dataclass_params__.frozen for base in cls.__mro__ if hasattr(base, "__dataclass_params__")
    )
    uncompiled = {**options, **_NONE_COMPILED, "frozen": heir_of_frozen}  # as the standard library demands
    made: type[Any] = dataclasses.dataclass(**uncompiled)(cls)
    for name, option in _COMPILED.items():
        if asked[option] and vars(cls).get(name) is None:
            setattr(made, name, _CompiledWhenUsed(made, name, options))
    if asked["eq"] and not (asked["frozen"] or asked["unsafe_hash"]) and vars(cls).get("__hash__") is None:
        made.__hash__ = None  # type: ignore[assignment]  # as Python marks what has none
    if not asked["init"]:  # a base, of which nothing is made: that its heirs are frozen is enough
        asked["frozen"] = False
    for option in _DEFAULTS:
        setattr(made.__dataclass_params__, option, asked[option])
    return made


if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(**options: bool) -> Callable[[type[Any]], type[Any]]:
        """Decorate a class, with ``slots=True`` and any other options of the standard library's decorator."""
        return lambda cls: _lazily_compiled(cls, options)
