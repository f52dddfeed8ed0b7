"""Finds the name that a misspelt one was meant to be, of settings, arguments and whatever has names."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar

LIKELY = 0.6
"""The least similarity, 0 to 1, of a misspelt name to the right one."""

KindT = TypeVar("KindT")

_SELF = "self"
_SPACES = re.compile(r"[\s_-]+")


def closest(name: str, known: Iterable[str], likeness: float = LIKELY) -> str | None:
    """The known name that is most like a name; case and kinds of space do not count.

    Args:
        name: As it was written.
        known: The names that it may mean.
        likeness: The least similarity, 0 to 1.

    Returns:
        None when none is similar enough.
    """
    from difflib import get_close_matches  # noqa: PLC0415 - most names are spelt rightly

    spellings = {_plain(spelling): spelling for spelling in known}
    found = get_close_matches(_plain(name), spellings, n=1, cutoff=likeness)
    return spellings[found[0]] if found else None


def no_such(what: str, name: str, known: Iterable[str]) -> str:
    """What is said of a name that is none: ``Limits has no 'max_inflight': did you mean 'max_in_flight'?``.

    Args:
        what: Whose name it is.
        name: As it was written.
        known: The names that there are.
    """
    names = tuple(known)
    meant = closest(name, names)
    if meant is not None:
        return f"{what} has no {name!r}: did you mean {meant!r}?"
    return f"{what} has no {name!r}; it has {', '.join(names)}"


class Names:
    """The names of a function's arguments: answers calls that do not fit them in our words.

    The signature is read at the first call: most functions of a client are never called.

    Args:
        function: The function; an argument called ``self`` is not told of.
        raised: Makes the error of a sentence.

    Attributes:
        what: The function's own name.
    """

    def __init__(self, function: Callable[..., Any], raised: Callable[[str], Exception]) -> None:
        self.what = function.__qualname__.removesuffix(".__init__")
        self._function = function
        self._raised = raised

    @cached_property
    def may_be_none(self) -> frozenset[str]:
        """Arguments whose default is None."""
        return frozenset(each.name for each in self._parameters if each.default is None)

    @cached_property
    def _parameters(self) -> Sequence[inspect.Parameter]:
        return tuple(inspect.signature(self._function).parameters.values())

    @cached_property
    def _by_position(self) -> Sequence[str]:
        return [each.name for each in self._parameters if each.kind is each.POSITIONAL_OR_KEYWORD]

    @cached_property
    def _names(self) -> Sequence[str]:
        kinds = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
        return [each.name for each in self._parameters if each.kind in kinds and each.name != _SELF]

    @cached_property
    def _required(self) -> frozenset[str]:
        without = {each.name for each in self._parameters if each.default is each.empty}
        return frozenset(without.intersection(self._names))

    @cached_property
    def _is_open(self) -> bool:
        return any(each.kind is each.VAR_KEYWORD for each in self._parameters)

    def given(self, arguments: Sequence[Any], options: Mapping[str, Any]) -> dict[str, Any]:
        """Name -> value of the arguments of a call.

        Raises what was given for that, where a name is none, one is missing, or too many have no name.
        """
        for name in options:
            if name not in self._names and not self._is_open:
                raise self._raised(no_such(f"{self.what}(...)", name, self._names))
        if len(arguments) > len(self._by_position):
            free = [name for name in self._names if name not in self._by_position and name not in options]
            fix = f"give it by name, like {free[0]}=..." if free else "take it out"
            raise self._raised(
                f"{self.what}(...) was given {len(arguments) - len(self._by_position)} more without a name "
                f"than {_listed(self._by_position)}: {fix}"
            )
        given = {**dict(zip(self._by_position, arguments, strict=False)), **options}
        if missing := [name for name in self._names if name in self._required and name not in given]:
            raise self._raised(f"{self.what}(...) needs {_listed(missing)}")
        return given


def with_known_names(kind: type[KindT]) -> type[KindT]:
    """Decorate a class of values, so that it answers a call that does not fit with the names that it knows.

    It raises TypeError, as any class does: errors of ours are above the values that they tell of.
    """
    names, init = Names(kind.__init__, TypeError), kind.__init__

    @functools.wraps(init)
    def checked(*arguments: Any, **options: Any) -> None:
        try:
            init(*arguments, **options)
        except TypeError:
            names.given(arguments, options)  # looked at where a call has failed: most fit
            raise

    kind.__init__ = checked  # type: ignore[method-assign]
    return kind


def _listed(names: Sequence[str]) -> str:
    return ", ".join(name for name in names if name != _SELF) or "nothing"


def _plain(name: Any) -> str:
    return _SPACES.sub(" ", name.strip().casefold())
