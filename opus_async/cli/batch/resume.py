"""``opus-async batch resume``: goes on with a batch."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opus_async.cli import platforms
from opus_async.cli.batch import existing_batch, run_options, session, spec_options
from opus_async.cli.batch.run_options import SessionOptions
from opus_async.cli.batch.spec_options import SpecOptions
from opus_async.cli.errors import Exit

if TYPE_CHECKING:
    from opus_async.batch import BatchObserver, BatchResult
    from opus_async.batch.meta import BatchMeta
    from opus_async.cli.target import BatchClient

_EPILOG = """\
Rows that may be running are looked at first; unknown ones are looked at again; then the rest is begun. What
is not given stays as it was: limits and waits, host, generation of the API. The key, limits and paths may be
others than before. What changes results (workflow, version, --map, --set, templates, --key) only with
--force, and only for rows not begun yet. A manifest that has grown or was re-ordered is taken up by the
keys of its rows.

A copy of the folder, a ledger that was put back from a backup or has lost its ledger.db-wal, and lines of
results.jsonl that it does not know, may mean rows that were billed without its knowledge: that is told, and
nothing is run (exit code 2) unless --accept-second-bill says that this folder is the one that goes on.

examples:
  opus-async batch resume invoices-batch
  opus-async batch resume invoices-batch --max-in-flight 100 --rate 10/s
  opus-async batch resume invoices-batch --manifest moved/invoices.csv
"""


@dataclass(frozen=True, kw_only=True)
class ResumeOptions(SpecOptions, SessionOptions):
    """Options of every verb that goes on with a batch.

    Attributes:
        directory: The batch directory.
        manifest: The path of the manifest, if it has moved.
        force: Whether to go on although something that changes results has changed.
        accept_second_bill: Whether to run rows again that may have run, and may have been billed.
    """

    directory: Path
    manifest: str | None
    force: bool
    accept_second_bill: bool


OPTIONS = ResumeOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = _EPILOG
    add_resume_arguments(parser)


def add_resume_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of every verb that goes on with a batch."""
    add = parser.add_argument
    add("directory", type=Path, metavar="DIR", help="the batch directory")
    add("--manifest", metavar="PATH", help="where the manifest is now, if it has moved")
    add("--force", action="store_true", help="go on although something that changes results is another now")
    add(
        "--accept-second-bill",
        action="store_true",
        help="run rows that have run, or may have, although they may be billed again; for this command alone",
    )
    spec_options.add_outside(parser)
    spec_options.add_order(parser)
    run_options.configure(parser)
    platforms.configure(parser)


def run(options: ResumeOptions) -> int:
    """Resume the batch."""
    meta = existing_batch.read_meta(options.directory)
    return existing_batch.going_on(options, meta, _resume)


def _resume(options: ResumeOptions, meta: BatchMeta) -> Exit:
    async def go_on(client: BatchClient, watching: BatchObserver) -> BatchResult:
        from opus_async.batch import resume_batch

        return await resume_batch(client, options.directory, watching=watching, **changes(options))

    return session.work(options, options.directory, go_on, meta=meta)


def changes(options: ResumeOptions) -> dict[str, Any]:
    """The arguments of ``resume_batch`` and ``retry_batch`` that say what has changed."""
    return {
        "manifest": options.manifest,
        "order": spec_options.order_of(options),
        "settings": run_options.settings_of(options),
        "force": options.force,
        "accept_second_bill": options.accept_second_bill,
        "allow_outside": options.allow_outside,
        "allow_queries": options.allow_queries,
        "limit": options.limit,
        "until": options.until,
    }
