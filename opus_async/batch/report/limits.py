"""What limited a batch, told once for all samples that differ in numbers only."""

from __future__ import annotations

import re
from collections.abc import Mapping

_ONE_ROW = re.compile(r"\bthe last row\b|\b1 row waits\b")
_AS_MANY = {"the last row": "the last 1 rows", "1 row waits": "1 rows wait"}
_NUMBER = re.compile(r"(?<![\w.:-])\d[\d,]*(?:\.\d+)?(?![\w:-]|\.\d)")
"""Numbers that stand for themselves; not those in addresses, ports and names."""


def merged(counts: Mapping[str, int]) -> dict[str, int]:
    """Words -> how many samples say so, the most frequent first.

    Of words that differ in numbers only, each number that differs is given as a range: ``the last 2-5 rows``.

    Args:
        counts: The same, with all words as they were said.
    """
    alike: dict[str, dict[str, int]] = {}
    for words, count in counts.items():
        alike.setdefault(_NUMBER.sub("", _in_plural(words)), {})[words] = count
    found = {_as_one(list(same)): sum(same.values()) for same in alike.values()}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _in_plural(words: str) -> str:
    return _ONE_ROW.sub(lambda one: _AS_MANY[one[0]], words)


def _as_one(alike: list[str]) -> str:
    if len(alike) == 1:
        return alike[0]
    plural = [_in_plural(words) for words in alike]
    ranges = [_range(numbers) for numbers in zip(*map(_NUMBER.findall, plural), strict=True)]
    return _NUMBER.sub(lambda _: ranges.pop(0), plural[0])


def _range(numbers: tuple[str, ...]) -> str:
    ordered = sorted(numbers, key=lambda number: float(number.replace(",", "")))
    return ordered[0] if ordered[0] == ordered[-1] else f"{ordered[0]}-{ordered[-1]}"
