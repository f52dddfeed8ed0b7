"""Working on a batch at a terminal: the client, the display, Ctrl-C, and what is told in the end."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from opus_async.cli import connection, errors
from opus_async.cli.batch import run_options, status_text
from opus_async.cli.batch.run_options import PaceOptions
from opus_async.cli.errors import Exit, Interrupted, WrongUse, print_hint
from opus_async.cli.options import ConnectionOptions
from opus_async.cli.program import command_line
from opus_async.cli.tables import printable
from opus_async.errors import ConfigurationError, HostDown, LedgerError, OpusError
from opus_async.events import HostState, HostTroubled
from opus_async.text import counted, elapsed

if TYPE_CHECKING:
    import asyncio

    from opus_async.batch import BatchObserver, BatchResult, ShutdownControl
    from opus_async.batch.meta import BatchMeta
    from opus_async.cli.display import Board
    from opus_async.events import Event
    from opus_async.metrics.progress import Progress
    from opus_async.opus.client import OpusClient


ConnectionT = TypeVar("ConnectionT", bound=ConnectionOptions)
Work = Callable[["OpusClient", "BatchObserver"], Awaitable["BatchResult"]]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SECOND = "Ctrl-C again leaves at once."


def work(options: PaceOptions, directory: Path, doing: Work, *, meta: BatchMeta | None = None) -> Exit:
    """Work on a batch, and tell what came of it.

    Args:
        options: Of the command.
        directory: Of the batch.
        doing: What is to be done.
        meta: Of the ledger, when there is one already.

    Raises:
        Interrupted: Before any row was begun.
        OpusError: It cannot be begun; no row was.
    """
    try:
        result = connection.drive(_watched(options, directory.absolute().name, doing, meta))
    except KeyboardInterrupt:
        raise Interrupted(_goes_on(directory, "what was begun goes on remotely")) from None
    if result is None:
        raise Interrupted(_goes_on(directory, "no row was begun by this command"))
    print_result(result, options)
    return result.exit_code


async def _watched(
    options: PaceOptions, title: str, doing: Work, meta: BatchMeta | None
) -> BatchResult | None:
    """Work on it, drawn and interruptible; None when it was interrupted before a row was begun."""
    import asyncio

    from opus_async.batch import BatchObserver, ShutdownControl
    from opus_async.batch.observer import why_ending
    from opus_async.cli import display
    from opus_async.metrics.progress import Progress

    control, progress = ShutdownControl(), Progress()
    progress.preparing = "reading the workflow"
    board = display.make(progress, title, plain=options.debug)
    progress.why_ending = partial(why_ending, control)
    voice = NoticePrinter(board.say)
    watching = BatchObserver(
        control=control, progress=progress, notice=voice, planning=partial(_prepare, progress)
    )
    limits = run_options.limits_of(options, meta.client.limits if meta else {})
    retry = run_options.retry_of(options, meta.client.retry if meta else {})
    trouble = partial(_tell_trouble, board)
    with _interruptible(control, progress, voice) as interrupted:
        try:
            async with (
                connection.connect(options, limits=limits, retry=retry, listeners=[trouble]) as opus,
                display.Showing(board),
            ):
                return await doing(opus, watching)
        except asyncio.CancelledError:
            if interrupted.is_set() and not progress.following:
                return None
            raise


class NoticePrinter:
    """Says what a person should know while it runs.

    Args:
        say: Says it.

    Attributes:
        last_words: Said with the next sentence, after it, and once.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.last_words = ""
        self._say = say

    def __call__(self, text: str) -> None:
        """Say it."""
        after, self.last_words = self.last_words, ""
        self._say(f"{text} {after}" if after else text)


def _prepare(progress: Progress, what: str, number: int) -> None:
    progress.preparing = f"{counted(number, 'row')} {what}"


def _tell_trouble(board: Board, event: Event) -> None:
    """Say once when a host is gone, given up or back: a log that is read later has it."""
    if not isinstance(event, HostTroubled):
        return
    if event.state is HostState.UP:
        board.say(f"{event.host} answers again, after {elapsed(event.seconds)}")
    elif event.state is HostState.GIVEN_UP:
        board.say(f"{event.host} is given up, after {elapsed(event.seconds)}")
    else:
        board.say(f"{event.host} does not answer ({event.reason}); what needs it waits")


@contextmanager
def _interruptible(
    control: ShutdownControl, progress: Progress, voice: NoticePrinter
) -> Iterator[asyncio.Event]:
    """Ctrl-C and SIGTERM: before a row was begun they end the command, then they drain, then they leave.

    A third one goes the ordinary way, and cancels what is still done to leave.
    """
    import asyncio

    from opus_async.jobs.shutdown import ShutdownMode

    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    interrupted = asyncio.Event()

    def restore() -> None:
        for number, handler in before.items():
            if loop.remove_signal_handler(number):
                signal.signal(number, handler)

    def interrupt() -> None:
        again = interrupted.is_set()
        interrupted.set()
        if progress.following:
            control.interrupt()
            if control.mode is ShutdownMode.CANCEL:
                voice.last_words = ""
                voice("Leaving.")
            else:  # what is waited for is told first, as soon as it is known
                voice.last_words = _SECOND
        elif task is not None:
            task.cancel()
        if again:
            restore()

    # Where there are no such handlers, in another thread say, Ctrl-C cancels the task: that leaves at once.
    with suppress(NotImplementedError, RuntimeError, ValueError):
        for number in _SIGNALS:
            loop.add_signal_handler(number, interrupt)
    try:
        yield interrupted
    finally:
        restore()


def _goes_on(directory: Path, what: str) -> str:
    from opus_async.layout import LEDGER

    if not (directory / LEDGER).exists():
        return "no row was begun, and nothing is there to resume: run the same command again."
    return f"{what}; '{command_line('batch', 'resume', str(directory))}' goes on."


def print_result(result: BatchResult, options: PaceOptions) -> None:
    """What came of it: on stdout how the batch stands, on stderr what ended it early."""
    resume = command_line("batch", "resume", str(result.directory))
    if options.json:
        print(json.dumps(result.summary, indent=2, ensure_ascii=False))
    else:
        from opus_async.batch.outputs.status import read_status

        print(status_text.as_text(read_status(result.directory)))
    if result.error is not None:
        errors.report(_of_no_row(result.error), debug=options.debug, api=options.api)
        print_hint(f"No row failed for this. When it is mended, go on: {resume}")
        if isinstance(result.error, HostDown):
            print_hint("With --outage SECONDS it is waited for longer.")


def _of_no_row(error: Exception) -> Exception:
    """The error without the job it was met at: what to do about that one is for the resume."""
    error = copy(error)
    if isinstance(error, OpusError):
        error.job_id = error.stage = None
    return error


def existing(directory: Path) -> BatchMeta:
    """What the ledger in a directory knows of its batch.

    Raises:
        WrongUse: There is none.
        LedgerError: It cannot be read.
    """
    from opus_async.batch.ledger.reader import LedgerReader
    from opus_async.layout import LEDGER

    try:
        with LedgerReader(directory) as ledger:
            return ledger.meta
    except LedgerError as error:
        if (directory / LEDGER).exists():
            raise
        raise WrongUse(error.message) from None


def restore_connection(options: ConnectionT, meta: BatchMeta) -> ConnectionT:
    """Ask where the batch was begun: its jobs are known to one host, and to one generation of the API.

    ``--api`` goes before, and so does ``OPUS_BASE_URL``; ``OPUS_API`` is for batches that begin.

    Returns:
        The options with the generation that is asked.

    Raises:
        ConfigurationError: Only the ledger names the host, and it is another machine's: a directory can come
            from somebody else, who may not lead the key there.
    """
    import os

    from opus_async.opus.settings import DEFAULT_BASE_URL
    from opus_async.transport.urls import is_loopback

    options.env_file.load()
    if options.api is None:
        options = replace(options, api=meta.fingerprint.generation)
    host = meta.fingerprint.host
    if host and host != DEFAULT_BASE_URL and not os.environ.get("OPUS_BASE_URL"):
        if not is_loopback(host):
            raise ConfigurationError(
                f"The batch was begun at {printable(host)}, says its directory, and nobody else does: "
                "nothing was sent. If the key belongs there, set OPUS_BASE_URL to it"
            )
        os.environ["OPUS_BASE_URL"] = host
        print(f"opus-async: asking {host}, where the batch was begun", file=sys.stderr)
    return options
