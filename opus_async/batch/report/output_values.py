"""What the outputs of a batch said: how many rows gave which value, where there are few different ones."""

from __future__ import annotations

import json
from collections import Counter
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

_Value = tuple[type, Any]


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
        self._counts: dict[str, Counter[_Value] | None] = {}

    def add(self, outputs: Mapping[str, Any]) -> None:
        """Count the outputs of one more row."""
        for name, value in outputs.items():
            counts = self._counts.get(name)
            if counts is None:
                if name in self._counts or len(self._counts) >= _MOST_NAMES:
                    continue
                counts = self._counts[name] = Counter()
            word = _word(value)
            if word is not None:
                counts[word] += 1
            if word is None or len(counts) > FEW:
                self._counts[name] = None  # from now on it is passed over

    def found(self) -> list[OutputValues]:
        """Outputs with few values, in the order in which they appeared."""
        return [
            OutputValues(name, [(_text(value), rows) for (_, value), rows in counts.most_common()], total)
            for name, counts in self._counts.items()
            if counts and (total := counts.total()) >= _REPEATED * _different(counts)
        ]


def count_values(results: Iterable[Mapping[str, Any]]) -> list[OutputValues]:
    """Outputs with few values, of all these rows."""
    counter = OutputCounter()
    for outputs in results:
        counter.add(outputs)
    return counter.found()


def _different(counts: Counter[_Value]) -> int:
    """How many different values there are; yes and no always may be counted."""
    return 1 if all(kind is bool for kind, _ in counts) else len(counts)


def _word(value: Any) -> _Value | None:
    """What is counted as the same value: true is no 1, and null says as much as an empty text.

    None for a value that cannot be one of few: a long text, a list, an object.
    """
    if isinstance(value, str):
        return (str, value.strip()) if len(value) <= _LONG else None
    if value is None:
        return (str, "")
    return None if isinstance(value, (list, dict)) else (type(value), value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
