"""``opus-async batch retry``: runs rows again that did not complete; their old jobs are asked first."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opus_async.batch.choices import RETRIED
from opus_async.cli.batch import existing_batch, session
from opus_async.cli.batch.resume import ResumeOptions, add_resume_arguments, changes
from opus_async.cli.errors import Exit

if TYPE_CHECKING:
    from opus_async.batch import BatchObserver, BatchResult
    from opus_async.batch.meta import BatchMeta
    from opus_async.cli.target import BatchClient

_DEFAULT = ("failed", "cancelled")

_EPILOG = """\
The old job of each row is asked first: one that has completed meanwhile is collected, one that runs is waited
for, and only one that ended badly or never started gives way to a new job. Where that cannot be told the row
is unknown. Rows not begun yet go on with it. An unknown job may have been billed, and may still run: 'batch
resume' looks at it again, 'batch resolve' decides. --accept-second-bill holds for this command alone.

examples:
  opus-async batch retry invoices-batch
  opus-async batch retry invoices-batch --only failed
  opus-async batch retry invoices-batch --only unknown --accept-second-bill
"""


@dataclass(frozen=True, kw_only=True)
class RetryOptions(ResumeOptions):
    """Options of ``batch retry``.

    Attributes:
        only: States whose rows are run again, of ``RETRIED``; None for failed and cancelled ones.
    """

    only: Sequence[str] | None


OPTIONS = RetryOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "--only",
        action="extend",
        type=_states,
        metavar="STATE",
        help=f"{', '.join(RETRIED)}; several with commas (failed,cancelled); what timed out is failed",
    )
    add_resume_arguments(parser)


def run(options: RetryOptions) -> int:
    """Run the rows again."""
    meta = existing_batch.read_meta(options.directory)
    return existing_batch.going_on(options, meta, _retry)


def _retry(options: RetryOptions, meta: BatchMeta) -> Exit:
    async def again(client: BatchClient, watching: BatchObserver) -> BatchResult:
        from opus_async.batch import retry_batch

        return await retry_batch(
            client,
            options.directory,
            only=tuple(dict.fromkeys(options.only or _DEFAULT)),
            watching=watching,
            **changes(options),
        )

    return session.work(options, options.directory, again, meta=meta)


def _states(text: str) -> list[str]:
    """Read states with commas between them, for argparse."""
    states = [word.strip() for word in text.split(",")]
    if strange := [word for word in states if word not in RETRIED]:
        raise argparse.ArgumentTypeError(f"choose from {', '.join(RETRIED)}, not {strange[0]!r}")
    return states
