"""Rows by state."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many rows are in each state.

    Attributes:
        planned: Rows that are not begun, or of which nothing was ordered yet.
        ordering: Rows whose order was or may have been sent, and is not confirmed.
        running: Rows whose jobs run.
        waiting: Rows parked for a person.
        completed: Rows whose jobs completed.
        failed: Rows whose jobs failed, or that could not be run.
        cancelled: Rows whose jobs were cancelled.
        timed_out: Rows whose jobs the platform timed out.
        unknown: Rows of which it is not known how they ended.
    """

    planned: int = 0
    ordering: int = 0
    running: int = 0
    waiting: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    timed_out: int = 0
    unknown: int = 0

    @property
    def total(self) -> int:
        """All rows."""
        return self.planned + self.in_flight + self.ended

    @property
    def in_flight(self) -> int:
        """Rows for which the platform may be at work."""
        return self.ordering + self.running + self.waiting

    @property
    def ended(self) -> int:
        """Rows that have ended, completed or not."""
        return self.completed + self.not_completed

    @property
    def not_completed(self) -> int:
        """Rows that ended otherwise than completed."""
        return self.failed + self.cancelled + self.timed_out + self.unknown
