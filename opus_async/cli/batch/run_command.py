"""``opus-async batch run``: runs a job for every row of a manifest."""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from opus_async.cli import platforms
from opus_async.cli.argument_types import folder_on_disk
from opus_async.cli.batch import run_options, session, spec_options
from opus_async.cli.batch.run_options import SessionOptions
from opus_async.cli.batch.spec_options import ManifestOptions
from opus_async.cli.error_report import advice
from opus_async.cli.errors import Exit, WrongUse, print_error, print_hint
from opus_async.cli.program import command_line

if TYPE_CHECKING:
    from opus_async.batch import BatchObserver, BatchResult, RowsRefused
    from opus_async.cli.target import BatchClient

_EPILOG = """\
A column fills the input of its own name: variable name or display name. 'batch validate' prints which fills
which. Cells of files hold paths relative to the manifest's folder, and in it; several, or a glob, make a
list. Rows are named by --key COLUMN, by a column 'key', or by a digest of their content, never by their line.

stdout gets the summary, stderr the progress. The first Ctrl-C begins no more rows and waits --drain seconds
for jobs near their end; the second leaves at once. Either way 'batch resume DIR' goes on, and nothing runs
twice.

examples:
  opus-async batch run invoices.csv --workflow B9uGJfZ3CFwOdMKH --out invoices
  opus-async batch run 'scans/**/*.pdf' --workflow B9uGJfZ3CFwOdMKH \\
      --out scans-batch --set Threshold=0.8
  opus-async batch run claims.xlsx --workflow B9uGJfZ3CFwOdMKH --out claims \\
      --key Number --title 'Claim {Number}' --map Scan=Document \\
      --halt soon,fail=5% --rate 20/s --timeout 2h
"""


@dataclass(frozen=True, kw_only=True)
class BatchRunOptions(ManifestOptions, SessionOptions):
    """Options of ``batch run``.

    Attributes:
        out: The batch directory.
        skip_invalid: Whether to run the other rows when some cannot be run.
    """

    out: Path | None
    skip_invalid: bool


OPTIONS = BatchRunOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = _EPILOG
    spec_options.add_manifest(parser)
    add = parser.add_argument
    add("--out", type=folder_on_disk, metavar="DIR", help="the batch directory; must not hold a batch")
    add(
        "--skip-invalid",
        action="store_true",
        help="run the others when some rows cannot be; those are failed",
    )
    add(
        "--accept-second-bill",
        action="store_true",
        help="also run rows of an earlier batch's failures.jsonl that may have been billed",
    )
    spec_options.add_outside(parser)
    spec_options.add_order(parser)
    spec_options.add_reading(parser)
    run_options.configure(parser)
    platforms.configure(parser, choose=True)


def run(options: BatchRunOptions) -> int:
    """Run the batch."""
    from opus_async.batch import RowsRefused

    options = spec_options.checked(options)
    manifest = spec_options.manifest_of(options)
    if options.out is None:
        raise WrongUse(
            "--out says where the batch lives: its ledger, its results, its report. For example: "
            f"--out {spec_options.folder_name(manifest)}"
        )
    if options.out.exists() and not options.out.is_dir():
        raise WrongUse(f"--out: {options.out} is there, and is no folder")
    order, out = spec_options.order_of(options), options.out

    async def begin(client: BatchClient, watching: BatchObserver) -> BatchResult:
        from opus_async.batch import run_batch

        return await run_batch(
            client,
            manifest,
            workflow_id=options.workflow,
            out=out,
            **order,
            **spec_options.reading_of(options),
            skip_invalid=options.skip_invalid,
            accept_second_bill=options.accept_second_bill,
            allow_outside=options.allow_outside,
            allow_queries=options.allow_queries,
            **run_options.settings_of(options),
            limit=options.limit,
            until=options.until,
            watching=watching,
        )

    try:
        return session.work(options, out, begin)
    except RowsRefused as refused:
        _tell_refused(refused, options, manifest)
        return Exit.WRONG_USE


def _tell_refused(refused: RowsRefused, options: BatchRunOptions, manifest: str) -> None:
    """Print the problems as a table, and how to see all of them."""
    from opus_async.cli.batch import validation_text

    print_error(refused.summary)
    width = shutil.get_terminal_size().columns if sys.stderr.isatty() else None
    print(validation_text.found(refused.validation.causes, width), file=sys.stderr)
    if refused.validation.outside.count:
        print_hint(f"{refused.validation.outside.summary}.")
    if option := advice(refused, platforms.target_of(options)):
        print_hint(option)
    words = ["batch", "validate", manifest, *spec_options.words(options), "--json", "problems.json"]
    if options.accept_second_bill:
        words.append("--accept-second-bill")
    print_hint(f"All of them, one by one: {command_line(*words, api=options.api)}")
