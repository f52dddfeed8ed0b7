"""Runs a load at a terminal: the client, the display, Ctrl-C."""

from __future__ import annotations

import gc
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from opus_async.cli import host_trouble, metrics, platforms, web
from opus_async.cli.errors import Interrupted, print_error
from opus_async.cli.event_loop import drive
from opus_async.cli.interrupts import NoticePrinter, interruptible
from opus_async.cli.load.load_options import LoadOptions, limits_of
from opus_async.cli.streams import deliver

if TYPE_CHECKING:
    from opus_async.events import Listener
    from opus_async.load import Client, LoadObserver
    from opus_async.load.report.live import LiveReport
    from opus_async.load.search import Search
    from opus_async.load.summary import RunSummary, SearchSummary

ResultT = TypeVar("ResultT")
SummaryT = TypeVar("SummaryT", bound="RunSummary | SearchSummary")
Connect = Callable[[], "AbstractAsyncContextManager[Client]"]
Doing = Callable[[Connect, "LoadObserver"], Awaitable[ResultT]]
"""Runs a load with clients that are made so, and reports to an observer."""


def work(options: LoadOptions, doing: Doing[ResultT], live: Callable[[], LiveReport]) -> ResultT:
    """Run a load.

    Args:
        options: Of the command.
        doing: Runs it.
        live: Makes what the live page shows, where there is one.

    Raises:
        Interrupted: Before any job was started, or a second time: nothing more is known of it.
        OpusError: It cannot begin.
    """
    result = drive(cast("Coroutine[Any, Any, ResultT | None]", _watched(options, doing, live)))
    if result is None:
        raise Interrupted("no job was started")
    return result


def tell(summary: SummaryT, options: LoadOptions, text_of: Callable[[SummaryT], str]) -> None:
    """Print a summary, as JSON or as text."""
    from opus_async.load.summary import as_json

    text = as_json(summary).decode().rstrip() if options.json else text_of(summary)
    if (loss := deliver(text)) is not None:
        print_error(f"stdout cannot be written: {loss.reason}; the summary is in {options.out}")


async def _watched(
    options: LoadOptions, doing: Doing[ResultT], live: Callable[[], LiveReport]
) -> ResultT | None:
    """Run it with a display; None when Ctrl-C came before any job was started."""
    import asyncio

    from opus_async.cli.streams import SafeStream, controls
    from opus_async.jobs.shutdown import ShutdownControl
    from opus_async.load import LoadObserver
    from opus_async.load.display import LoadProgress, make
    from opus_async.progress.display import DisplayTask

    control, progress = ShutdownControl(drain_seconds=options.drain), LoadProgress()
    board = make(
        progress, options.out.name, plain=options.debug, guard=SafeStream, stream=controls(sys.stderr)
    )
    notices = NoticePrinter(board.say)
    observer = LoadObserver(control=control, notice=notices, begun=progress.begin, stepped=progress.stepped)

    gc.collect()
    gc.freeze()  # what is there stays: a collection in the middle of a run would only look through it again
    with interruptible(control, progress, notices) as interrupted:
        try:
            with metrics.listeners(options, board.say) as measuring:
                connect = partial(_connect, options, [host_trouble.listener(board.say), *measuring])
                async with web.live_page(options, live, board.say) as page, DisplayTask(board):
                    return await doing(connect, observer if page is None else _followed(observer, page))
        except asyncio.CancelledError:
            if interrupted.is_set() and not progress.attached:
                return None
            raise


def _followed(observer: LoadObserver, page: LiveReport) -> LoadObserver:
    """An observer that a live page is told by, too."""

    def stepped(search: Search) -> None:
        observer.stepped(search)
        page.stepped(search)

    return replace(observer, following=page.follow, stepped=stepped)


def _connect(options: LoadOptions, listeners: Sequence[Listener]) -> AbstractAsyncContextManager[Client]:
    client = platforms.connect(options, limits=limits_of(options), listeners=listeners)
    return cast("AbstractAsyncContextManager[Client]", client)
