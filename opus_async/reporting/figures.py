"""Figures for pages: as in :mod:`opus_async.text`, with no-break spaces between number and unit."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from opus_async import text

_Arguments = ParamSpec("_Arguments")
_NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"
_AFTER_NUMBER = re.compile(r"(?<=\d) ")


def _unbroken(told: Callable[_Arguments, str]) -> Callable[_Arguments, str]:
    """The same function with no-break spaces in its result."""

    @wraps(told)
    def figure(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> str:
        return told(*args, **kwargs).replace(" ", _NO_BREAK_SPACE)

    return figure


def unbroken(sentence: str) -> str:
    """A sentence whose numbers stay on one line with the words that they count."""
    return _AFTER_NUMBER.sub(_NO_BREAK_SPACE, sentence)


at_least = _unbroken(text.at_least)
day = _unbroken(text.day)
duration = _unbroken(text.duration)
share = _unbroken(text.share)
size = _unbroken(text.size)
