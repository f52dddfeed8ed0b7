"""The clock of a ledger: wall time that is read once a session and then only goes forward."""

from __future__ import annotations

import time
from collections.abc import Callable


class SteadyClock:
    """Seconds since the epoch, whatever becomes of the machine's clock meanwhile.

    Args:
        wall: Seconds since the epoch; may jump.
        monotonic: Seconds; may not.
    """

    def __init__(
        self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self.restart()

    def restart(self) -> None:
        """Re-anchor to the wall clock; called when a session begins."""
        self._began_at, self._began = self._wall(), self._monotonic()

    def now(self) -> float:
        """The time, in seconds since the epoch."""
        return self._began_at + self._monotonic() - self._began
