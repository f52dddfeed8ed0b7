"""Bounds what of a Parquet file is in memory at once, by the sizes in its footer and by portions of rows.

Parquet stores a repeated value once, with the number of repetitions in a few bits: two kilobytes can be a
thousand cells of 50 MB each. So text columns are read as dictionaries, which hold each text once, and rows
are measured before they are converted to Python values. The sizes in the footer are believed: a file that
lies about them is bounded by Parquet's own limit of 2 GiB for a page.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from opus_async.errors import ManifestError
from opus_async.manifests.advised import Advised

MOST_GROUP = 128 << 20
"""Bytes of a row group, uncompressed. Reading takes up to five times as much for a moment."""
MOST_ITEMS = 20_000_000
"""Items in the lists of a row group; one row could have all of them."""
MOST_FOOTER = 16 << 20
"""Bytes of the footer; in memory it takes some 30 times as much."""
MOST_COLUMNS = 16_384
"""As many as a sheet of Excel has."""
LARGEST_ROW = 16 << 20
"""Bytes of text in one row, and of items in its lists at 16 bytes each."""

TOO_LARGE = Advised(
    f"more than {LARGEST_ROW >> 20} MiB of text in the row, or {LARGEST_ROW // 16:,} items in its lists",
    "longer ones belong into files",
)

_BATCH_ROWS = 1_000
_BATCH_VALUES = 1_000_000
_PORTION = 16 << 20
_VALUE = 16
_TAIL = 8
_MARK = b"PAR1"


def check_footer(path: Path, file: BinaryIO) -> None:
    """Refuse a file with a footer that is too long, before it is read.

    Args:
        path: The path of the file, for messages.
        file: The file, open; it is at its beginning afterwards.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _TAIL))
    length, mark = int.from_bytes(file.read(4), "little"), file.read()
    file.seek(0)
    if length > MOST_FOOTER and mark == _MARK:
        raise _too_large(path, f"its description takes {length >> 20} MiB", "fewer columns or row groups")


def check_groups(path: Path, metadata: Any) -> None:
    """Refuse a file that takes too much memory by what its footer says.

    Args:
        path: The path of the file, for messages.
        metadata: A ``pyarrow.parquet.FileMetaData``.
    """
    if metadata.num_columns > MOST_COLUMNS:
        raise _too_large(path, f"it has {metadata.num_columns:,} columns", "those that are wanted")
    smaller = "smaller row groups (in pandas and pyarrow: row_group_size=1000)"
    for group in _groups(metadata):
        size = sum(column.total_uncompressed_size for column in _columns(group))
        if size > MOST_GROUP:
            raise _too_large(path, f"a row group has {size >> 20:,} MiB", smaller)
        items = sum(max(0, column.num_values - group.num_rows) for column in _columns(group))
        if items > MOST_ITEMS:
            raise _too_large(path, f"the lists of a row group have {items:,} items", smaller)


def text_columns(metadata: Any) -> list[str]:
    """The paths of columns that are to be read as dictionaries: those of text."""
    schema = metadata.schema
    columns = [schema.column(place) for place in range(len(schema))]
    texts = (column for column in columns if column.physical_type == "BYTE_ARRAY")
    return [column.path for column in texts if column.logical_type.type != "DECIMAL"]


def batch_rows(metadata: Any) -> int:
    """How many rows to read at once: fewer where there are many columns, or long lists."""
    widest = max(
        (
            sum(column.num_values for column in _columns(group)) // max(group.num_rows, 1)
            for group in _groups(metadata)
        ),
        default=1,
    )
    return max(1, min(_BATCH_ROWS, _BATCH_VALUES // max(widest, 1)))


def portions(batch: Any) -> Iterator[tuple[Any, Sequence[int]]]:
    """Yield a batch as it is, or row by row where its rows together are too large.

    Args:
        batch: A ``pyarrow.RecordBatch``.

    Returns:
        Batches, and the columns of each, from 0, that have to be left out of it: the largest of a row that is
        larger than :data:`LARGEST_ROW`.
    """
    if batch.num_rows > 1 and sum(_weights(batch)) <= _PORTION:
        yield batch, ()
        return
    for place in range(batch.num_rows):
        row = batch.slice(place, 1)
        weights = _weights(row)
        left_out: list[int] = []
        while sum(weights) > LARGEST_ROW:
            left_out.append(weights.index(max(weights)))
            weights[left_out[-1]] = 0
        yield row, left_out


def _weights(batch: Any) -> list[int]:
    """Bytes that each column takes as Python values: texts, each as often as it occurs, items of lists."""
    return [_weight_of(column) for column in batch.columns]


def _weight_of(values: Any) -> int:
    import pyarrow as pa  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra, without types; loaded by now
    import pyarrow.compute as pc  # type: ignore[import-untyped]  # noqa: PLC0415 - as above

    types, kind = pa.types, values.type
    if types.is_dictionary(kind):
        lengths = pc.binary_length(values.dictionary)
        return int(pc.sum(lengths.take(values.indices).cast(pa.int64())).as_py() or 0)
    if types.is_string(kind) or types.is_large_string(kind):
        return int(pc.sum(pc.binary_length(values).cast(pa.int64())).as_py() or 0)
    if types.is_struct(kind):
        return sum(_weight_of(part) for part in values.flatten())
    if types.is_map(kind):
        start, end = values.offsets[0].as_py() or 0, values.offsets[-1].as_py() or 0
        parts = (values.keys.slice(start, end - start), values.items.slice(start, end - start))
        return sum(_VALUE * len(part) + _weight_of(part) for part in parts)
    if types.is_nested(kind) and hasattr(values, "flatten"):
        part = values.flatten()
        return _VALUE * len(part) + _weight_of(part)
    return 0


def _groups(metadata: Any) -> Iterator[Any]:
    return (metadata.row_group(place) for place in range(metadata.num_row_groups))


def _columns(group: Any) -> Iterator[Any]:
    return (group.column(place) for place in range(group.num_columns))


def _too_large(path: Path, what: str, instead: str) -> ManifestError:
    return ManifestError(f"{path.name} is too large to be read row by row, {what}: write it with {instead}")
