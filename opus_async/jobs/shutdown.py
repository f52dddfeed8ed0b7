"""Ends a session early: a person asked for it, the halt policy was reached, or all rows would fail."""

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
    InvalidInputs,
    LedgerError,
    OpusError,
    PermissionDenied,
    QuotaExhausted,
    RateLimited,
    StoreUnavailable,
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
    """End at once; jobs that run go on remotely."""


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
    """This machine ran out of what the error names: open files, say."""
    STORE_UNAVAILABLE = "store_unavailable"
    """The store of documents gave none out, or refused them all."""
    UNREACHABLE = "unreachable"
    """The platform cannot be reached as configured."""
    OBJECTIVE_LOST = "objective_lost"
    """An objective of a load test cannot be met any more."""
    LIMIT_REACHED = "limit_reached"
    """As many rows as were asked for have been begun, and have ended."""
    ALL_ORDERED = "all_ordered"
    """Every row is ordered, and no more was asked for."""


@dataclass(frozen=True, slots=True)
class HaltReached:
    """The failures that reached a halt policy.

    Attributes:
        policy: The policy that was reached.
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
        exit: The exit code that it leads to.
        error: What happened, where something did.
        halt: The failures, with ``TOO_MANY_FAILURES`` only.
    """

    kind: StopKind
    exit: Exit
    error: OpusError | None = None
    halt: HaltReached | None = None


class ShutdownControl:
    """The shutdown of one session; safe to call from signal handlers of the event loop.

    Args:
        drain_seconds: How long DRAIN waits for jobs, at most.

    Attributes:
        mode: How the session goes on.
        reason: Why it ends early; None as long as it does not. The first reason stays, but for an
            interrupt, which a person asked for.
    """

    def __init__(self, *, drain_seconds: float = DRAIN_SECONDS) -> None:
        self.mode = ShutdownMode.RUN
        self.reason: Reason | None = None
        self.drain_seconds = drain_seconds
        self._changed = asyncio.Event()

    @property
    def admitting(self) -> bool:
        """Whether rows may be begun."""
        return self.mode is ShutdownMode.RUN

    async def changed(self) -> None:
        """Wait until the mode escalates."""
        await self._changed.wait()

    async def wait_or_shutdown(self, wait: Coroutine[Any, Any, None]) -> None:
        """Wait for a coroutine, but no longer than until the mode escalates; then it is cancelled."""
        tasks = [asyncio.ensure_future(wait), asyncio.ensure_future(self.changed())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def end(self, mode: ShutdownMode, reason: Reason) -> None:
        """Escalate to this mode; a lower one than now changes nothing."""
        if self.reason is None or (reason.exit is Exit.INTERRUPTED and self.reason.exit is not reason.exit):
            self.reason = reason
        if mode <= self.mode:
            return
        self.mode = mode
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def interrupt(self) -> None:
        """Escalate as at Ctrl-C: the first time to DRAIN, the second time to CANCEL."""
        mode = ShutdownMode.DRAIN if self.mode < ShutdownMode.DRAIN else ShutdownMode.CANCEL
        self.end(mode, Reason(StopKind.INTERRUPTED, Exit.INTERRUPTED))

    def fail_all(self, error: OpusError) -> None:
        """Stop for an error that every row would meet; no row fails for it."""
        mode = ShutdownMode.CANCEL if isinstance(error, LedgerError | HostDown) else ShutdownMode.DRAIN
        self.end(mode, Reason(_kind_of(error), _exit_of(error), error))


_KINDS: tuple[tuple[type[OpusError], StopKind], ...] = (
    (AuthenticationError, StopKind.KEY_REFUSED),
    (PermissionDenied, StopKind.PERMISSION_MISSING),
    (QuotaExhausted, StopKind.QUOTA_USED_UP),
    (HostDown, StopKind.HOST_DOWN),
    (StoreUnavailable, StopKind.STORE_UNAVAILABLE),
    (InvalidInputs, StopKind.STORE_UNAVAILABLE),
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
