"""Ctrl-C and SIGTERM while many jobs run: a session of a batch, a load test."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import asyncio

    from opus_async.jobs.shutdown import ShutdownControl

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SECOND = "Ctrl-C again leaves at once."


class Begun(Protocol):
    """Tells whether jobs are being run."""

    @property
    def attached(self) -> bool:
        """Whether they are."""


class NoticePrinter:
    """Prints notices beside the display.

    Args:
        say: Prints one.

    Attributes:
        closing: A sentence to be printed after the next notice, once.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.closing = ""
        self._say = say

    def __call__(self, text: str) -> None:
        """Print one."""
        after, self.closing = self.closing, ""
        self._say(f"{text} {after}" if after else text)


@contextmanager
def interruptible(
    control: ShutdownControl, progress: Begun, notices: NoticePrinter
) -> Iterator[asyncio.Event]:
    """Handle Ctrl-C and SIGTERM inside of a ``with`` block that is the task of a session.

    Before a job was begun the first of them cancels the task. Later the first drains the session, the second
    leaves at once. The one after that goes the ordinary way, and cancels what is still done to leave.

    Args:
        control: Ends the session early.
        progress: Tells whether jobs are being run.
        notices: Prints what happens.

    Yields:
        An event that is set by the first signal.
    """
    import asyncio

    from opus_async.jobs.shutdown import ShutdownMode

    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    before: dict[signal.Signals, Any] = {}
    interrupted = asyncio.Event()

    def restore() -> None:
        for number, handler in before.items():
            if loop.remove_signal_handler(number):
                signal.signal(number, handler)

    def interrupt() -> None:
        again = interrupted.is_set()
        interrupted.set()
        if progress.attached:
            control.interrupt()
            if control.mode is ShutdownMode.CANCEL:
                notices.closing = ""
                notices("Leaving.")
            else:  # what is waited for is told first, as soon as it is known
                notices.closing = _SECOND
        elif task is not None:
            task.cancel()
        if again:
            restore()

    # Where there are no such handlers, in another thread say, Ctrl-C cancels the task: that leaves at once.
    with suppress(NotImplementedError, RuntimeError, ValueError):
        for number in _SIGNALS:
            handler = signal.getsignal(number)
            loop.add_signal_handler(number, interrupt)
            before[number] = handler
    try:
        yield interrupted
    finally:
        restore()
