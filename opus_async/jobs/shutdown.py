"""How a session is brought to an end before its rows are: asked by a person, a policy or a failure."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from opus_async.errors import (
    AuthenticationError,
    DownloadError,
    HostDown,
    LedgerError,
    OpusError,
    PermissionDenied,
    QuotaExhausted,
    RateLimited,
)
from opus_async.exits import Exit

DRAIN_SECONDS = 30.0
"""How long an interrupted session waits, at most, for jobs that are near their end."""


class ShutdownMode(enum.IntEnum):
    """How a session goes on; it only ever rises."""

    RUN = 0
    STOP_ADMITTING = 1
    """Admit no more rows; those in flight go on to their end."""
    DRAIN = 2
    """Likewise, but only for a while, and only those near their end."""
    CANCEL = 3
    """Leave everything as it stands."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a session ends early.

    Attributes:
        text: One sentence without a secret.
        exit: What it means for the shell.
        error: What happened, where something did.
    """

    text: str
    exit: Exit
    error: OpusError | None = None


class ShutdownControl:
    """Brings a session to its end; safe to call from signal handlers of the event loop.

    Attributes:
        pace: How it goes on.
        reason: Why it ends early; None as long as it does not. The first reason stays, but for an
            interrupt, which a person asked for.
    """

    def __init__(self, *, drain_seconds: float = DRAIN_SECONDS) -> None:
        self.pace = ShutdownMode.RUN
        self.reason: Reason | None = None
        self.drain_seconds = drain_seconds
        self._changed = asyncio.Event()

    @property
    def admitting(self) -> bool:
        """Whether rows may be begun."""
        return self.pace is ShutdownMode.RUN

    async def changed(self) -> None:
        """Wait until the pace rises."""
        await self._changed.wait()

    async def wait_or_shutdown(self, wait: Coroutine[Any, Any, None]) -> None:
        """Wait for this, but no longer than until the pace rises."""
        tasks = [asyncio.ensure_future(wait), asyncio.ensure_future(self.changed())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def end(self, pace: ShutdownMode, reason: Reason) -> None:
        """Go on like this from here on, or faster."""
        if self.reason is None or (reason.exit is Exit.INTERRUPTED and self.reason.exit is not reason.exit):
            self.reason = reason
        if pace <= self.pace:
            return
        self.pace = pace
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def interrupt(self) -> None:
        """Ctrl-C: the first time drain, the second time leave."""
        pace = ShutdownMode.DRAIN if self.pace < ShutdownMode.DRAIN else ShutdownMode.CANCEL
        self.end(pace, Reason("interrupted", Exit.INTERRUPTED))

    def fail_all(self, error: OpusError) -> None:
        """Something would meet every row: stop at once, and fail none of them for it."""
        pace = ShutdownMode.CANCEL if isinstance(error, LedgerError | HostDown) else ShutdownMode.DRAIN
        self.end(pace, Reason(_named(error), _exit_of(error), error))


_NAMES: tuple[tuple[type[OpusError], str], ...] = (
    (AuthenticationError, "the key was refused"),
    (PermissionDenied, "a permission is missing"),
    (QuotaExhausted, "the quota is used up"),
    (HostDown, "a host did not answer"),
    (RateLimited, "the platform answered nothing but 429"),
    (LedgerError, "the ledger cannot be written"),
)


def _named(error: OpusError) -> str:
    if error.shortage:
        return f"this machine has no {error.shortage} left"
    if isinstance(error, LedgerError | DownloadError) and error.disk_full:
        return "the disk is full"
    known = (name for kind, name in _NAMES if isinstance(error, kind))
    return next(known, "the platform cannot be reached as configured")


def _exit_of(error: OpusError) -> Exit:
    stopped = isinstance(error, HostDown | RateLimited | LedgerError | DownloadError)
    return Exit.HALTED if stopped or error.shortage else Exit.NOT_ALLOWED
