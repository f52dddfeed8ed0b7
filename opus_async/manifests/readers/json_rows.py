"""Reads the JSON text of one row: its cells, those that cannot be read, and what is wrong with the text."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from opus_async.manifests.advised import Advised, placed
from opus_async.manifests.model import Unreadable
from opus_async.manifests.readers.raw_rows import RawRow

DEEPEST = 200
"""Levels of nested objects and lists: deeper ones would exceed the recursion limit elsewhere."""

_OURS = "_opus"
"""The field of a line of ``failures.jsonl`` that tells how the row ended."""
_EXACT = 2**53
"""Up to here a double holds every whole number."""
_SHOWN = 40
_PYTHONS_WORDS = ("True", "False", "None", "'")


class _Refused(ValueError):
    """JSON that is not accepted; the message is for the user.

    Attributes:
        message: What is wrong, and the fix.
        group: The message without what differs from row to row.
    """

    def __init__(self, message: str, group: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.group = group or message


class _Bad(NamedTuple):
    """Stands for a value that is not accepted."""

    why: _Refused


class _Repeating(dict[str, Any]):
    """Stands for an object with a field that comes twice.

    Attributes:
        twice: The names of such fields.
    """

    twice: frozenset[str] = frozenset()


def json_row(text: str, where: str) -> RawRow:
    """The row in the JSON text of an object; fields that are null are left out.

    A line of ``failures.jsonl`` has null where the cell could not be read in the first place: that is no
    empty cell, and cannot be read here either.
    """
    try:
        fields, all_accepted = _object(text)
        cells, unreadable = _accepted(fields) if all_accepted else _cells(fields)
        past = _past(cells)
    except (ValueError, RecursionError) as error:
        return RawRow(where, {}, (_whole(text, error),))
    if past is not None:
        lost = [name for name, value in fields.items() if value is None]
        unreadable += tuple(Unreadable(problem=_lost(name), column=name, group=_lost("")) for name in lost)
    return RawRow(where, cells, unreadable, past)


def _object(text: str) -> tuple[dict[str, Any], bool]:
    """The object in a text, with :class:`_Bad` for what is not accepted; and whether nothing of it can be."""
    all_accepted = "\\u" not in text  # half a character can be written like this alone
    try:
        value = _decoder.decode(text)
    except json.JSONDecodeError:
        raise
    except ValueError:
        value = _tolerant.decode(text)
        all_accepted = False
    if text.count("{") + text.count("[") > DEEPEST and _is_deep(value):
        raise RecursionError
    if not isinstance(value, dict):
        raise _Refused(
            Advised(
                f"{text[:_SHOWN]!r} is no JSON object", 'each line holds one, such as {"Input": "value"}'
            ),
            "no JSON object",
        )
    if "" in value:
        raise _Refused(Advised("a field has an empty name", "give it the name of an input"))
    return value, all_accepted


def _accepted(fields: dict[str, Any]) -> tuple[dict[str, Any], tuple[Unreadable, ...]]:
    """The values that are not null, of which all can be read."""
    return {name: value for name, value in fields.items() if value is not None}, ()


def _cells(fields: dict[str, Any]) -> tuple[dict[str, Any], tuple[Unreadable, ...]]:
    """The values that are not null, and which of them cannot be read."""
    cells: dict[str, Any] = {}
    unreadable: list[Unreadable] = []
    twice = fields.twice if isinstance(fields, _Repeating) else ()
    for name, value in fields.items():
        why = _twice(name) if name in twice else next(_refusals(value), None)
        if why is not None:
            unreadable.append(
                Unreadable(problem=placed(f"field {name!r}", why.message), column=name, group=why.group)
            )
        elif value is not None:
            cells[name] = value
    return cells, tuple(unreadable)


def _past(cells: dict[str, Any]) -> dict[str, Any] | None:
    """Remove from the cells what an earlier batch wrote of the row, and return it."""
    past = cells.pop(_OURS, None)
    if past is not None and not isinstance(past, dict):
        raise _Refused(
            Advised(f"{_OURS!r} is reserved for what a batch writes into failures.jsonl", "rename the field")
        )
    return past


def _refusals(value: Any) -> Iterator[_Refused]:
    """What is not accepted of a value, at any depth."""
    if isinstance(value, str):
        if not value.isascii() and _has_half_characters(value):
            yield _Refused(
                Advised("half of a surrogate pair (\\ud800 to \\udfff) is no character", "write both halves")
            )
    elif isinstance(value, _Bad):
        yield value.why
    elif isinstance(value, list):
        for item in value:
            yield from _refusals(item)
    elif isinstance(value, Mapping):
        if isinstance(value, _Repeating):
            yield _twice(min(value.twice))
        for name, item in value.items():
            yield from _refusals(name)
            yield from _refusals(item)


def _has_half_characters(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _twice(name: str) -> _Refused:
    return _Refused(
        Advised(f"the field {name!r} stands there twice", "take one out: which value counts cannot be told"),
        "a field that stands there twice",
    )


def _lost(name: str) -> str:
    subject = f"field {name!r}: its cell" if name else "a cell"
    return Advised(
        f"{subject} could not be read in the manifest that this line comes from", "fill it in, or take it out"
    )


def _is_deep(value: Any) -> bool:
    """Whether lists and objects are nested more than :data:`DEEPEST` levels deep."""
    level = [value]
    for _ in range(DEEPEST):
        level = [
            part
            for one in level
            for part in (one.values() if isinstance(one, dict) else one if isinstance(one, list) else ())
            if isinstance(part, dict | list)
        ]
        if not level:
            return False
    return True


# Two decoders: one that fails at the first value that is not accepted, and a slower one that goes on


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise _Refused("a field that stands there twice")
    return fields


def _finite(text: str) -> float:
    number = float(text)
    if (why := _wrong_number(text, number)) is not None:
        raise why
    return number


def _no_number(name: str) -> float:
    raise _no_json(name)


def _repeating(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = _Repeating(pairs)
    if len(fields) == len(pairs):
        return dict(fields)
    names = [name for name, _ in pairs]
    fields.twice = frozenset(name for name in fields if names.count(name) > 1)
    return fields


def _finite_or_bad(text: str) -> float | _Bad:
    number = float(text)
    why = _wrong_number(text, number)
    return number if why is None else _Bad(why)


def _bad_number(name: str) -> _Bad:
    return _Bad(_no_json(name))


def _int_or_bad(text: str) -> int | _Bad:
    try:
        return int(text)
    except ValueError:  # its limit
        return _Bad(_Refused(Advised("an integer of thousands of digits", "write it as text")))


def _wrong_number(text: str, number: float) -> _Refused | None:
    """Why a number with a point or an exponent is not accepted; None where it is."""
    if math.isinf(number):
        return _Refused(
            Advised(f"{text[:_SHOWN]} is too large a number", "write it as text"), "too large a number"
        )
    if abs(number) >= _EXACT and Decimal(text) != Decimal(repr(number)):
        return _Refused(
            Advised(f"{text[:_SHOWN]} has more digits than a number keeps", "write it as text"),
            "too many digits",
        )
    return None


def _no_json(name: str) -> _Refused:
    return _Refused(Advised(f"{name} is no JSON", "leave the field out, or write null"))


_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_number)
_tolerant = json.JSONDecoder(
    object_pairs_hook=_repeating,
    parse_float=_finite_or_bad,
    parse_int=_int_or_bad,
    parse_constant=_bad_number,
)


def _whole(text: str, error: Exception) -> Unreadable:
    """What is wrong with a text that is no row, and the fix."""
    if isinstance(error, _Refused):
        return Unreadable(problem=error.message, group=error.group)
    if not isinstance(error, json.JSONDecodeError):
        return Unreadable(problem="objects and lists are nested too deep to be read")
    behind = text[error.pos :].lstrip()
    known = _known_slip(text, behind, error)
    if known is not None:
        return Unreadable(problem=known)
    python = (
        " (Python's own notation is no JSON: write it with json.dumps)"
        if behind.startswith(_PYTHONS_WORDS)
        else ""
    )
    return Unreadable(
        problem=f"no JSON at column {error.colno}: {error.msg}{python}", group=f"no JSON: {error.msg}"
    )


def _known_slip(text: str, behind: str, error: json.JSONDecodeError) -> str | None:
    """What is wrong, of slips that happen, and the fix; None for another.

    Args:
        text: What cannot be read.
        behind: It from the place where it goes wrong.
        error: Where, and what the decoder says.
    """
    if text in {"{", "["} or (text.startswith("{") and error.pos >= len(text)):
        return Advised(
            "the object does not end on this line", "each line holds a whole one, without line breaks"
        )
    if text.startswith(",") or (error.msg == "Extra data" and behind == ","):
        return Advised(
            "a comma stands before or behind the object",
            "take it out of each line; or put all of them into one array, [ in front and ] at the end",
        )
    if error.msg == "Extra data" and behind.lstrip(", ").startswith("{"):
        if "\r" in text:
            return Advised(
                "a second object stands on this line, behind a line end that is a CR alone, as on old Macs",
                "save the file with line ends LF or CRLF",
            )
        return Advised(
            "a second object stands on this line", "each line holds one, so begin a new line before it"
        )
    return None
