"""How far down a list is read: to a row that was at its top at some earlier moment.

Pure: no clock, no asyncio.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from opus_async.operativus.models import Run

OVERLAP = 20
"""Rows that are read below that one as well. Rows are listed by when they were created, and can become
visible in another order: of those that a server makes at the same time one may show a moment later, below the
first."""
WIDE_OVERLAP = 200
"""The same where the absence of a row decides whether a run is ordered again."""
NO_RUN = ""
"""The id of no run: a row with it stands for a moment alone."""
CLOCK_STEP = timedelta(hours=2)
"""By how much a server's clock may have been put back: rows that it makes then stand among those of the hours
before. Servers tell local times, too, of which an hour comes twice in autumn."""


@dataclass(frozen=True, slots=True)
class TopRow:
    """The row that was at the top of a list at some moment: what came later stands above it.

    Attributes:
        run_id: None where the list was empty: all that is in it came later.
        created_at: By the server's clock; compared with times of the same clock alone.
    """

    run_id: str | None
    created_at: datetime | None = None

    @classmethod
    def of(cls, run: Run | None) -> Self:
        """Made of the row at the top; None where there was none."""
        return cls(None) if run is None else cls(run.id, run.created_at)

    @property
    def age_order(self) -> float:
        """Lower for a row that is older; the lowest where its time is not told."""
        return -math.inf if self.created_at is None else self.created_at.timestamp()

    @property
    def before_clock_step(self) -> TopRow:
        """One below which no row stands that came later, also where the clock was put back meanwhile."""
        return self if self.created_at is None else TopRow(NO_RUN, self.created_at - CLOCK_STEP)

    def is_at_or_above(self, run: Run) -> bool:
        """Whether a row is this one, or stands below it."""
        if self.run_id is None:
            return False
        if run.id == self.run_id:
            return True
        if self.created_at is None or run.created_at is None:
            return False
        return run.created_at < self.created_at

    def is_below(self, run: Run) -> bool:
        """Whether a row is known to be newer, and so to stand above it."""
        return self.created_at is not None and run.created_at is not None and run.created_at > self.created_at


BOTTOM = TopRow(None)
"""The end of the list."""


class Target:
    """A row that a reading goes down to, from the top.

    Args:
        row: The row.
        overlap: Rows that are read below it.
    """

    __slots__ = ("_left", "_met", "_row")

    def __init__(self, row: TopRow, overlap: int = OVERLAP) -> None:
        self._row = row
        self._met = False
        self._left = overlap

    def passes(self, run: Run) -> None:
        """Take the next row into account."""
        if self._met:
            self._left -= not self._row.is_below(run)  # one that came while the list was read is none of them
        else:
            self._met = self._row.is_at_or_above(run)

    @property
    def is_reached(self) -> bool:
        """Whether enough was read."""
        return self._met and self._left <= 0
