"""Errors that may be one row's or every row's: what becomes of other rows at the same stage tells.

What a store of documents does is told by rows with documents of the same store: each stage of a store is one
of its own (:func:`of_store`).

A row that met one is put aside, neither failed nor given back. Another row that gets past that stage shows
that it was the first one's own. Several in a row that do not, or none that does, show that it is every row's.

What every row with a document of one store would meet does not keep the others: that store is given up for
this session (:meth:`SharedErrors.give_up`), and its rows stay as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from copy import copy
from typing import Generic, NamedTuple, TypeVar

from opus_async.errors import InvalidInputs, OpusError, StoreUnavailable, UploadError
from opus_async.input_problems import ProblemCode
from opus_async.remote_urls import store_of

WorkT = TypeVar("WorkT")

WITNESSES = 3
"""Rows that must meet an error before it counts as every row's: two odd rows may be neighbours."""
_MOST_LEFT = 50_000
"""Rows of stores that are given up, some 2 KB each, before the session ends for them."""


def of_store(stage: str, store: str) -> str:
    """The name of a stage as far as the documents of one store are concerned."""
    return f"{stage} {store}"


def store_in(error: OpusError) -> str | None:
    """The store of documents that an error is about: it gave none out, or refused them; None for no such."""
    if isinstance(error, StoreUnavailable):
        return error.store
    if isinstance(error, UploadError):
        return error.refused_by
    if isinstance(error, InvalidInputs) and error.problems:
        first = error.problems[0]
        denied = all(problem.code is ProblemCode.FILE_DENIED for problem in error.problems)
        return store_of(first.file) if denied and first.file else None
    return None


def _stage_of(error: OpusError) -> str:
    stage, store = error.stage or "", store_in(error)
    return stage if store is None else of_store(stage, store)


def _named(error: OpusError) -> Iterator[str]:
    if isinstance(error, StoreUnavailable):
        yield error.document
    elif isinstance(error, InvalidInputs):
        yield from (problem.file for problem in error.problems if problem.file)


class SuspectRow(NamedTuple, Generic[WorkT]):
    """A row that was put aside, and the error that it met."""

    work: WorkT
    error: OpusError


class _Met(NamedTuple, Generic[WorkT]):
    """A row in doubt, and how many errors had been met before its own."""

    number: int
    doubted: SuspectRow[WorkT]


class SharedErrors(Generic[WorkT]):
    """The rows that are put aside in one session.

    Attributes:
        met: How many errors were met so far.
    """

    def __init__(self) -> None:
        self.met = 0
        self._open: dict[str, list[_Met[WorkT]]] = {}
        self._own: list[SuspectRow[WorkT]] = []
        self._passed: set[str] = set()
        self._given_up: dict[str, OpusError] = {}
        self._left: list[SuspectRow[WorkT]] = []

    def add(self, work: WorkT, error: OpusError) -> bool:
        """Put a row aside; returns whether the error now counts as every row's."""
        doubted = SuspectRow(work, error)
        if store_in(error) in self._given_up:
            self._left.append(doubted)
            return len(self._left) >= _MOST_LEFT
        met = self._open.setdefault(_stage_of(error), [])
        met.append(_Met(self.met, doubted))
        self.met += 1
        return len(met) >= WITNESSES

    def documents(self, error: OpusError) -> Collection[str]:
        """The documents of the rows that are put aside with errors at the same stage, as errors name them."""
        return {each for _, doubted in self._open.get(_stage_of(error), ()) for each in _named(doubted.error)}

    def give_up(self, store: str, error: OpusError) -> None:
        """Leave the rows that met this, and those to come, for a session in which their store is back."""
        self._given_up[store] = error
        for met in self._open.values():
            self._left += [doubted for _, doubted in met if store_in(doubted.error) == store]
            met[:] = [each for each in met if store_in(each.doubted.error) != store]

    @property
    def any_given_up(self) -> bool:
        """Whether a store was given up."""
        return bool(self._given_up)

    def given_up(self, stores: Collection[str]) -> OpusError | None:
        """What a row with documents of these stores would meet, where one of them was given up."""
        return next((copy(self._given_up[store]) for store in stores if store in self._given_up), None)

    def passed(self, *stages: str, since: int | None = None) -> None:
        """Note that a row got past these stages: errors that others met there were their own.

        Args:
            stages: The stages.
            since: How many errors had been met when the row began: of later ones it tells nothing. None for a
                row that tells of all.
        """
        self._passed.update(stages)
        if not self._open:
            return
        for stage in stages:
            later = []
            for each in self._open.pop(stage, ()):
                if since is None or each.number < since:
                    self._own.append(each.doubted)
                else:
                    later.append(each)
            if later:
                self._open[stage] = later

    def own(self) -> list[SuspectRow[WorkT]]:
        """Take the rows whose error proved to be their own since the last call."""
        own, self._own = self._own, []
        return own

    def stores_in_doubt(self) -> Mapping[str, OpusError]:
        """The stores of the rows that are in doubt, and what one of them met; not those given up."""
        errors = [doubted.error for met in self._open.values() for _, doubted in met]
        return {store: error for error in errors if (store := store_in(error)) is not None}

    def conclude(self, *, has_run: bool) -> OpusError | None:
        """Decide when no more rows come: an error is a row's own if any row ever got past that stage.

        Args:
            has_run: Whether a row of this batch has ever completed.

        Returns:
            The error of every row; None when none is left in doubt.
        """
        for stage in list(self._open):
            if has_run or stage in self._passed:
                self._own += [doubted for _, doubted in self._open.pop(stage)]
        return next((doubted.error for doubted in self._in_doubt()), None)

    def left(self) -> Iterable[WorkT]:
        """The rows that are still in doubt."""
        return [doubted.work for doubted in self._in_doubt()]

    def _in_doubt(self) -> Iterator[SuspectRow[WorkT]]:
        for met in self._open.values():
            yield from (doubted for _, doubted in met)
        yield from self._left
