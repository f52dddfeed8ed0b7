"""``opus-async batch export``: writes inputs and outputs of all rows as one table."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from opus_async.batch.choices import EXPORT_FORMATS, Format
from opus_async.cli.argument_types import output_place
from opus_async.cli.batch import existing_batch
from opus_async.cli.errors import Exit, WrongUse
from opus_async.cli.options import CommandOptions
from opus_async.errors import ConfigurationError
from opus_async.remote_urls import RemoteFile
from opus_async.text import counted

_EPILOG = """\
All rows in manifest order, those without a result included: index, key, state, status, job_id, the columns of
the manifest (with what --set filled), the outputs by display name, files that were downloaded (paths that
start at DIR), error and times. In CSV and XLSX no cell can be taken for a
formula. It may be called while the batch runs.

examples:
  opus-async batch export invoices-batch --format xlsx
  opus-async batch export invoices-batch --format csv --output - | head
  opus-async batch export invoices-batch --format csv --output s3://b/all.csv
"""


@dataclass(frozen=True, kw_only=True)
class ExportOptions(CommandOptions):
    """Options of ``batch export``.

    Attributes:
        directory: The batch directory.
        format: One of ``EXPORT_FORMATS``.
        output: The file to write, or its URL, ``-`` for stdout; None for one in the batch directory.
        parsed: Whether outputs that are the text of a JSON object or list are written as what they hold.
    """

    directory: Path
    format: Format
    output: Path | RemoteFile | None
    parsed: bool


OPTIONS = ExportOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = _EPILOG
    add = parser.add_argument
    add("directory", type=Path, metavar="DIR", help="the batch directory")
    add(
        "--format",
        required=True,
        choices=EXPORT_FORMATS,
        help="what the table is written as; parquet takes pip install 'opus-async[parquet]'",
    )
    add(
        "--output",
        type=output_place,
        metavar="PATH",
        help="a path or a URL like s3://bucket/table.csv; DIR/export.FORMAT by default; - is stdout, for csv "
        "and jsonl",
    )
    add(
        "--parsed",
        action="store_true",
        help="outputs that are the text of a JSON object or list as what they hold",
    )


def run(options: ExportOptions) -> int:
    """Write the table; its path goes to stdout, the number of rows to stderr."""
    from opus_async.batch.outputs.export import STDOUT, STREAMED, export

    existing_batch.read_meta(options.directory)
    output = options.output or options.directory / f"export.{options.format}"
    if output == STDOUT and options.format not in STREAMED:
        raise WrongUse(f"{options.format} cannot be written to stdout: name a file with --output")
    try:
        rows = export(options.directory, options.format, output, parsed=options.parsed)
    except ConfigurationError as error:  # of the format, or of a library for it: nothing to ask the platform
        raise WrongUse(error.message) from None
    if output != STDOUT:
        print(output)
    print(f"{counted(rows, 'row')}", file=sys.stderr)
    return Exit.OK
