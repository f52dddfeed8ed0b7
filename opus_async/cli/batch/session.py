"""Runs a session of a batch at a terminal: the client, the display, and the summary at the end."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from opus_async.cli import error_report, host_trouble, metrics, platforms, web
from opus_async.cli.batch import existing_batch, run_options
from opus_async.cli.batch.run_options import SessionOptions
from opus_async.cli.errors import Exit, Interrupted, print_error, print_hint
from opus_async.cli.event_loop import drive
from opus_async.cli.interrupts import NoticePrinter, interruptible
from opus_async.cli.program import command_line
from opus_async.cli.streams import deliver
from opus_async.cli.target import Target
from opus_async.errors import HostDown, OpusError, StoreUnavailable
from opus_async.text import counted

if TYPE_CHECKING:
    from opus_async.batch import BatchObserver, BatchResult
    from opus_async.batch.meta import BatchMeta
    from opus_async.cli.target import BatchClient
    from opus_async.live_page.source import Source
    from opus_async.metrics.progress import Progress

Work = Callable[["BatchClient", "BatchObserver"], Awaitable["BatchResult"]]
"""Runs, resumes or retries a batch with a client, and reports to an observer."""


def work(options: SessionOptions, directory: Path, doing: Work, *, meta: BatchMeta | None = None) -> Exit:
    """Run a session of a batch, and print its summary.

    Args:
        options: Of the command.
        directory: The batch directory.
        doing: Runs, resumes or retries the batch.
        meta: What the ledger knows of the batch, when there is one already.

    Returns:
        The exit code.

    Raises:
        Interrupted: Before any row was begun.
        OpusError: The session cannot begin; no row was begun.
    """
    target = existing_batch.target_of(options, meta) if meta else platforms.target_of(options)
    try:
        result = drive(_watched(options, directory, doing, meta, target=target))
    except KeyboardInterrupt:
        raise Interrupted(_goes_on(directory, "what was begun goes on remotely")) from None
    if result is None:
        raise Interrupted(_goes_on(directory, "no row was begun by this command"))
    print_result(result, options, target)
    return result.exit_code


async def _watched(
    options: SessionOptions, directory: Path, doing: Work, meta: BatchMeta | None, *, target: Target
) -> BatchResult | None:
    """Run the session with a display, until it ends or Ctrl-C does; None when no row was begun by then."""
    import asyncio

    from opus_async.batch import BatchObserver, ShutdownControl
    from opus_async.batch.observer import why_ending
    from opus_async.cli.batch import pauses
    from opus_async.cli.streams import SafeStream, controls
    from opus_async.metrics.progress import Progress
    from opus_async.progress import display

    words = pauses.checked_command(options, target)
    control, progress = ShutdownControl(), Progress()
    progress.preparing = "reading the workflow"
    board = display.make(
        progress, _title(directory), plain=options.debug, guard=SafeStream, controls=controls(sys.stderr)
    )
    progress.why_ending = partial(why_ending, control)
    notices = NoticePrinter(board.say)
    watching = BatchObserver(
        control=control,
        progress=progress,
        notice=notices,
        planning=partial(_prepare, progress),
        paused=pauses.PauseTeller(board.say, target, directory),
    )
    limits = run_options.limits_of(options, meta.client.limits if meta else {})
    retry = run_options.retry_of(options, meta.client.retry if meta else {})
    with interruptible(control, progress, notices) as interrupted:
        try:
            with metrics.listeners(options, board.say) as measuring:
                listeners = [host_trouble.listener(board.say, progress), *measuring]
                async with (
                    web.live_page(options, partial(_live_batch, directory, progress), board.say),
                    platforms.connect(options, limits=limits, retry=retry, listeners=listeners) as client,
                    display.DisplayTask(board),
                ):
                    answer = pauses.answering(client, target, words, options, board.say)
                    return await doing(client, replace(watching, on_pause=answer))
        except asyncio.CancelledError:
            if interrupted.is_set() and not progress.attached:
                return None
            raise


def _live_batch(directory: Path, progress: Progress) -> Source:
    from opus_async.batch.report.live import LiveBatch

    return LiveBatch(directory, lambda: progress.preparing)


def _title(directory: Path) -> str:
    """The name of the batch directory, for the display."""
    return directory.absolute().name


def _prepare(progress: Progress, what: str, number: int) -> None:
    progress.preparing = f"{counted(number, 'row')} {what}"


def _goes_on(directory: Path, what: str) -> str:
    """How an interrupted command is gone on with."""
    from opus_async.layout import LEDGER

    if not (directory / LEDGER).exists():
        return "no row was begun, and nothing is there to resume: run the same command again."
    return f"{what}; '{command_line('batch', 'resume', str(directory))}' goes on."


def print_result(result: BatchResult, options: SessionOptions, target: Target) -> None:
    """Print how the batch stands on stdout, and on stderr the error that ended the session early, if any."""
    resume = command_line("batch", "resume", str(result.directory))
    if options.json:
        text = json.dumps(result.summary, indent=2, ensure_ascii=False)
    else:
        from opus_async.batch.outputs.status import read_status
        from opus_async.cli.batch import status_text

        text = status_text.as_text(read_status(result.directory))
    if (loss := deliver(text)) is not None:
        status = command_line("batch", "status", str(result.directory))
        print_error(f"stdout cannot be written: {loss.reason}; how the batch stands is printed by: {status}")
    if result.error is not None:
        error_report.report(_of_no_row(result.error), debug=options.debug, target=target)
        print_hint(f"No row failed for this. When it is mended, go on: {resume}")
        if isinstance(result.error, HostDown | StoreUnavailable):
            print_hint("With --outage TIME (30m, 2h) it is waited for longer.")


def _of_no_row(error: Exception) -> Exception:
    """A copy of the error without the job it was met at: a resume takes care of that one."""
    error = copy(error)
    if isinstance(error, OpusError):
        error.job_id = error.stage = None
    return error
