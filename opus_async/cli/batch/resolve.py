"""``opus-async batch resolve``: records what became of rows that are unknown, as a person decides it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from opus_async.batch.choices import DECISIONS
from opus_async.cli import platforms
from opus_async.cli.batch import existing_batch, status_text
from opus_async.cli.errors import Exit, WrongUse, as_called, print_error, print_hint
from opus_async.cli.event_loop import drive
from opus_async.cli.options import ConnectionOptions
from opus_async.cli.streams import deliver
from opus_async.cli.tables import columns, terminal_width
from opus_async.cli.target import Target
from opus_async.text import counted

if TYPE_CHECKING:
    from opus_async.batch.ledger.stored import StoredRow
    from opus_async.batch.meta import BatchMeta
    from opus_async.config import RetryPolicy

_SHOWN = 50
"""Unknown rows that are listed at most."""

_EPILOG = """\
A row is unknown when its order may have been obeyed and nothing shows whether it was, or when it completed
and its results cannot be had. 'batch resume' looks again; 'opus-async audit JOB' shows what a job has done.
Then:

  --as done     it ran: it counts as completed, with no outputs in results.jsonl
  --as failed   it did not, and is to stay so
  --as retry    it did not: the next resume asks its job once more, and makes a new one unless it ran

A row whose job was started, as the ledger or the platform shows, is refused as failed and as retry. Without a
key, or where the platform cannot be asked, the ledger alone decides.

examples:
  opus-async batch resolve invoices-batch --as done    lists the unknown rows
  opus-async batch resolve invoices-batch --as done 2031 2044
  opus-async batch resolve invoices-batch --as retry --all
"""


@dataclass(frozen=True, kw_only=True)
class ResolveOptions(ConnectionOptions):
    """Options of ``batch resolve``.

    Attributes:
        directory: The batch directory.
        keys: The keys of the rows that are decided about.
        decided: The decision, one of ``DECISIONS``, and more keys that were typed behind it.
        all: Whether the decision is about all rows that are unknown.
        accept_second_bill: Whether rows whose jobs were started may be called failed, or run again.
    """

    directory: Path
    keys: Sequence[str]
    decided: Sequence[str]
    all: bool
    accept_second_bill: bool


OPTIONS = ResolveOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = _EPILOG
    add = parser.add_argument
    add("directory", type=Path, metavar="DIR", help="the batch directory")
    add("keys", nargs="*", metavar="KEY", help="of the rows")
    add(
        "--as",
        dest="decided",
        required=True,
        nargs="+",
        metavar=("DECISION", "KEY"),
        help="done, retry or failed; keys may stand behind it",
    )
    add("--all", action="store_true", help="of all rows that are unknown")
    add(
        "--accept-second-bill",
        action="store_true",
        help="call rows failed, or try them again, whose jobs were started: they are billed, or will be",
    )
    platforms.configure(parser)


def run(options: ResolveOptions) -> int:
    """Record a decision; without rows, list those that are unknown."""
    from opus_async.batch.outputs.status import read_status

    meta = existing_batch.read_meta(options.directory)
    decision, *behind = options.decided
    keys = [*options.keys, *behind]
    if decision not in DECISIONS:
        raise WrongUse(f"--as says done, retry or failed, not {decision!r}")
    if bool(keys) == options.all:
        _list_unknown(options, existing_batch.target_of(options, meta))
        return Exit.WRONG_USE
    number = drive(_decide(options, meta, decision, keys))
    print(f"{counted(number, 'row')} decided: {decision}", file=sys.stderr)
    if (loss := deliver(status_text.as_text(read_status(options.directory)))) is not None:
        print_error(f"stdout cannot be written: {loss.reason}; the decision is recorded")
    return Exit.OK


async def _decide(options: ResolveOptions, meta: BatchMeta, decision: str, keys: Sequence[str]) -> int:
    """Record the decision, checked against the platform where it can be asked; returns the number of rows."""
    from opus_async.batch import resolve_batch
    from opus_async.errors import LedgerError, ManifestError, OpusError

    decide = partial(
        resolve_batch,
        options.directory,
        decision,
        keys=keys or None,
        accept_second_bill=options.accept_second_bill,
    )
    if decision == "done" or options.accept_second_bill:
        return await decide()
    try:
        there = existing_batch.restore_connection(options, meta)
        async with platforms.connect(there, retry=_impatient()) as client:
            return await decide(client=client)
    except (LedgerError, ManifestError):
        raise
    except OpusError as error:
        print(f"opus-async: the platform was not asked, the ledger decides: {error.message}", file=sys.stderr)
    return await decide()


def _impatient() -> RetryPolicy:
    """A policy that soon gives up: a person waits, and the ledger can answer instead."""
    from opus_async.config import RetryPolicy

    return RetryPolicy(attempts=3, max_elapsed=10, cap=2)


def _list_unknown(options: ResolveOptions, target: Target) -> None:
    """Print the rows that are unknown, and how to decide about them."""
    from opus_async.batch.ledger.reader import LedgerReader
    from opus_async.batch.rows import RowState

    with LedgerReader(options.directory) as ledger:
        count = ledger.counts().unknown
        rows = list(islice(ledger.rows([RowState.UNKNOWN]), _SHOWN))
    if not rows:
        print_error("no row is unknown: there is nothing to decide")
        return
    shown = [(row.key, row.remote_id or "-", _why(row)) for row in rows]
    print(columns([("KEY", "JOB", "WHY"), *shown], width=terminal_width()))
    more = f" (these are the first {_SHOWN})" if count > len(rows) else ""
    are = counted(count, "row is", "rows are")
    print_error(f"{are} unknown{more}: name keys to decide about, or all with --all")
    if rows[0].remote_id and (look := target.look(rows[0].remote_id)):
        print_hint(f"What the first one has done: {look}")


def _why(row: StoredRow) -> str:
    return as_called(row.error or "")
