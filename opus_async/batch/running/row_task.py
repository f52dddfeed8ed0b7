"""One row at work: the journal of its job, and how far it is."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from functools import partial
from typing import Any

from opus_async.batch.ports import Receipt, RowJournal
from opus_async.batch.rows import Row, RowState
from opus_async.batch.running.observation_reports import ObservationReports
from opus_async.jobs.job_run import JobRun
from opus_async.jobs.shared_errors import SharedErrors, of_store
from opus_async.models import JobStatus
from opus_async.platform import IdTaken, JobTakenAway, Stages, StartDoubt


class Phase(enum.IntEnum):
    """How far a row has come in this process, as an interrupt has to know it."""

    UNORDERED = 0
    ORDERING = 1
    """The order may leave any moment: to stop here would cost a grace to find out."""
    RUNNING = 2
    ENDING = 3


_PLANNED, _UNORDERED, _LEASE_ENDED = RowState.PLANNED, Phase.UNORDERED, Receipt.LEASE_ENDED
"""Asked for several times a row: a look into the class of an enum takes 0.1 us, one into a module 0.02."""


class RowTask:
    """One row at work. It is the journal of its job (:class:`opus_async.platform.JobJournal`).

    Args:
        row: The row, as it was handed out.
        journal: Told of every step.
        reports: Takes what the journal need not have at once.
        check_files: Raises InvalidInputs where the files of a row are not what was planned.
        suspects: Rows that others' progress may clear of suspicion.
        handed_out: When the row was handed out, by the clock of the loop.
        stages: The platform's names.
        generation: Of the platform's API, by which a new job's id is known.

    Attributes:
        lease: By what right the row is worked on.
        may_run: Whether the order to start may have left, in whatever process.
        ordered_at: When this process ordered its job, by the clock of the loop; None if it did not.
        parked: Whether it waited for a person when it was last known of it.
        phase: How far it has come here.
        settled: Whether the ledger knows how it stands, and need not be told that it was given back.
        stores: Where its documents lie, as far as they lie elsewhere.
        status: The platform's last word on its job.
        working: The task that works on it; None while its job is watched, and before it is begun.
        watched: The run of its job while that is watched, and until it is gone on with.
    """

    __slots__ = (
        "_changes",
        "_check_files",
        "_generation",
        "_handed_out",
        "_here",
        "_journal",
        "_met_before",
        "_reports",
        "_row",
        "_stages",
        "_suspects",
        "_unchecked",
        "lease",
        "may_run",
        "ordered_at",
        "parked",
        "phase",
        "settled",
        "status",
        "stores",
        "watched",
        "working",
    )

    def __init__(
        self,
        row: Row,
        journal: RowJournal,
        reports: ObservationReports[RowTask],
        check_files: Callable[[Row], Awaitable[object]],
        suspects: SharedErrors[RowTask],
        *,
        handed_out: float,
        stages: Stages,
        generation: str,
    ) -> None:
        self.lease = row.held
        self._row = row
        self._changes: dict[str, Any] = {}
        """Fields of the row that are others by now: few ask for it, and a copy costs more than a step."""
        planned = row.state is _PLANNED
        self.may_run = not planned or row.asks_first
        self.ordered_at: float | None = None
        self.phase = _UNORDERED if planned else Phase.RUNNING
        self.parked = row.state is RowState.WAITING
        self.settled = False
        self.stores: Collection[str] = ()
        self.status = row.status
        self.working: asyncio.Task[None] | None = None
        self.watched: JobRun | None = None
        self._journal = journal
        self._reports = reports
        self._check_files = check_files
        self._suspects = suspects
        self._met_before = suspects.met
        self._handed_out = handed_out
        self._stages = stages
        self._here = generation
        self._unchecked = not planned
        """Whether its files were not looked at since it was handed out."""
        self._generation = row.generation or generation

    @property
    def row(self) -> Row:
        """The row, as it stands by now."""
        if self._changes:
            self._row = replace(self._row, **self._changes)
            self._changes.clear()
        return self._row

    @property
    def handed_out(self) -> Row:
        """The row as it was handed out: what it is and what it has spent, whatever its job did since."""
        return self._row

    @property
    def index(self) -> int:
        """Its place in the manifest, from 0."""
        return self._row.index

    def waited(self) -> float | None:
        """Seconds that the row has waited for a person; None when it does not."""
        waited = self._row.waited
        if waited is None:
            return None
        return waited + asyncio.get_running_loop().time() - self._handed_out

    async def job_created(self, remote_id: str) -> None:
        """A job exists that is not started."""
        require_lease(await self._journal.job_created(self.lease, remote_id, self._generation))
        self._changes |= {"remote_id": remote_id, "generation": self._generation}
        self._suspects.passed(self._stages.prepare, self._stages.create)
        self._tell_of_stores()

    def job_identified(self, remote_id: str, alias: str) -> None:  # noqa: ARG002 - the journal's signature
        """The platform gave the job a second id."""
        self._reports.add(self, partial(self._journal.job_identified, self.lease, alias))
        self._changes["alias"] = alias

    async def start_intent(self, remote_id: str) -> None:
        """The order to start is about to leave; it may when this has returned.

        Raises:
            IdTaken: The ledger has this id for another job: it is not to be started.
        """
        if self._unchecked:  # hours may lie between: what was uploaded is sent again
            await self._check_files(self.row)
        phase, may_run = self.phase, self.may_run
        self.phase, self.may_run = Phase.ORDERING, True
        receipt = await self._journal.start_intent(self.lease, remote_id, self._generation)
        if receipt is Receipt.ID_TAKEN:
            self.phase, self.may_run = phase, may_run
            raise IdTaken(remote_id)
        require_lease(receipt)
        orders = self._changes.get("orders", self._row.orders)
        self._changes |= {"state": RowState.ORDERING, "orders": orders + 1}
        self._suspects.passed(self._stages.prepare)
        self._tell_of_stores()

    def _tell_of_stores(self) -> None:
        """Tell what it has passed where its documents lie: they were looked up, and read."""
        if not self.stores:
            return
        stages = (self._stages.bind, self._stages.prepare)
        passed = [of_store(stage, store) for store in self.stores for stage in stages]
        self._suspects.passed(*passed, since=self._met_before)

    async def begin_anew(self) -> None:
        """Its job gave way, and the row is worked on from its request on."""
        if self.row.remote_id is not None:
            await self.job_superseded(self.row.remote_id)
        self._unchecked = False

    async def job_superseded(self, remote_id: str) -> None:  # noqa: ARG002 - the journal's signature
        """The job is done with, and a new one is to be made."""
        require_lease(await self._journal.job_superseded(self.lease))
        self._row = self.row.without_job()
        self._generation, self.status = self._here, None
        self.phase, self.may_run = Phase.UNORDERED, False

    async def second_start_forbidden(
        self,
        remote_id: str,  # noqa: ARG002 - the journal's signature
        doubt: StartDoubt,
    ) -> None:
        """Something was learned of the start that forbids another order."""
        require_lease(await self._journal.second_start_forbidden(self.lease, doubt))
        self._changes["start_doubt"] = doubt

    async def start_accepted(self, remote_id: str) -> None:  # noqa: ARG002 - the journal's signature
        """The platform has accepted the order."""
        self.phase = Phase.RUNNING
        self.ordered_at = asyncio.get_running_loop().time()
        require_lease(await self._journal.start_accepted(self.lease))
        self._changes["state"] = RowState.RUNNING
        self._suspects.passed(self._stages.start)

    def status_seen(self, status: JobStatus) -> None:
        """The platform shows another status than before."""
        self.status = str(status)
        self.parked = self.parked and status == JobStatus.WAITING
        if not status.is_terminal:  # its end is written a moment later, with all that belongs to it
            self._reports.add(self, partial(self._journal.status_seen, self.lease, self.status))


def require_lease(receipt: Receipt) -> None:
    """Raise JobTakenAway where a report was refused because the row is another worker's by now."""
    if receipt is _LEASE_ENDED:
        raise JobTakenAway
