"""The rows of a batch: states, leases, results. Frozen values, free of I/O."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple

from opus_async.cheap_dataclass import cheap_dataclass
from opus_async.platform import StartDoubt

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class RowState(enum.StrEnum):
    """Where a row stands, as the ledger writes it."""

    PLANNED = "planned"
    """Nothing was ordered. Files may be uploaded, and a shell may be there to be used."""
    ORDERING = "ordering"
    """The intent to start it is durable; the order may have left."""
    RUNNING = "running"
    """The platform has accepted it; its results are not here yet."""
    WAITING = "waiting"
    """Parked: it waits for a person, and holds no slot."""
    COMPLETED = "completed"
    FAILED = "failed"
    """It failed on the platform, or it is proved that nothing was started."""
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    UNKNOWN = "unknown"
    """How it ended cannot be told, or what it left cannot be had: a later look, or a person, decides."""


IN_FLIGHT = frozenset({RowState.ORDERING, RowState.RUNNING, RowState.WAITING})
"""States in which the platform may be at work, and a bill under way."""
UNBILLED = frozenset({RowState.FAILED, RowState.CANCELLED, RowState.TIMED_OUT})
"""States that are known to cost nothing: such a row may be run again."""
ENDED = UNBILLED | {RowState.COMPLETED, RowState.UNKNOWN}
"""States that nothing but a resume, a retry or a decision changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierJob:
    """The job that a row had in an earlier batch, and that was ordered there.

    Attributes:
        remote_id: The platform's id of it.
        world: Where it was made; see :mod:`opus_async.batch.world`.
        digest: Of the row when it was made: what it was made for; None when that was not kept.
        state: How that batch left the row.
    """

    remote_id: str
    world: Mapping[str, Any]
    digest: str | None
    state: RowState


@cheap_dataclass(kw_only=True)
class NewRow:
    """A row as the manifest has it now, on its way into the ledger.

    Attributes:
        index: Its place in the manifest, from 0.
        key: What names it; from a column, or from its content.
        digest: SHA-256 in hex of what it asks for, file contents included: the same key with another digest
            is a changed row.
        cells: Column -> value, globs expanded, as JSON can hold it.
        key_given: Whether the key stands in the manifest. One made from content gets ``~n`` when it comes
            again; a given one may come again only with the same digest.
        problem: Why it cannot be run at all; then it is planned as failed.
        possible_second_bill: Why an earlier batch may have billed it; then it is planned as unknown, for a
            person to decide.
        accepted: Whether a second bill is accepted for it, this time; then it is planned all the same.
        earlier: Its job of an earlier batch, which is asked before another is made.
        location: Where it stands in the manifest, in words: ``line 18``; None where that is not known.
    """

    index: int
    key: str
    digest: str
    cells: Mapping[str, Any]
    key_given: bool = False
    problem: str | None = None
    possible_second_bill: str | None = None
    accepted: bool = False
    earlier: EarlierJob | None = None
    location: str | None = None


class RowLease(NamedTuple):
    """One worker's right to work on one row, and to report what happens to it.

    Attributes:
        row: The ledger's own number of the row.
        owner: The worker.
        epoch: Of the worker's lease: a later lease of the same worker has a higher one.
    """

    row: int
    owner: str
    epoch: int


@cheap_dataclass(kw_only=True)
class Row:
    """A row as the ledger hands it out to a worker.

    Attributes:
        id: The ledger's own number for it.
        index: Its place in the manifest, from 0.
        key: What names it.
        cells: Column -> value.
        state: Where it stood when it was handed out.
        remote_id: The platform's id of its job; None before one exists.
        alias: The second id that the platform gave its job later, where it has one.
        generation: Of the platform's API, by which the id is known; None as long as there is no id.
        status: The platform's last word on it; None when there was none.
        orders: How many orders to start it were made durable.
        attempts: How often it was taken up from the beginning, this time included.
        started_at: When it was first taken up, in seconds since the epoch; None if never.
        waiting_since: Since when it waits for a person; None when it does not.
        timings: Seconds per stage that earlier processes spent on it.
        retried_from: How it had ended when a person wanted it tried again (``FAILED`` where that was said of
            an unknown one): its job, if it has one, is asked before another is made. None once that is done.
        elsewhere: Whether its job was made in another world than this session works in.
        other_inputs: Whether its job was made for something else than the row asks for now.
        start_doubt: What was learned of the start of its job that forbids another order.
        overtaken: Whether its order may or may not have left, and one that a later session sent is known to
            have been obeyed.
        waited: Seconds that it had waited for a person when it was handed out; None when it does not wait.
        location: Where it stands in the manifest, in words (``line 18``); None where that is not known.
        lease: By what right it is worked on, to be shown with every report; None when it is only looked at.
    """

    id: int
    index: int
    key: str
    cells: Mapping[str, Any] = field(repr=False)
    state: RowState = RowState.PLANNED
    remote_id: str | None = None
    alias: str | None = None
    generation: str | None = None
    status: str | None = None
    orders: int = 0
    attempts: int = 1
    started_at: float | None = None
    waiting_since: float | None = None
    timings: Mapping[str, float] = field(default_factory=lambda: _NOTHING, repr=False)
    retried_from: RowState | None = None
    elsewhere: bool = False
    other_inputs: bool = False
    start_doubt: StartDoubt | None = None
    overtaken: bool = False
    waited: float | None = field(default=None, compare=False)
    location: str | None = field(default=None, compare=False)
    lease: RowLease | None = field(default=None, compare=False)

    @property
    def held(self) -> RowLease:
        """The lease of a row that was handed out."""
        assert self.lease is not None  # noqa: S101 - who works on a row was handed it
        return self.lease

    @property
    def asks_first(self) -> bool:
        """Whether its job is asked what became of it before anything else."""
        if self.remote_id is None:
            return False
        return self.retried_from is not None or (self.other_inputs and self.state is RowState.UNKNOWN)

    @property
    def is_new(self) -> bool:
        """Whether a job is to be made for it before anything is asked."""
        return self.state is RowState.PLANNED and not self.asks_first

    def without_job(self) -> Row:
        """The row as it stands when its job gave way and a new one is to be made."""
        return replace(
            self,
            state=RowState.PLANNED,
            remote_id=None,
            alias=None,
            generation=None,
            status=None,
            orders=0,
            retried_from=None,
            elsewhere=False,
            other_inputs=False,
            start_doubt=None,
        )


@cheap_dataclass(kw_only=True)
class RowResult:
    """How a row ended.

    Attributes:
        state: One of ``ENDED``.
        status: The platform's terminal status; None when none is known.
        stage: The platform's stage in which it ended.
        remote_id: Its job, where there is one.
        timings: Seconds per stage, and ``total``; see :class:`opus_async.outcome.JobOutcome`.
        error: What went wrong, in sentences and without a secret; None when nothing did.
        error_type: The name of the error's class.
        cause: The same for all rows that failed for the same reason: what reports group by.
        line: Its line of ``results.jsonl``, with the line end; only for a completed row.
        files: Files that were fetched for it.
        key: What names the row, for whoever shows that it failed; None where it completed.
        location: Where it stands in the manifest; None where it completed.
    """

    state: RowState
    status: str | None = None
    stage: str | None = None
    remote_id: str | None = None
    timings: Mapping[str, float] = field(default_factory=lambda: _NOTHING)
    error: str | None = None
    error_type: str | None = None
    cause: str | None = None
    line: bytes | None = None
    files: tuple[FetchedFile, ...] = ()
    key: str | None = None
    location: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedFile:
    """A result file that lies in the batch directory.

    Attributes:
        name: The output's display name.
        path: Relative to the batch directory, with forward slashes.
        size: Bytes.
        sha256: Hex digest, computed while it came in.
    """

    name: str
    path: str
    size: int
    sha256: str
