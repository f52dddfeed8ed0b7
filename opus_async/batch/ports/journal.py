"""What happens to rows, as a worker reports it: the port of a worker, anywhere, to the ledger."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Protocol

from opus_async.batch.rows import RowLease, RowResult
from opus_async.manifests.file_digests import FileSignature
from opus_async.platform import Cache, StartDoubt


class Receipt(enum.Enum):
    """What becomes of a worker's report."""

    WRITTEN = "written"
    LEASE_ENDED = "lease_ended"
    """Refused: the row is not this worker's any more, and nothing more is to be done for it."""
    ID_TAKEN = "id_taken"
    """Refused: the ledger has this id of a job already, for another row or one that gave way to a new one."""


class RowJournal(Protocol):
    """Takes a worker's report of every step of its rows. A report that is refused changes nothing.

    ``start_intent``, ``parked`` and ``finished`` are durable when they return; what the others say is written
    soon, and may be lost. Each may raise :class:`opus_async.errors.LedgerError`: then nothing more may be
    ordered.
    """

    @property
    def cache(self) -> Cache:
        """Uploads and the like that the platform prepared in this batch, in whatever process."""

    async def known_files(self, paths: Sequence[str]) -> Mapping[str, FileSignature]:
        """Path -> signature of files as the batch was planned; unknown ones are left out."""

    async def some_files(self, beginning: str, at_most: int, *, inside: bool = True) -> Sequence[str]:
        """Paths of known files that begin with a text, at random, or do not; no more than so many."""

    async def begun(self, lease: RowLease) -> Receipt:
        """A planned row was started."""

    async def job_created(self, lease: RowLease, remote_id: str, generation: str) -> Receipt:
        """A job exists that is not started. Losing this costs a job without a bill."""

    async def start_intent(self, lease: RowLease, remote_id: str, generation: str) -> Receipt:
        """The order to start is about to leave: it may when this has returned ``WRITTEN``, and soon."""

    async def job_identified(self, lease: RowLease, alias: str) -> Receipt:
        """The platform gave its job a second id. Losing this costs that it is learned once more."""

    async def job_superseded(self, lease: RowLease) -> Receipt:
        """The job gave way to a new one, to be made. Losing this costs that it is asked once more."""

    async def second_start_forbidden(self, lease: RowLease, doubt: StartDoubt) -> Receipt:
        """Something was learned of the start of its job that forbids another order."""

    async def start_accepted(self, lease: RowLease) -> Receipt:
        """The platform has accepted the order."""

    async def status_seen(self, lease: RowLease, status: str) -> Receipt:
        """The platform shows another status than before."""

    async def parked(
        self, lease: RowLease, *, status: str, poll_in: float, timings: Mapping[str, float]
    ) -> Receipt:
        """The row waits for a person, to be polled again after so many seconds. Its lease ends."""

    async def finished(self, lease: RowLease, result: RowResult) -> Receipt:
        """The row has ended. A completed row's line is in ``results.jsonl``, once, when this returns."""
