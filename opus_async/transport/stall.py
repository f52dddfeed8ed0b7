"""Detects an upload that moves no bytes.

Bytes handed to the kernel are not bytes moved: its send buffer holds megabytes, which a slow line takes long
to drain while no further chunk goes out. So the kernel's queue is checked too, where it can be.
"""

from __future__ import annotations

import asyncio
import select
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Protocol

_CHECKS = 8
"""Checks per stall time: a stall is noticed at most an eighth late."""


class Moving(Protocol):
    """A body on its way.

    Attributes:
        sent: Bytes handed to the connection so far.
        transport: The connection; None before writing begins.
    """

    sent: int
    transport: asyncio.Transport | None


class StallWatch:
    """Breaks a connection when a body has not moved for some seconds.

    Args:
        stall: Seconds.
        body: What should move.

    Attributes:
        expired: Whether it has broken the connection.
    """

    def __init__(self, stall: float, body: Moving) -> None:
        self.expired = False
        self._step = stall / _CHECKS
        self._body = body
        self._handle: asyncio.TimerHandle | None = None
        self._seen: tuple[int, int] | None = None
        self._still = 0
        self._waiting = 0

    def start(self) -> None:
        """Begin to check; there is a connection now."""
        if self._handle is None:
            self._handle = asyncio.get_running_loop().call_later(self._step, self._check)

    def stop(self) -> None:
        """Stop checking."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Count the length of a block as no stall: it waits on purpose."""
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1
            self._still = 0

    def _check(self) -> None:
        seen = (self._body.sent, _queued(self._body.transport))
        self._still = 0 if self._waiting or seen != self._seen else self._still + 1
        self._seen = seen
        if self._still >= _CHECKS and self._body.transport is not None:
            self._handle = None
            self.expired = True
            self._body.transport.abort()
        else:
            self._handle = asyncio.get_running_loop().call_later(self._step, self._check)


def early_answer(transport: asyncio.Transport | None) -> Callable[[], object]:
    """Make a check, one system call long, of whether the other side has sent something or closed already.

    Sending on into a closed connection brings a reset, and a reset can swallow the answer that tells why.
    """
    number = None if transport is None else _fileno(transport)
    if number is None or not hasattr(select, "poll"):
        return bool
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return partial(poll.poll, 0)


def _queued(transport: asyncio.Transport | None) -> int:
    """Bytes in the kernel that the other side has not acknowledged; 0 where that cannot be known."""
    number = None if transport is None else _fileno(transport)
    if number is None:
        return 0
    with suppress(ImportError, OSError, AttributeError):
        import fcntl  # noqa: PLC0415 - most uploads end before they are checked; Windows has neither
        import termios  # noqa: PLC0415 - Windows has none

        answer: bytes = fcntl.ioctl(number, termios.TIOCOUTQ, b"\0\0\0\0")
        return int(struct.unpack("i", answer)[0])
    return 0


def _fileno(transport: asyncio.Transport) -> int | None:
    sock = transport.get_extra_info("socket")
    number = -1 if sock is None else sock.fileno()
    return None if number < 0 else int(number)
