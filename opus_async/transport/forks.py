"""Detects the use of a client where it cannot work: in a forked child, or in another event loop.

A forked child has the client's memory but none of its threads and loops. Its copy of a connection is the
parent's connection: a byte that it sent, or the end of TLS that it said, would go out in the middle of what
the parent sends. Connections, locks and tasks belong to one event loop; in another one they wait for ever.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import Callable

from opus_async.errors import ConfigurationError


class _Here:
    """This process, by its id: ``os.getpid`` is a system call, and each request asks."""

    process = os.getpid()


class Maker:
    """The process that made an object and the loop that used it first, checked before the object is used.

    Attributes:
        process: The process id.
    """

    _loop: weakref.ref[asyncio.AbstractEventLoop] | None = None

    def __init__(self) -> None:
        self.process = _Here.process

    @property
    def is_here(self) -> bool:
        """Whether this is that process, and no fork of it."""
        return self.process == _Here.process

    @property
    def is_in_loop(self) -> bool:
        """Whether the running loop is the first that used the object, or none has yet."""
        return self._loop is None or self._loop() is running_loop()

    def check(self) -> asyncio.AbstractEventLoop | None:
        """Raise an error in a fork of that process, and in another loop than the first one.

        Returns:
            The running loop, for whoever needs it next: asking for it costs a system call; None where none
            runs.

        Raises:
            ConfigurationError: It says what to do.
        """
        if self.process != _Here.process:
            raise ConfigurationError(
                f"This client was made by process {self.process}, and this process ({_Here.process}) is a "
                f"fork of that one: connections and event loop are the parent's. Make a client here, after "
                f"the fork; nothing was sent"
            )
        loop = running_loop()
        if loop is None:
            return None
        if self._loop is None:
            self._loop = weakref.ref(loop)
        elif (first := self._loop()) is not loop:
            other = (
                "an event loop that has ended" if first is None or first.is_closed() else "another event loop"
            )
            raise ConfigurationError(
                f"This client was used in {other}, to which its connections belong. Make a client in this "
                f"loop (inside of the coroutine that asyncio.run runs), and close it there; nothing was sent"
            )
        return loop


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that runs in this thread; None where none does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def loop_time() -> float:
    """The clock of the event loop that runs in this thread, in seconds."""
    return asyncio.get_running_loop().time()


def in_child(call: Callable[[], None]) -> None:
    """Register a function to be called in every forked child, where this system forks."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=call)


def _take_note() -> None:
    _Here.process = os.getpid()


in_child(_take_note)
