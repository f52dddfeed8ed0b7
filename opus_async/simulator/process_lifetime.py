"""When the simulator ends: a signal, the end of standard input, or the end of a command it runs."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CANNOT_START = 127
# A shell reports a command that a signal ended as 128 and the signal's number.
SIGNALLED = 128


async def until_ended(*, die_with_stdin: bool, feed: Callable[[bytes], object] = len) -> None:
    """Wait for Ctrl-C, SIGTERM or SIGHUP, and if asked for the end of standard input.

    Args:
        die_with_stdin: Whether to read standard input, and end with it.
        feed: Told what comes in there.
    """
    ended = asyncio.Event()
    with _signals(lambda _: ended.set()):
        if not die_with_stdin:
            await ended.wait()
            return
        with _watch_stdin(feed, ended.set):
            await ended.wait()


async def run_command(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command with more environment, pass signals on to it, and return its exit code.

    The folder of this Python comes first on its PATH: ``-- python my.py`` must find the package, whether or
    not a virtual environment was activated.
    """
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    try:
        child = await asyncio.create_subprocess_exec(
            *command, env={**os.environ, "PATH": path, **environment}
        )
    except OSError as error:
        sys.stderr.write(f"opus-async simulate: cannot run {command[0]}: {error.strerror}\n")
        return CANNOT_START

    def pass_on(number: signal.Signals) -> None:
        # On a terminal, Ctrl-C has reached the command already: it is in the same foreground group.
        if number is signal.SIGINT and _in_foreground():
            return
        with suppress(ProcessLookupError):
            child.send_signal(number)

    with _signals(pass_on):
        code = await child.wait()
    return code if code >= 0 else SIGNALLED - code


@contextmanager
def _signals(handle: Callable[[signal.Signals], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in ENDING:
        loop.add_signal_handler(number, handle, number)
    try:
        yield
    finally:
        for number in ENDING:
            loop.remove_signal_handler(number)


@contextmanager
def _watch_stdin(feed: Callable[[bytes], object], on_end: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    if sys.stdin is None:  # closed before we began: it has ended
        on_end()
        yield
        return
    descriptor = sys.stdin.fileno()

    def readable() -> None:
        if piece := os.read(descriptor, 65536):
            feed(piece)
        else:
            loop.remove_reader(descriptor)
            on_end()

    loop.add_reader(descriptor, readable)
    try:
        yield
    finally:
        loop.remove_reader(descriptor)


def _in_foreground() -> bool:
    try:
        return sys.stdin is not None and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False
