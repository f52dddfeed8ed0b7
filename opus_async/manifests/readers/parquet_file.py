"""Parquet files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

from opus_async.errors import ManifestError
from opus_async.manifests.model import Record
from opus_async.manifests.readers.arrow_values import converter, plain_type
from opus_async.manifests.readers.file_type import refuse_other_content
from opus_async.manifests.readers.parquet_bounds import (
    batch_rows,
    check_footer,
    check_groups,
    portions,
    text_columns,
)
from opus_async.manifests.readers.row_errors import RowErrors
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
        ManifestError: It is no Parquet file, or has columns of types that no input can take; or the library
            that reads Parquet is not installed.
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
        self._converters = [converter(arrow, field.type) for field in self._schema]
        self._table = arrow.Table

    def records(self) -> Iterator[Record]:
        """Read each row that is not all null."""
        problems = RowErrors(self.path)
        with self._source.reading() as file:
            rows = chain.from_iterable(self._batches(self._opened(file)))
            index = 0
            for number, row in enumerate(rows, 1):
                where = f"row {number}"
                try:
                    cells = self._cells(row)
                except ValueError as error:
                    problems.add(where, str(error))
                else:
                    if not cells:
                        continue
                    yield Record(index=index, where=where, cells=cells)
                index += 1
        problems.raise_if_any()

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
        fields = [(field.name, field.type, plain_type(arrow, field.type)) for field in schema]
        refused = [f"{name!r} ({kind})" for name, kind, plain in fields if plain is None]
        if refused:
            raise ManifestError(
                f"{self.path.name}: no input can take the type of {', '.join(refused)}: convert these "
                "columns to text or numbers, or leave them out"
            )
        return arrow.schema([(name, plain) for name, _, plain in fields])

    def _batches(self, table: Any) -> Iterator[Iterator[tuple[Any, ...]]]:
        """The rows as tuples, a batch at a time."""
        number, together = 0, 1
        try:
            for batch in table.iter_batches(batch_rows(table.metadata), use_threads=False):
                for part in portions(self.path, batch, number):
                    together = part.num_rows
                    plain = self._table.from_batches([part]).cast(self._schema, safe=False)
                    yield zip(*(column.to_pylist() for column in plain.columns), strict=True)
                    number += together
        except ManifestError:
            raise
        except self._arrow_error as error:
            raise self._damaged() from error
        except (ValueError, OverflowError) as error:
            raise ManifestError(
                f"{self.path.name}, row {number + 1} or one of the {together - 1} below it: a value that "
                f"Python cannot hold ({error}): write dates and times between the years 1 and 9999"
            ) from error

    def _cells(self, row: tuple[Any, ...]) -> dict[str, Any]:
        """The cells of a row that are not null.

        Raises:
            ValueError: A value that no job can take.
        """
        cells = {}
        for name, convert, value in zip(self.columns, self._converters, row, strict=True):
            if value is not None:
                try:
                    cells[name] = value if convert is None else convert(value)
                except ValueError as error:
                    raise ValueError(f"column {name!r}: {error}") from None
        return cells

    def _damaged(self) -> ManifestError:
        return ManifestError(
            f"{self.path} cannot be read as Parquet, it is damaged or cut off: make it again"
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
