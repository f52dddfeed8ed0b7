"""Refusals that may be one row's or every row's: what becomes of other rows at the same stage tells.

A row that met one is put aside, neither failed nor given back. Another row that gets past that stage shows
that it was the first one's own. Several in a row that do not, or none that does, show that it is every row's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, NamedTuple, TypeVar

from opus_async.errors import OpusError

WorkT = TypeVar("WorkT")

WITNESSES = 3
"""Rows that must meet the same before it is believed of all: two odd ones may stand beside each other."""


class SuspectRow(NamedTuple, Generic[WorkT]):
    """A row that was put aside, and what it met."""

    work: WorkT
    error: OpusError


class SharedErrors(Generic[WorkT]):
    """The rows that are put aside in one session."""

    def __init__(self) -> None:
        self._open: dict[str, list[SuspectRow[WorkT]]] = {}
        self._own: list[SuspectRow[WorkT]] = []
        self._passed: set[str] = set()

    def add(self, work: WorkT, error: OpusError) -> bool:
        """Put a row aside; returns whether there are enough now to believe it of all rows."""
        met = self._open.setdefault(error.stage or "", [])
        met.append(SuspectRow(work, error))
        return len(met) >= WITNESSES

    def passed(self, *stages: str) -> None:
        """A row got past these stages: what others met there was their own."""
        for stage in stages:
            self._passed.add(stage)
            self._own += self._open.pop(stage, ())

    def own(self) -> list[SuspectRow[WorkT]]:
        """Those whose trouble was proved to be their own since this was last asked."""
        own, self._own = self._own, []
        return own

    def conclude(self, *, has_run: bool) -> OpusError | None:
        """No other row comes any more: what is left in doubt is a row's own if ever one got past its stage.

        Args:
            has_run: Whether a row of this batch has ever completed.

        Returns:
            What every row met that tried; None when nothing of the kind is left.
        """
        for stage in list(self._open):
            if has_run or stage in self._passed:
                self._own += self._open.pop(stage)
        return next((doubted.error for met in self._open.values() for doubted in met), None)

    def left(self) -> Iterable[WorkT]:
        """The rows that are still in doubt."""
        return [doubted.work for met in self._open.values() for doubted in met]
