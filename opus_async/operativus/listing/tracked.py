"""What is known of one run that is looked after: its rows, where they stood, and which pause was answered.

Pure: no clock, no asyncio.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from opus_async.models import JobStatus
from opus_async.operativus.listing.depth import BOTTOM, TopRow
from opus_async.operativus.models import Run
from opus_async.operativus.protocol.statuses import is_open, run_of_session

RESUMED = "resumed"
"""What stands in ``raw`` of the status of a run whose pause was answered, until it has left that pause."""


@dataclass(slots=True)
class Row:
    """One row of the list, as it was seen last.

    Attributes:
        run: The run.
        place: Rows that stood above it then.
        total: Rows in the list then; None where the server does not tell.
        reading: The number of the reading that showed it last.
    """

    run: Run
    place: int
    total: int | None
    reading: int

    def expected(self, total: int | None) -> int | None:
        """Where it stands in a list of so many rows, if those that are new stand above it."""
        if total is None or self.total is None:
            return None
        return self.place + max(total - self.total, 0)


@dataclass(frozen=True, slots=True)
class PauseSeen:
    """A pause by what a row shows of it: the same run, waiting for the same thing at the same step."""

    run_id: str
    word: str
    step_order: int | None

    @classmethod
    def of(cls, run: Run) -> PauseSeen:
        """The pause that a run is in."""
        return cls(run.id, run.status.raw, run.step_order)


@dataclass(slots=True, kw_only=True)
class Tracked:
    """One run that is looked after, by its session or by its own id.

    Attributes:
        key: The id by which it is asked about.
        users: How many look after it at the same time.
        unread: The rows down to this one have not been looked through for it yet; None where all have been
            that can be its own.
        since: No row of it stands below this one.
        alias: The id of a row of it that an earlier process knew; None once it was seen, or where none is
            known.
        elsewhere: Whether it was made for another workflow, whose list this is not.
        rows: Its rows by run id: a server that starts a run again makes another one.
        answered: The pause that was answered last, until it was seen to be over.
        is_told: Whether it was told that it has a row.
        answered_before: The pause of which it was found that an earlier process has answered it.
        looked_at: When the last reading began that would have shown any row of it, in seconds of the loop's
            clock.
        reread_at: When all rows since it was ordered were looked through for it last.
    """

    key: str
    users: int = 1
    unread: TopRow | None
    since: TopRow
    alias: str | None = None
    elsewhere: bool = False
    rows: dict[str, Row] = field(default_factory=dict)
    answered: PauseSeen | None = None
    answered_before: PauseSeen | None = None
    is_told: bool = False
    looked_at: float | None = None
    reread_at: float | None = None

    @classmethod
    def new(cls, key: str, top: TopRow) -> Tracked:
        """A run that is ordered after this was the top of the list."""
        return cls(key=key, unread=None, since=top)

    @classmethod
    def recovered(cls, key: str, alias: str | None, *, elsewhere: bool = False) -> Tracked:
        """A run that an earlier process, or somebody else, has ordered: nobody knows where it stands."""
        return cls(key=key, unread=BOTTOM, since=BOTTOM, alias=alias, elsewhere=elsewhere)

    def see(self, run: Run, place: int, total: int | None, reading: int) -> None:
        """Take a row of it into account."""
        self.rows[run.id] = Row(run, place, total, reading)
        if run.id == self.alias:
            self.alias = None
        if self.answered is not None and self.answered.run_id == run.id:
            self.answered = self.answered if self.answered == PauseSeen.of(run) else None

    @property
    def runs(self) -> list[Run]:
        """Its runs, newest first."""
        rows = sorted(self.rows.values(), key=lambda row: (-row.reading, row.place))
        runs = [row.run for row in rows]
        if all(run.created_at is not None for run in runs):
            runs.sort(key=lambda run: run.created_at, reverse=True)  # type: ignore[arg-type,return-value]
        return runs

    @property
    def run(self) -> Run | None:
        """The run that tells how it stands; None while there is none."""
        return run_of_session(self.runs)

    @property
    def status(self) -> JobStatus | None:
        """How it stands: the status of its run; None while there is none.

        A pause that was answered is not shown again: the run is about to go on.
        """
        run = self.run
        if run is None:
            return None
        if self.answered is not None and self.answered == PauseSeen.of(run):
            return JobStatus("IN_PROGRESS", RESUMED)
        return run.status

    def needed(self) -> list[Row]:
        """The rows that have to be read to tell how it stands: those that are open, and the newest."""
        deciding = self.run
        return [
            row
            for row in self.rows.values()
            if row.run is deciding or is_open(row.run.status) or row.run.status == JobStatus.WAITING
        ]

    def is_current(self, reading: int) -> bool:
        """Whether a reading has shown all rows that tell how it stands."""
        return bool(self.rows) and all(row.reading == reading for row in self.needed())

    def answer(self) -> None:
        """Note that the pause which it is in has been answered."""
        run = self.run
        self.answered = None if run is None else PauseSeen.of(run)

    def forgotten(self, top: TopRow) -> Tracked:
        """What is kept of it once nobody asks any more, in case somebody does again."""
        kept = replace(self, users=0, unread=self.unread or top, is_told=False)
        kept.rows = {run_id: row for run_id, row in self.rows.items() if not row.run.status.is_terminal}
        return kept
