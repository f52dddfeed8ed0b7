"""JSON Lines: one JSON object on each line."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from opus_async.errors import ManifestError
from opus_async.manifests.model import Record
from opus_async.manifests.readers.encoding import (
    decoded,
    decoded_head,
    given_encoding,
    marked_encoding,
    undecodable,
)
from opus_async.manifests.readers.file_type import refuse_other_content
from opus_async.manifests.readers.row_errors import RowErrors
from opus_async.manifests.readers.source_file import Source
from opus_async.manifests.readers.text_lines import RowLines

LONGEST_LINE = 16 << 20
"""Characters of a line at most. Its values take up to 28 times as much memory, when all are empty lists."""
DEEPEST = 200
"""Levels of nested objects and lists: deeper ones would exceed the recursion limit elsewhere."""

_EXACT = 2**53
"""Up to here a double holds every whole number."""
_OURS = "_opus"
"""The field of a line of ``failures.jsonl`` that tells how the row ended."""
_TO_LINES = "python -c 'import json,sys; [print(json.dumps(row)) for row in json.load(sys.stdin)]'"


class JsonLinesManifest:
    """A manifest in JSON Lines; see :class:`opus_async.manifests.Manifest`.

    Args:
        path: The file, absolute.
        encoding: The encoding; None for that of the byte-order mark, else UTF-8.

    Raises:
        ManifestError: It does not begin with an object.
    """

    kind = "jsonl"

    def __init__(self, path: Path, *, encoding: str | None = None) -> None:
        self.path = path
        self.base = path.parent
        self.columns: tuple[str, ...] | None = None
        self.warnings: list[str] = []
        self._source = Source(path)
        head = self._source.head()
        refuse_other_content(path, head, "text")
        self._encoding = given_encoding(encoding, head) if encoding else marked_encoding(head) or "utf-8"
        self._refuse_other_text(head)
        lines = max(1, head.count(b"\n"))
        self._rows = round(lines * self._source.size / len(head))

    def records(self) -> Iterator[Record]:
        """Read each line that is not blank."""
        problems = RowErrors(self.path)
        with decoded(self._source, self._encoding, "\n") as text:
            yield from self._records(text, problems)
        problems.raise_if_any()

    def stamp(self) -> str:
        """The stamp of the file."""
        return self._source.stamp()

    def estimated_rows(self) -> int:
        """Estimate by the lines of the first part."""
        return self._rows

    def _refuse_other_text(self, head: bytes) -> None:
        """Refuse a file that does not begin with an object, with the fix for what it seems to be."""
        try:
            text = decoded_head(self._source, head, self._encoding)
        except UnicodeDecodeError as error:
            raise undecodable(self._source, self._encoding) from error
        begins = text.lstrip("\ufeff \t\r\n")[:1]
        if not begins:
            raise ManifestError(f"{self.path} is empty: it has one JSON object on a line for each job")
        if begins == "[":
            lines = self.path.with_suffix(".jsonl").name
            raise ManifestError(
                f"{self.path.name} is one JSON array, which cannot be read row by row: write one object on "
                f"each line, with: {_TO_LINES} < {self.path.name} > {lines}"
            )
        if begins != "{":
            raise ManifestError(
                f"{self.path.name} does not begin with a JSON object: each line holds one, such as "
                '{"Input": "value"}; if it is a table name it .csv'
            )

    def _records(self, text: io.TextIOWrapper, problems: RowErrors) -> Iterator[Record]:
        index = 0
        lines = RowLines(text, self.path.name, LONGEST_LINE)
        for line in lines:
            lines.next_row()
            told = line.strip(" \t\r\n\ufeff")
            if not told:
                continue
            where = f"line {lines.number}"
            try:
                cells = _row(told)
                past = _past(cells)
            except (ValueError, RecursionError) as error:
                problems.add(where, _advice(told, error))
            else:
                yield Record(index=index, where=where, cells=cells, past=past)
            index += 1


class _Refused(ValueError):
    """JSON that is not accepted; the message is for the user."""


def _row(line: str) -> dict[str, Any]:
    """The object on a line, without fields that are null."""
    value = _decoder.decode(line)
    if line.count("{") + line.count("[") > DEEPEST and _is_deep(value):
        raise RecursionError
    if not isinstance(value, dict):
        raise _Refused(f'{line[:40]!r} is no JSON object: each line holds one, such as {{"Input": "value"}}')
    if "" in value:
        raise _Refused("a field has an empty name: give it the name of an input")
    if "\\u" in line:
        _refuse_half_characters(value)
    return {name: held for name, held in value.items() if held is not None}


def _past(cells: dict[str, Any]) -> dict[str, Any] | None:
    """Remove from the cells what an earlier batch wrote of the row, and return it."""
    past = cells.pop(_OURS, None)
    if past is not None and not isinstance(past, dict):
        raise _Refused(f"{_OURS!r} is reserved for what a batch writes into failures.jsonl: rename the field")
    return past


def _is_deep(value: Any) -> bool:
    """Whether lists and objects are nested more than :data:`DEEPEST` levels deep."""
    level = [value]
    for _ in range(DEEPEST):
        level = [
            part
            for one in level
            for part in (one.values() if isinstance(one, dict) else one)
            if isinstance(part, dict | list)
        ]
        if not level:
            return False
    return True


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _Refused(
            f"the field {twice!r} stands there twice: which value counts cannot be told, take one out"
        )
    return fields


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _Refused(f"{text[:40]} is too large a number: write it as text")
    if abs(number) >= _EXACT and Decimal(text) != Decimal(repr(number)):
        raise _Refused(f"{text[:40]} has more digits than a number keeps: write it as text")
    return number


def _no_number(name: str) -> float:
    raise _Refused(f"{name} is no JSON: leave the field out, or write null")


def _refuse_half_characters(value: dict[str, Any]) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise _Refused(
            "half of a surrogate pair (\\ud800 to \\udfff) is no character: write both halves"
        ) from None


_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_number)


def _advice(line: str, error: Exception) -> str:
    """What is wrong with a line, and the fix."""
    if isinstance(error, _Refused):
        return str(error)
    if isinstance(error, RecursionError):
        return "objects and lists are nested too deep to be read"
    if not isinstance(error, json.JSONDecodeError):  # int() and its limit
        return "an integer of thousands of digits: write it as text"
    if line in {"{", "["} or (line.startswith("{") and error.pos >= len(line)):
        return "the object does not end on this line: each line holds a whole one, without line breaks"
    return f"no JSON at column {error.colno}: {error.msg}"
