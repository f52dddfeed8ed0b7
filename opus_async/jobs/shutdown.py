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
from opus_async.jobs.halt import Halt

DRAIN_SECONDS = 30.0
"""How long an interrupted session waits, at most, for jobs that are near their end."""


class ShutdownMode(enum.IntEnum):
    """How a session is shut down; only ever escalates."""

    RUN = 0
    STOP_ADMITTING = 1
    """Admit no more rows; those in flight go on to their end."""
    DRAIN = 2
    """Admit no more rows; wait for a while, and only for those near their end."""
    CANCEL = 3
    """Leave everything as it stands."""


class StopKind(enum.StrEnum):
    """What ends a session early."""

    INTERRUPTED = "interrupted"
    """A person asked for it."""
    CANCELLED = "cancelled"
    """The task that awaited it was cancelled."""
    TOO_MANY_FAILURES = "too_many_failures"
    """The halt policy was reached."""
    KEY_REFUSED = "key_refused"
    PERMISSION_MISSING = "permission_missing"
    QUOTA_USED_UP = "quota_used_up"
    HOST_DOWN = "host_down"
    THROTTLED = "throttled"
    """The platform answered nothing but 429 for too long."""
    LEDGER_UNWRITABLE = "ledger_unwritable"
    DISK_FULL = "disk_full"
    SHORTAGE = "shortage"
    """This machine has none left of what the error names: open files, say."""
    UNREACHABLE = "unreachable"
    """The platform cannot be reached as configured."""


@dataclass(frozen=True, slots=True)
class HaltReached:
    """The failures that reached a halt policy.

    Attributes:
        policy: That was reached.
        failed: Rows of the session that ended otherwise than completed.
        ended: Rows of the session that ended.
    """

    policy: Halt
    failed: int
    ended: int


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a session ends early.

    Attributes:
        kind: What ends it.
        exit: What it means for the shell.
        error: What happened, where something did.
        halt: The failures, with ``TOO_MANY_FAILURES`` only.
    """

    kind: StopKind
    exit: Exit
    error: OpusError | None = None
    halt: HaltReached | None = None


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
        self.end(pace, Reason(StopKind.INTERRUPTED, Exit.INTERRUPTED))

    def fail_all(self, error: OpusError) -> None:
        """Something would meet every row: stop at once, and fail none of them for it."""
        pace = ShutdownMode.CANCEL if isinstance(error, LedgerError | HostDown) else ShutdownMode.DRAIN
        self.end(pace, Reason(_kind_of(error), _exit_of(error), error))


_KINDS: tuple[tuple[type[OpusError], StopKind], ...] = (
    (AuthenticationError, StopKind.KEY_REFUSED),
    (PermissionDenied, StopKind.PERMISSION_MISSING),
    (QuotaExhausted, StopKind.QUOTA_USED_UP),
    (HostDown, StopKind.HOST_DOWN),
    (RateLimited, StopKind.THROTTLED),
    (LedgerError, StopKind.LEDGER_UNWRITABLE),
)


def _kind_of(error: OpusError) -> StopKind:
    if error.shortage:
        return StopKind.SHORTAGE
    if isinstance(error, LedgerError | DownloadError) and error.disk_full:
        return StopKind.DISK_FULL
    return next((kind for type_, kind in _KINDS if isinstance(error, type_)), StopKind.UNREACHABLE)


def _exit_of(error: OpusError) -> Exit:
    stopped = isinstance(error, HostDown | RateLimited | LedgerError | DownloadError)
    return Exit.HALTED if stopped or error.shortage else Exit.NOT_ALLOWED
