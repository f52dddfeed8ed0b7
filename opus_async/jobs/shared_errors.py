"""Errors that may be one row's or every row's: what becomes of other rows at the same stage tells.

What a store of documents does is told by rows with documents of the same store: each stage of a store is one
of its own (:func:`of_store`).

A row that met one is put aside, neither failed nor given back. Another row that gets past that stage shows
that it was the first one's own. Several in a row that do not, or none that does, show that it is every row's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, NamedTuple, TypeVar

from opus_async.errors import InvalidInputs, OpusError, StoreUnavailable
from opus_async.input_problems import ProblemCode
from opus_async.remote_urls import store_of

WorkT = TypeVar("WorkT")

WITNESSES = 3
"""Rows that must meet an error before it counts as every row's: two odd rows may be neighbours."""


def of_store(stage: str, store: str) -> str:
    """The name of a stage as far as the documents of one store are concerned."""
    return f"{stage} {store}"


def store_in(error: OpusError) -> str | None:
    """The store of documents that an error is about: it gave none out, or refused them; None for no such."""
    if isinstance(error, StoreUnavailable):
        return error.store
    if isinstance(error, InvalidInputs) and error.problems:
        first = error.problems[0]
        denied = all(problem.code is ProblemCode.FILE_DENIED for problem in error.problems)
        return store_of(first.file) if denied and first.file else None
    return None


def _stage_of(error: OpusError) -> str:
    stage, store = error.stage or "", store_in(error)
    return stage if store is None else of_store(stage, store)


class SuspectRow(NamedTuple, Generic[WorkT]):
    """A row that was put aside, and the error that it met."""

    work: WorkT
    error: OpusError


class SharedErrors(Generic[WorkT]):
    """The rows that are put aside in one session."""

    def __init__(self) -> None:
        self._open: dict[str, list[SuspectRow[WorkT]]] = {}
        self._own: list[SuspectRow[WorkT]] = []
        self._passed: set[str] = set()

    def add(self, work: WorkT, error: OpusError) -> bool:
        """Put a row aside; returns whether the error now counts as every row's."""
        met = self._open.setdefault(_stage_of(error), [])
        met.append(SuspectRow(work, error))
        return len(met) >= WITNESSES

    def passed(self, *stages: str) -> None:
        """Note that a row got past these stages: errors that others met there were their own."""
        self._passed.update(stages)
        if self._open:
            for stage in stages:
                self._own += self._open.pop(stage, ())

    def own(self) -> list[SuspectRow[WorkT]]:
        """Take the rows whose error proved to be their own since the last call."""
        own, self._own = self._own, []
        return own

    def conclude(self, *, has_run: bool) -> OpusError | None:
        """Decide when no more rows come: an error is a row's own if any row ever got past that stage.

        Args:
            has_run: Whether a row of this batch has ever completed.

        Returns:
            The error of every row; None when none is left in doubt.
        """
        for stage in list(self._open):
            if has_run or stage in self._passed:
                self._own += self._open.pop(stage)
        return next((doubted.error for met in self._open.values() for doubted in met), None)

    def left(self) -> Iterable[WorkT]:
        """The rows that are still in doubt."""
        return [doubted.work for met in self._open.values() for doubted in met]
