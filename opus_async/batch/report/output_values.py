"""What the outputs of a batch said: how many rows gave which value, where there are few different ones."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FEW = 12
"""Different values of an output, at most: more say nothing when they are counted."""
_LONG = 60
"""Characters from which on a text is prose and no word of a list."""
_MOST_NAMES = 200
"""Outputs that are counted at the same time, whatever names rows give to theirs."""
_REPEATED = 2
"""Rows to a value, on average: an output that is different for each row is none to be counted."""

_Word = str | tuple[type, Any]
"""A text, or a value that is none with its type: true is no 1."""
_YES_AND_NO = {(bool, True), (bool, False)}


@dataclass(frozen=True, slots=True)
class OutputValues:
    """The values of an output, counted.

    Attributes:
        name: Its display name.
        values: Value as text, and rows that gave it; the most frequent first. An empty text is an output that
            is empty or null.
        rows: Rows that gave any.
    """

    name: str
    values: Sequence[tuple[str, int]]
    rows: int


class OutputCounter:
    """Counts the values of outputs, row by row; its memory does not follow the number of rows."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[_Word, int] | None] = {}

    def add(self, outputs: Mapping[str, Any]) -> None:
        """Count the outputs of one more row."""
        for name, value in outputs.items():
            counts = self._counts.get(name)
            if counts is None:
                if name in self._counts or len(self._counts) >= _MOST_NAMES:
                    continue
                counts = self._counts[name] = {}
            if type(value) is str and value in counts:  # a word that is known, as most are
                counts[value] += 1
                continue
            word = _word(value)
            if word is not None:
                counts[word] = counts.get(word, 0) + 1
            if word is None or len(counts) > FEW:
                self._counts[name] = None  # from now on it is passed over

    def found(self) -> list[OutputValues]:
        """Outputs with few values, in the order in which they appeared."""
        return [
            OutputValues(name, [(_text(word), rows) for word, rows in _most_common(counts)], total)
            for name, counts in self._counts.items()
            if counts and (total := sum(counts.values())) >= _REPEATED * _different(counts)
        ]


def count_values(results: Iterable[Mapping[str, Any]]) -> list[OutputValues]:
    """Outputs with few values, of all these rows."""
    counter = OutputCounter()
    for outputs in results:
        counter.add(outputs)
    return counter.found()


def _most_common(counts: Mapping[_Word, int]) -> list[tuple[_Word, int]]:
    return sorted(counts.items(), key=lambda item: -item[1])


def _different(counts: Mapping[_Word, int]) -> int:
    """How many different values there are; yes and no always may be counted."""
    return 1 if counts.keys() <= _YES_AND_NO else len(counts)


def _word(value: Any) -> _Word | None:
    """What is counted as the same value: null says as much as an empty text.

    None for a value that cannot be one of few: a long text, a list, an object.
    """
    if isinstance(value, str):
        return value.strip() if len(value) <= _LONG else None
    if value is None:
        return ""
    return None if isinstance(value, (list, dict)) else (type(value), value)


def _text(word: _Word) -> str:
    return word if isinstance(word, str) else json.dumps(word[1])
