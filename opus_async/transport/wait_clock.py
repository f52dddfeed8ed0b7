"""For how long the requests of one job waited for their turn: a slot, a rate, the end of a pause.

A job's requests can overlap: several files, say. Time counts as waited for while at least one of them waits
and none of them is on the wire.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

__all__ = ["WaitClock", "wait_clock"]


class WaitClock:
    """Measures the waits of requests that are made in one context; see :data:`wait_clock`."""

    __slots__ = ("_on_the_wire", "_since", "_waited", "_waiting")

    def __init__(self) -> None:
        self._waiting = self._on_the_wire = 0
        self._waited = self._since = 0.0

    def wait_begins(self) -> None:
        """A request begins to wait."""
        self._count()
        self._waiting += 1

    def wait_ends(self) -> None:
        """A request waits no more."""
        self._count()
        self._waiting -= 1

    def sending_begins(self) -> None:
        """A request leaves."""
        if self._waiting:
            self._count()
        self._on_the_wire += 1

    def sending_ends(self) -> None:
        """A request was answered, or failed."""
        if self._waiting:
            self._count()
        self._on_the_wire -= 1

    def take(self) -> float:
        """Seconds waited for until now, and since this was last asked."""
        if self._waiting:
            self._count()
        waited, self._waited = self._waited, 0.0
        return waited

    def _count(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._waiting and not self._on_the_wire:
            self._waited += now - self._since
        self._since = now


class _Unmeasured(WaitClock):
    """Where nobody wants to know."""

    def wait_begins(self) -> None: ...

    def wait_ends(self) -> None: ...

    def sending_begins(self) -> None: ...

    def sending_ends(self) -> None: ...


_UNMEASURED = _Unmeasured()
wait_clock: ContextVar[WaitClock] = ContextVar("opus_async wait clock", default=_UNMEASURED)
"""The clock of the job that the current task works for."""
