"""Tables in the formats that programs read, row by row: CSV, Parquet, JSONL; and what their columns hold.

What a format cannot hold is written in the way told at its function. Text that is no text (half of a
surrogate pair, as JSON can bring it) has U+FFFD in its place, but for JSONL, which can escape it.
"""

from __future__ import annotations

import csv
import enum
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, BinaryIO

from opus_async.batch.outputs.iso_dates import DateForm, date_form
from opus_async.errors import ConfigurationError

EXACT = 2**53
"""Integers from here on are no exact double, and Excel knows no other numbers."""
_INT64 = 2**63
_ROW_GROUP = 1_000
_FORMULA = re.compile(
    r"'*(?:[\s\x00-\x20\x7f\xa0\xad\u200b-\u200f\u2028-\u202f\u2060\ufeff]*[=+\-@＝＋－＠]|[\t\r\n])"  # noqa: RUF001 - wide
)
"""What a spreadsheet may take for a formula, and what looks like one that was made harmless."""
_NUMBER = re.compile(r" *[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)? *")


class Kind(enum.Enum):
    """What a column holds, beside nothing."""

    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    TEXT = "text"
    TIME = "time"
    """Seconds since the epoch."""
    MIXED = "mixed"
    """Objects, lists, integers beyond 64 bits, or values of several kinds."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        name: Its head.
        kind: What it holds.
        date_form: The form of all its texts, where these are dates or times; a spreadsheet shows them so.
        number_format: In which a spreadsheet shows its numbers; empty for the general one.
    """

    name: str
    kind: Kind
    date_form: DateForm | None = None
    number_format: str = ""


class ColumnTypeInference:
    """The values of a column as they go by, and so the kind that holds them all."""

    __slots__ = ("_forms", "_inexact", "_types")

    def __init__(self) -> None:
        self._types: set[type] = set()
        self._inexact = False
        self._forms: set[DateForm | None] = set()

    def add(self, value: Any) -> None:
        """One more value."""
        kind = type(value)
        self._types.add(kind)
        if kind is int and not -EXACT <= value <= EXACT:
            self._inexact = True
            if not -_INT64 <= value < _INT64:
                self._types.add(object)
        if kind is str and None not in self._forms:
            self._forms.add(date_form(value))

    @property
    def date_form(self) -> DateForm | None:
        """The form that all texts of the column have, if they are dates or times."""
        return next(iter(self._forms)) if len(self._forms) == 1 and self.kind is Kind.TEXT else None

    @property
    def kind(self) -> Kind:
        """The kind of the column; text when it held nothing at all."""
        types = self._types - {type(None)}
        if types == {int, float} and not self._inexact:
            return Kind.FLOAT
        if len(types) > 1:
            return Kind.MIXED
        known = {int: Kind.INT, float: Kind.FLOAT, bool: Kind.BOOL, str: Kind.TEXT}
        return known.get(next(iter(types), str), Kind.MIXED)


Rows = Iterable[Sequence[Any]]
"""Values in the order of the columns; None where there is none."""


def write_jsonl(file: BinaryIO, records: Iterable[Mapping[str, Any]], *, ascii_only: bool = False) -> None:
    r"""One JSON object per line, every value with its type; with ``ascii_only`` letters as ``\u00e9``."""
    write = _ascii_line if ascii_only else _line
    file.writelines(write(record) for record in records)


def write_csv(file: BinaryIO, columns: Sequence[Column], rows: Rows, *, mark: bool) -> None:
    """RFC 4180 in UTF-8: nothing is an empty cell, objects and lists are JSON text, times ISO 8601 in UTC.

    A text that a spreadsheet may take for a formula gets an apostrophe in front: one that begins, after
    blanks or not, with ``=``, ``+``, ``-`` or ``@``, and one that begins with a tab or a line end. A plain
    number like ``-5`` stays as it is. A text that has such apostrophes already gets one more, so that taking
    one away restores every text (:func:`unescape_formula`).

    Args:
        file: Stays open.
        columns: Its head.
        rows: Below the head.
        mark: Whether to begin with a byte order mark, by which Excel knows UTF-8.
    """
    with _as_text(file, "utf-8-sig" if mark else "utf-8") as text:
        writer = csv.writer(text)
        writer.writerow([escape_formula(replace_surrogates(column.name)) for column in columns])
        kinds = [column.kind for column in columns]
        for row in rows:
            writer.writerow([escape_formula(as_cell(*each)) for each in zip(row, kinds, strict=True)])


def write_parquet(file: BinaryIO, columns: Sequence[Column], rows: Rows) -> None:
    """Columns of int64, double, bool, string or, for times, milliseconds in UTC.

    In a column of objects, lists or values of several kinds every value is JSON text, texts included, so
    that each can be told from the others.

    Raises:
        ConfigurationError: The library is missing.
    """
    try:
        import pyarrow as pa  # type: ignore[import-untyped]  # noqa: PLC0415 - heavy, not everybody's, untyped
        import pyarrow.parquet as pq  # type: ignore[import-untyped]  # noqa: PLC0415 - heavy, and untyped
    except ImportError:
        raise missing_library("parquet", "parquet") from None
    types = {
        Kind.INT: pa.int64(),
        Kind.FLOAT: pa.float64(),
        Kind.BOOL: pa.bool_(),
        Kind.TIME: pa.timestamp("ms", tz="UTC"),
    }
    schema = pa.schema(
        [(replace_surrogates(column.name), types.get(column.kind, pa.string())) for column in columns]
    )
    with pq.ParquetWriter(file, schema) as writer:
        for group in _groups(rows):
            arrays = zip(columns, zip(*group, strict=True), schema.types, strict=True)
            writer.write_batch(
                pa.record_batch(
                    [_array(values, column.kind, kind) for column, values, kind in arrays], schema
                )
            )


def escape_formula(text: Any) -> Any:
    """A text that no spreadsheet takes for a formula; anything else as it is. See :func:`write_csv`."""
    if isinstance(text, str) and _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text


def unescape_formula(text: str) -> str:
    """The text that :func:`escape_formula` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def replace_surrogates(text: str) -> str:
    """The text with U+FFFD for what UTF-8 cannot hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def iso(at: float | None) -> str | None:
    """Seconds since the epoch as ISO 8601 in UTC, to the millisecond."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _line(record: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(record, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:
        return _ascii_line(record)


def _ascii_line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record).encode() + b"\n"


def as_cell(value: Any, kind: Kind) -> Any:
    """A value as text, or as what becomes text by itself."""
    if value is None:
        return None
    if kind is Kind.TIME:
        return iso(value)
    if isinstance(value, str):
        return replace_surrogates(value)
    return repr(value) if isinstance(value, float) else _json(value)


def _array(values: Sequence[Any], kind: Kind, arrow_type: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - heavy; loaded by now

    if kind is Kind.TIME:
        values = [None if value is None else round(value * 1000) for value in values]
    elif kind is Kind.TEXT:
        values = [None if value is None else replace_surrogates(value) for value in values]
    elif kind is Kind.MIXED:
        values = [None if value is None else _json(value) for value in values]
    return pa.array(values, arrow_type)


def _json(value: Any) -> str:
    return replace_surrogates(json.dumps(value, ensure_ascii=False))


def _groups(rows: Rows) -> Iterator[list[Sequence[Any]]]:
    stream = iter(rows)
    while group := list(islice(stream, _ROW_GROUP)):
        yield group


@contextmanager
def _as_text(file: BinaryIO, encoding: str) -> Iterator[io.TextIOWrapper]:
    """A text file over one that stays open."""
    text = io.TextIOWrapper(file, encoding, newline="")
    try:
        yield text
        text.flush()
    finally:
        text.detach()


def missing_library(kind: str, extra: str) -> ConfigurationError:
    """The error for a format whose library is not installed."""
    return ConfigurationError(
        f"{kind} needs a library that is not installed: pip install 'opus-async[{extra}]', or export to csv"
    )
