"""``batch export``: what went in and what came out, side by side, in manifest order, for every row."""

from __future__ import annotations

import codecs
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from opus_async.batch.choices import EXPORT_FORMATS, Format
from opus_async.batch.ledger.reader import LedgerReader
from opus_async.batch.ledger.stored import StoredRow
from opus_async.batch.outputs import destinations
from opus_async.batch.outputs.constants import constants
from opus_async.batch.outputs.excel_writer import XLSX_ROWS, SummaryBlock, write_xlsx
from opus_async.batch.outputs.summary_blocks import summary_blocks
from opus_async.batch.outputs.table_writers import (
    Column,
    ColumnTypeInference,
    Kind,
    iso,
    write_csv,
    write_jsonl,
    write_parquet,
)
from opus_async.disk import atomic_write
from opus_async.errors import ConfigurationError
from opus_async.json_text import parsed as parsed_text
from opus_async.remote.copying import copy_from
from opus_async.remote_urls import RemoteFile

STREAMED = frozenset({"csv", "jsonl"})
"""Formats that can go to stdout."""
STDOUT = Path("-")

_T = TypeVar("_T")

_BEFORE = (
    Column("index", Kind.INT),
    Column("key", Kind.TEXT),
    Column("state", Kind.TEXT),
    Column("status", Kind.TEXT),
    Column("job_id", Kind.TEXT),
)
_FILES = Column("files", Kind.TEXT)
_AFTER = (
    Column("error", Kind.TEXT),
    Column("started_at", Kind.TIME),
    Column("ended_at", Kind.TIME),
    Column("seconds", Kind.FLOAT, number_format="0.00"),
)


def export(
    directory: Path,
    format: Format,  # noqa: A002 - what the option is called
    destination: Path | RemoteFile | None = None,
    *,
    parsed: bool = False,
) -> int:
    """Write inputs and outputs of all rows of a batch, those without a result included.

    The columns: ``index, key, state, status, job_id``, the columns of the manifest in its order, the inputs
    that only ``--set`` fills, the outputs by display name, ``files`` if any were downloaded, ``error,
    started_at, ended_at, seconds``. A row without a value of its own has that of ``--set``, with which it
    ran. ``files`` are paths that start at the batch directory, a list in JSONL and else joined by ``; ``.

    Of a name that comes twice, one of the manifest is followed by ``(input)``, one of an output by
    ``(output)``. ``seconds`` is the time that processes spent on the row. How each format holds what is told
    in :mod:`opus_async.batch.outputs.table_writers` and, for XLSX,
    :mod:`opus_async.batch.outputs.excel_writer`; JSONL has the same fields with the inputs under
    ``inputs`` and the outputs under ``outputs`` (null where there is no result).

    The rows are those of one moment, whatever goes on meanwhile. Memory does not follow their number.

    Args:
        directory: Of the batch.
        format: One of :data:`EXPORT_FORMATS`.
        destination: Replaced when the new one is whole, a link itself and not what it leads to; never a file
            of a batch. ``-`` is stdout, for CSV (then without a byte order mark) and JSONL;
            ``DIRECTORY/export.FORMAT`` when absent. Its permissions follow the umask. Of a document
            elsewhere the table is made in a temporary file and then written there.
        parsed: Whether outputs that are the text of a JSON object or array are taken for what they hold.

    Returns:
        How many rows.

    Raises:
        LedgerError: There is no ledger, or it or the results cannot be read.
        ConfigurationError: There is no such format, its library is missing, it cannot hold that much, or the
            destination is a file of a batch, or a URL to which nothing can be written.
        OSError: The destination cannot be written.
    """
    if format not in EXPORT_FORMATS:
        raise ConfigurationError(f"there is no format {format!r}: use one of {', '.join(EXPORT_FORMATS)}")
    destination = destination or directory / f"export.{format}"
    if destination == STDOUT and format not in STREAMED:
        raise ConfigurationError(f"{format} cannot be written to stdout: name a file")
    with LedgerReader(directory) as ledger, ledger.snapshot():
        if isinstance(destination, Path) and destination != STDOUT:
            destinations.check(destination, destinations.kept_by(ledger, destination))
        elif isinstance(destination, RemoteFile):
            destinations.check_elsewhere(destination, ledger)
        total = ledger.counts().total
        if format == "xlsx" and total > XLSX_ROWS:
            raise ConfigurationError(
                f"an XLSX sheet holds {XLSX_ROWS:,} rows, and these are {total:,}: export to csv"
            )
        with _opened(destination) as file:
            _write(file, format, _Exported(ledger, parsed=parsed), mark=destination != STDOUT)
        return total


def _write(file: BinaryIO, format: Format, exported: _Exported, *, mark: bool) -> None:  # noqa: A002 - the word that users know
    if format == "jsonl":
        encoding = None if mark else getattr(sys.stdout, "encoding", None)
        write_jsonl(file, exported.records(), ascii_only=not _is_utf_8(encoding))
        return
    columns = exported.infer_columns()
    if format == "csv":
        write_csv(file, columns, exported.rows(), mark=mark)
    elif format == "xlsx":
        write_xlsx(file, columns, exported.rows(), exported.summary())
    else:
        write_parquet(file, columns, exported.rows())


class _Exported:
    """The rows of a ledger with their results.

    Args:
        ledger: At one moment.
        parsed: Whether texts that hold JSON are opened.
    """

    def __init__(self, ledger: LedgerReader, *, parsed: bool) -> None:
        self._ledger = ledger
        self._parsed = parsed
        self._constants = constants(ledger.meta)
        self._files = [_FILES] if ledger.has_files() else []
        self._inputs: dict[str, ColumnTypeInference] = {}
        self._outputs: dict[str, ColumnTypeInference] = {}

    def infer_columns(self) -> list[Column]:
        """Read all rows once; returns the columns that can hold them, in order."""
        for row in self._ledger.rows():
            _note(self._inputs, self._inputs_of(row))
            _note(self._outputs, self._outputs_of(row) or {})
        self._inputs = self._in_order(self._inputs)
        taken = {column.name for column in (*_BEFORE, *self._files, *_AFTER)}
        inputs = [Column(_free(name, "input", taken), seen.kind) for name, seen in self._inputs.items()]
        outputs = [
            Column(_free(name, "output", taken), seen.kind, seen.date_form)
            for name, seen in self._outputs.items()
        ]
        return [*_BEFORE, *inputs, *outputs, *self._files, *_AFTER]

    def rows(self) -> Iterator[Sequence[Any]]:
        """All rows, their values in the order of the columns; only after :meth:`infer_columns`."""
        for row in self._ledger.rows():
            outputs = self._outputs_of(row) or {}
            yield (
                *(row.index, row.key, row.state.value, row.status, row.remote_id),
                *map(self._inputs_of(row).get, self._inputs),
                *map(outputs.get, self._outputs),
                *("; ".join(self._ledger.files_of(row)) or None for _ in self._files),
                *(row.reason, row.started_at, row.ended_at, row.timings.get("total")),
            )

    def summary(self) -> Iterator[SummaryBlock]:
        """What the rows come to."""
        return summary_blocks(self._ledger)

    def records(self) -> Iterator[Mapping[str, Any]]:
        """All rows as JSON."""
        for row in self._ledger.rows():
            yield {
                "index": row.index,
                "key": row.key,
                "state": row.state.value,
                "status": row.status,
                "job_id": row.remote_id,
                "inputs": self._in_order(self._inputs_of(row)),
                "outputs": self._outputs_of(row),
                **{column.name: self._ledger.files_of(row) for column in self._files},
                "error": row.reason,
                "started_at": iso(row.started_at),
                "ended_at": iso(row.ended_at),
                "seconds": row.timings.get("total"),
            }

    def _inputs_of(self, row: StoredRow) -> Mapping[str, Any]:
        """What the row ran with: its cells, and the constants where it has none."""
        filled = {
            constant.columns[0] if constant.columns else constant.name: constant.value
            for constant in self._constants
            if constant.fills(row.cells)
        }
        return {**filled, **row.cells}

    def _in_order(self, inputs: Mapping[str, _T]) -> dict[str, _T]:
        """The columns of the manifest in its order, then the others."""
        known = [column.column for column in self._ledger.meta.binding]
        names = [name for name in known if name in inputs]
        return {name: inputs[name] for name in dict.fromkeys((*names, *inputs))}

    def _outputs_of(self, row: StoredRow) -> Mapping[str, Any] | None:
        result = self._ledger.result_of(row)
        if result is None:
            return None
        outputs: Mapping[str, Any] = result["outputs"]
        return {name: parsed_text(value) for name, value in outputs.items()} if self._parsed else outputs


def _note(columns: dict[str, ColumnTypeInference], values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        seen = columns.get(name)
        if seen is None:
            seen = columns[name] = ColumnTypeInference()
        seen.add(value)


def _free(name: str, whose: str, taken: set[str]) -> str:
    """A name that no other column has; it is taken from now on."""
    free, number = name, 1
    while free in taken:
        free = f"{name} ({whose})" if number == 1 else f"{name} ({whose} {number})"
        number += 1
    taken.add(free)
    return free


def _is_utf_8(encoding: str | None) -> bool:
    """Whether a program that reads what this stream's encoding says can read UTF-8."""
    try:
        return codecs.lookup(encoding or "utf-8").name == "utf-8"
    except LookupError:
        return False


@contextmanager
def _opened(destination: Path | RemoteFile) -> Iterator[BinaryIO]:
    if isinstance(destination, RemoteFile):
        with tempfile.TemporaryDirectory(prefix="opus-async-export-") as folder:
            table = Path(folder) / "table"
            with table.open("xb") as file:
                yield file
            copy_from(table, destination)
        return
    if destination == STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with atomic_write(destination, private=False) as file:
        yield file
