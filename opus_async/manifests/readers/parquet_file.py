"""Parquet files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, count
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

from opus_async.errors import ManifestError
from opus_async.manifests.advised import Advised, placed, reason_of
from opus_async.manifests.model import Record, Unreadable
from opus_async.manifests.readers.arrow_values import Convert, converter, plain_type, refusal
from opus_async.manifests.readers.file_type import refuse_other_content
from opus_async.manifests.readers.parquet_bounds import (
    TOO_LARGE,
    batch_rows,
    check_footer,
    check_groups,
    portions,
    text_columns,
)
from opus_async.manifests.readers.raw_rows import RawRow, numbered
from opus_async.manifests.readers.source_file import Source

_BUFFER = 1 << 20
"""Bytes of a column that are read at once; without it, all of the column in a row group."""


class ParquetManifest:
    """A manifest in Parquet; see :class:`opus_async.manifests.Manifest`.

    Text, numbers, bool, Decimal, date and timestamp come as Python values and times as text; lists, structs
    and maps with keys of text as what JSON can hold. Timestamps are cut to microseconds.

    A batch of rows is in memory at once, with the texts that they share. A file that would take more than
    about 700 MB by what its footer says is refused: :mod:`opus_async.manifests.readers.parquet_bounds`.

    Args:
        path: The file, absolute.

    Raises:
        ManifestError: It is no Parquet file, or the library that reads Parquet is not installed.
    """

    kind = "parquet"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.base = path.parent
        self.warnings: list[str] = []
        self._source = Source(path)
        refuse_other_content(path, self._source.head(), "parquet")
        arrow, self._parquet = _libraries()
        self._arrow_error = arrow.ArrowException
        with self._source.reading() as file:
            table = self._opened(file)
            self._schema = self._plain_schema(arrow, table.schema_arrow)
            self._rows = int(table.metadata.num_rows)
        self.columns = tuple(str(name) for name in self._schema.names)
        self._taken = [plain_type(arrow, field.type) is not None for field in self._schema]
        self._converters = [
            converter(arrow, field.type) if taken else refusal(field.type)
            for field, taken in zip(self._schema, self._taken, strict=True)
        ]
        self._table = arrow.Table
        self._nulls = arrow.nulls

    def records(self) -> Iterator[Record]:
        """Read each row that is not all null; values of types that no input can take are unreadable cells."""
        with self._source.reading() as file:
            rows = chain.from_iterable(self._batches(self._opened(file)))
            yield from numbered(map(self._raw_row, count(1), rows), self.columns)

    def stamp(self) -> str:
        """The stamp of the file."""
        return self._source.stamp()

    def estimated_rows(self) -> int:
        """The number of rows that the footer says."""
        return self._rows

    def _opened(self, file: BinaryIO) -> Any:
        check_footer(self.path, file)
        how = {"pre_buffer": False, "buffer_size": _BUFFER}
        try:
            metadata = self._parquet.read_metadata(file)
            check_groups(self.path, metadata)
            file.seek(0)
            return self._parquet.ParquetFile(
                file, metadata=metadata, read_dictionary=text_columns(metadata), **how
            )
        except (self._arrow_error, RecursionError) as error:
            raise self._damaged() from error

    def _plain_schema(self, arrow: ModuleType, schema: Any) -> Any:
        """The types to read the columns as."""
        twice = [name for name, count in Counter(schema.names).items() if count > 1]
        if twice or "" in schema.names:
            which = f"the name {twice[0]!r} twice" if twice else "a column without a name"
            raise ManifestError(f"{self.path.name} has {which}: every column needs a name of its own")
        return arrow.schema([(field.name, plain_type(arrow, field.type) or field.type) for field in schema])

    def _batches(self, table: Any) -> Iterator[Iterator[tuple[Any, ...]]]:
        """The rows as tuples, a batch at a time."""
        try:
            for batch in table.iter_batches(batch_rows(table.metadata), use_threads=False):
                for part, left_out in portions(batch):
                    yield zip(*self._columns(self._table.from_batches([part]), left_out), strict=True)
        except self._arrow_error as error:
            raise self._damaged() from error

    def _columns(self, table: Any, left_out: Sequence[int]) -> list[list[Any]]:
        """The values of each column; a ValueError in place of those that are left out."""
        for place in left_out:
            field = table.field(place)
            table = table.set_column(place, field, self._nulls(table.num_rows, field.type))
        plain = table.cast(self._schema, safe=False)
        columns = list(map(self._values, plain.columns, self._taken))
        for place in left_out:
            columns[place] = [ValueError(TOO_LARGE)] * table.num_rows
        return columns

    @staticmethod
    def _values(column: Any, taken: bool) -> list[Any]:  # noqa: FBT001 - mapped over columns
        """The values of a column; a ValueError in place of one that Python cannot hold.

        Args:
            column: A ``pyarrow.ChunkedArray``.
            taken: Whether a cell can hold values of its type; else True stands for each.
        """
        if not taken:
            return [held or None for held in column.is_valid().to_pylist()]
        try:
            values: list[Any] = column.to_pylist()
        except (ValueError, OverflowError):
            return [_value(scalar) for scalar in column]
        return values

    def _raw_row(self, number: int, row: tuple[Any, ...]) -> RawRow:
        """The cells of a row that are not null, and those that no job can take."""
        cells: dict[str, Any] = {}
        unreadable: list[Unreadable] = []
        for name, convert, value in zip(self.columns, self._converters, row, strict=True):
            if value is None:
                continue
            try:
                cells[name] = _converted(value, convert)
            except ValueError as error:
                why = reason_of(error)
                unreadable.append(Unreadable(problem=placed(f"column {name!r}", why), column=name, group=why))
        return RawRow(f"row {number}", cells, tuple(unreadable))

    def _damaged(self) -> ManifestError:
        return ManifestError(
            f"{self.path} cannot be read as Parquet, it is damaged or cut off: make it again"
        )


def _converted(value: Any, convert: Convert | None) -> Any:
    """A value as a cell holds it.

    Raises:
        ValueError: No job can take it.
    """
    if isinstance(value, ValueError):
        raise value
    return value if convert is None else convert(value)


def _value(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except (ValueError, OverflowError) as error:
        return ValueError(
            Advised(
                f"a value that Python cannot hold ({error})",
                "write dates and times between the years 1 and 9999",
            )
        )


def _libraries() -> tuple[ModuleType, ModuleType]:
    """Import ``pyarrow`` and its reader of Parquet, which are an extra.

    Raises:
        ManifestError: It is not installed.
    """
    try:
        import pyarrow as pa  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra, without types
        import pyarrow.parquet as pq  # type: ignore[import-untyped]  # noqa: PLC0415 - as above
    except ImportError:
        raise ManifestError(
            "Parquet is read by an extra library: pip install 'opus-async[parquet]'; or export it as CSV"
        ) from None
    return pa, pq
