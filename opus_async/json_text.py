"""Text that holds JSON -> the value it holds: agents in a workflow write objects and lists as text.

Nothing here knows a platform. What the platform sent is never replaced: this is offered beside it.
"""

from __future__ import annotations

import json
import re
from typing import Any

_FENCE = "```"
_TAG = "json"
_HUGE_NUMBER = r"[eE]\+?[0-9]{3}|(?<![0-9])[0-9]{200}"
"""Every number beyond a double's range looks so: 199 digits with an exponent of two end before 1e299."""


def parsed(value: Any) -> Any:
    """What a text holds, if that is one JSON object or array; every other value is returned as it is.

    The JSON is the whole text, or stands in its only block between fences of three backticks or more, with
    or without the tag ``json`` and with or without prose around. A number, ``true``, ``null`` or a JSON
    string stays text: ``"0042"`` can be an id.

    Never raises, and takes time in proportion to the length of the text. What is no JSON by RFC 8259 stays
    text whole (``NaN``, a comma too many, a control character, half of a surrogate pair), and so does what a
    Python value could not hold faithfully or a caller could not safely walk through: a number beyond a
    double's range, an integer of more than 4300 digits, more than 200 levels of nesting. Shorter integers
    keep every digit. Of a key that is given twice the last value counts, as in ``json.loads``.

    Args:
        value: Anything, as the platform sent it.

    Returns:
        A dict or a list, made anew in every call; or ``value`` itself.
    """
    if not isinstance(value, str):
        return value
    for candidate in (value, _fenced(value)):
        found = _object_or_array(candidate)
        if found is not None:
            return found
    return value


def _fenced(text: str) -> str:
    """What stands between the first fence and the last; of several blocks that is no JSON any more."""
    inside = text[text.find(_FENCE) : text.rfind(_FENCE)].strip("`")
    return inside[len(_TAG) :] if inside[: len(_TAG)].lower() == _TAG else inside


def _object_or_array(text: str) -> Any:
    """The dict or the list that a text is; None if it is neither."""
    text = text.strip()
    if text[:1] + text[-1:] not in {"{}", "[]"}:
        return None
    from pydantic_core import from_json  # noqa: PLC0415 - errors import this, and need no parser

    try:
        value = from_json(text, allow_inf_nan=False)
        if re.search(_HUGE_NUMBER, text):
            json.dumps(value, allow_nan=False)  # refuses the infinity that 1e999 has become
    except (ValueError, TypeError):  # a TypeError is half a surrogate pair: no text that could be encoded
        return None
    return value
