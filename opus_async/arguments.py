"""Arguments of the wrong kind, answered in our words: which one, what was given, and what may be.

Python's own ``TypeError`` comes late, from inside, and names neither the argument nor its value.
"""

from __future__ import annotations

import functools
import inspect
import os
import reprlib
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from numbers import Integral, Number, Real
from types import NoneType
from typing import Any, NamedTuple, ParamSpec, TypeVar, cast
from uuid import UUID

from opus_async.errors import ConfigurationError, InvalidInputs
from opus_async.input_problems import bad_argument
from opus_async.redaction import mask_signatures
from opus_async.remote_urls import RemoteFile
from opus_async.spelling import Names, closest

GivenT = ParamSpec("GivenT")
ReturnT = TypeVar("ReturnT")

_SHOWN = reprlib.Repr()
_SHOWN.maxstring = _SHOWN.maxother = 60
_PLAIN = (str, Number, NoneType, date, timedelta, os.PathLike, UUID)
"""Values that are shown; others may hold what is nobody's business, and are told by their type."""
_BYTES = (bytes, bytearray, memoryview)


class Kind(NamedTuple):
    """What an argument may be.

    Attributes:
        wanted: In words that follow "give".
        fits: Whether a value is of this kind.
        meant: The value that a wrong one was likely meant to be; None for none.
        secret: Whether a wrong value is not shown, but its type.
    """

    wanted: str
    fits: Callable[[Any], bool]
    meant: Callable[[Any], object] = lambda _: None
    secret: bool = False


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _number_in(value: Any) -> float | None:
    """The number that a text, a Decimal or a time span holds."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bool | Real):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _price_in(value: Any) -> float | None:
    """The price in a text or a Decimal, whichever sign stands before its fraction."""
    return _number_in(value.strip().replace(",", ".") if isinstance(value, str) else value)


def number(wanted: str, fits: Callable[[Any], bool], *, whole: bool = False) -> Kind:
    """The kind of a number.

    Args:
        wanted: See :class:`Kind`.
        fits: Whether a number is in range; nan is in none that compares.
        whole: Whether it has no fraction.
    """
    is_one = _is_whole if whole else _is_number

    def meant(value: Any) -> object:
        found = _number_in(value)
        if found is not None and found == found // 1:
            found = int(found)
        return found if found is not None and is_one(found) and fits(found) else None

    return Kind(wanted, lambda value: is_one(value) and fits(value), meant)


def one_of(*choices: str) -> Kind:
    """The kind of a name out of a few."""
    return Kind(
        f"one of {', '.join(map(repr, choices))}",
        lambda value: isinstance(value, str) and value in choices,
        lambda value: closest(value, choices) if isinstance(value, str) else None,
    )


def instance(kind: type) -> Kind:
    """The kind of the objects of one class."""
    return Kind(f"{kind.__name__}(...)", lambda value: isinstance(value, kind))


def _id_meant(value: Any) -> str | None:
    if isinstance(value, UUID):
        return str(value)
    found = getattr(value, "workflow_id", None) or getattr(value, "job_id", None)
    return found if isinstance(found, str) else None


def several(wanted: str, *single: type, files: Sequence[type] = ()) -> Kind:
    """The kind of what can be iterated over, once and for good.

    Args:
        wanted: See :class:`Kind`.
        single: Types that can be iterated over, and of which a value was likely meant as a list of one.
        files: Types that can be iterated over, and that are no list either.
    """

    def fits(value: Any) -> bool:
        return isinstance(value, Iterable | AsyncIterable) and not isinstance(value, (*single, *files))

    return Kind(wanted, fits, lambda value: [value] if isinstance(value, single) else None)


COUNT = number("a whole number of 1 or more", lambda value: value >= 1, whole=True)
WHOLE = number("a whole number", lambda _: True, whole=True)
SECONDS = number("a number of seconds above 0", lambda value: value > 0)
TEXT = Kind(
    "text",
    lambda value: isinstance(value, str),
    lambda value: str(value) if _is_number(value) else _id_meant(value),
)
SECRET_TEXT = Kind("text", lambda value: isinstance(value, str), secret=True)
FLAG = Kind("True or False", lambda value: isinstance(value, int))
PRICE = Kind("a number above 0, like 0.12", _is_number, _price_in)
FUNCTION = Kind("a function", callable)
MAPPING = Kind(
    "a mapping of name to value, like {'Invoice': 'a.pdf'}",
    lambda value: isinstance(value, Mapping),
    secret=True,
)
PATH = Kind("a path", lambda value: isinstance(value, str | os.PathLike))
FILE = Kind(
    "a path, bytes, or a binary file object",
    lambda value: (
        PATH.fits(value) or isinstance(value, (*_BYTES, RemoteFile)) or callable(getattr(value, "read", None))
    ),
)
WORKFLOW_ID = Kind(
    "the 16 characters or the UUID of a workflow, or the link of its page",
    lambda value: isinstance(value, str),
    _id_meant,
)
JOB_ID = Kind(
    "the id of a job, or the link of its page",
    lambda value: isinstance(value, str) or _is_whole(value),
    _id_meant,
)
JOB_IDS = several("a list of job ids", str, bytes)
FILES = several("a list of files", str, os.PathLike, files=_BYTES)
URLS = Kind("a list of URLs", JOB_IDS.fits, secret=True)


def unfit(name: str, value: Any, kind: Kind, what: str = "") -> str:
    """What is said of a value that is not of its kind: ``Limits(api_rate=0): give a number above 0``.

    Args:
        name: Of the argument.
        value: As it was given.
        kind: What it may be.
        what: Whose argument it is; empty where that is clear.
    """
    is_shown = isinstance(value, _PLAIN) and not kind.secret
    given = f"{name}={_shown(value)}" if is_shown else f"{name} is of type {type(value).__name__}"
    meant = None if kind.secret else kind.meant(value)
    likely = "" if meant is None else f"; did you mean {_shown(meant)}?"
    return f"{f'{what}({given})' if what else given}: give {kind.wanted}{likely}"


def _shown(value: Any) -> str:
    return mask_signatures(_SHOWN.repr(value))


def checked(
    wrong: type[ConfigurationError | InvalidInputs] = InvalidInputs, /, **kinds: Kind
) -> Callable[[Callable[GivenT, ReturnT]], Callable[GivenT, ReturnT]]:
    """Decorate a function of the public surface, so that wrong arguments are answered in our words.

    It raises ConfigurationError for a name that there is not, with the one that was meant, for one that is
    missing and for too many by position.

    Args:
        wrong: What is raised for values that are not of their kind.
        kinds: Of its arguments; None is allowed where it is the default. Those left out are checked
            elsewhere.
    """

    def decorate(function: Callable[GivenT, ReturnT]) -> Callable[GivenT, ReturnT]:
        names = Names(function, ConfigurationError)

        def check(arguments: Sequence[Any], options: Mapping[str, Any]) -> None:
            given = names.given(arguments, options)
            for name, kind in kinds.items():
                if name not in given or kind.fits(given[name]):
                    continue
                if given[name] is None and name in names.may_be_none:
                    continue
                if wrong is ConfigurationError:
                    raise ConfigurationError(unfit(name, given[name], kind, names.what))
                raise InvalidInputs([bad_argument(unfit(name, given[name], kind))])

        @functools.wraps(function)
        def call(*arguments: GivenT.args, **options: GivenT.kwargs) -> ReturnT:
            check(arguments, options)
            return function(*arguments, **options)

        @functools.wraps(function)
        async def call_later(*arguments: GivenT.args, **options: GivenT.kwargs) -> Any:
            check(arguments, options)
            return await cast("Awaitable[Any]", function(*arguments, **options))

        if inspect.iscoroutinefunction(function):  # whoever asks must be told that this one is, too
            return cast("Callable[GivenT, ReturnT]", call_later)
        return call

    return decorate
