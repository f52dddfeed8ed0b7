"""Finds the name that a misspelt one was meant to be."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Awaitable, Callable, Iterable
from difflib import get_close_matches
from typing import Any, ParamSpec, TypeVar, cast

LIKELY = 0.6
"""The least similarity, 0 to 1, of a misspelt name to the right one."""

GivenT = ParamSpec("GivenT")
ReturnT = TypeVar("ReturnT")

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


def knows_its_names(
    raised: Callable[[str], Exception],
) -> Callable[[Callable[GivenT, ReturnT]], Callable[GivenT, ReturnT]]:
    """Decorate a function so that a misspelt keyword argument is answered with the nearest name.

    Python's own ``TypeError`` names the method and, before 3.13, no name that was meant.

    Args:
        raised: Makes the error of a sentence.
    """

    def decorate(function: Callable[GivenT, ReturnT]) -> Callable[GivenT, ReturnT]:
        known = tuple(
            name
            for name, parameter in inspect.signature(function).parameters.items()
            if parameter.kind in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY} and name != "self"
        )
        what = function.__qualname__.removesuffix(".__init__")

        def check(options: Iterable[str]) -> None:
            for name in options:
                if name not in known:
                    raise raised(no_such(f"{what}(...)", name, known))

        @functools.wraps(function)
        def call(*arguments: GivenT.args, **options: GivenT.kwargs) -> ReturnT:
            check(options)
            return function(*arguments, **options)

        @functools.wraps(function)
        async def call_later(*arguments: GivenT.args, **options: GivenT.kwargs) -> Any:
            check(options)
            return await cast("Awaitable[Any]", function(*arguments, **options))

        if inspect.iscoroutinefunction(function):  # whoever asks must be told that this one is, too
            return cast("Callable[GivenT, ReturnT]", call_later)
        return call

    return decorate


def _plain(name: Any) -> str:
    return _SPACES.sub(" ", name.strip().casefold())
