"""Everything the report says, read from the ledger as of one moment: its figures agree with each other."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from opus_async import text
from opus_async.batch.ledger.lock import Process, holder
from opus_async.batch.ledger.report_queries import (
    TOTAL,
    Downloads,
    Example,
    Files,
    ReportQueries,
    RequestTotals,
    SlowRow,
)
from opus_async.batch.ledger.stored import StoredSession
from opus_async.batch.meta import BatchMeta
from opus_async.batch.outputs.outlook import Outlook
from opus_async.batch.report.output_values import OutputValues, count_values
from opus_async.batch.rows import RowState
from opus_async.errors import LedgerError
from opus_async.metrics.bottleneck import merge
from opus_async.metrics.cost import Cost
from opus_async.metrics.counts import Counts
from opus_async.metrics.distribution import Distribution
from opus_async.reporting.bottlenecks import bottleneck_text
from opus_async.reporting.charts.axes import Span
from opus_async.reporting.charts.resolution import Bin, EventBins, Samples

COMPLETED, NOT_COMPLETED = "completed", "failed"
"""How rows end, as classes of the style sheet."""
GROUPS = 12
"""Causes that are told one by one; the rest is summed up."""
EXAMPLES = 3
"""Rows that are shown of a long list."""
SHORT_LIST = 10
"""Rows of a cause up to which all are shown."""
MOST_RESULTS = 256_000_000
"""Bytes of results up to which their values are counted: seconds, where the rest of a report takes less."""
SLOWEST = 10


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that did not complete for the same reason; ``cause`` is that reason as people read it."""

    cause: str
    count: int
    states: Mapping[RowState, int]
    examples: Sequence[Example]


@dataclass(frozen=True, slots=True)
class Session:
    """A process that worked on the batch.

    Attributes:
        view: What the ledger tells of it.
        running: Whether it works now.
        ended: Its end, its last sign of life if it died, or now; in seconds since the epoch.
        completed: Rows that completed in it.
        not_completed: Rows that ended otherwise in it.
        traffic: As far as its last sample tells.
    """

    view: StoredSession
    running: bool
    ended: float
    completed: int
    not_completed: int
    traffic: RequestTotals

    @property
    def died(self) -> bool:
        """Whether its process died before it could record an end."""
        return self.view.ended_at is None and not self.running

    @property
    def seconds(self) -> float:
        """How long it worked."""
        return max(self.ended - self.view.began_at, 0.0)

    @property
    def span(self) -> Span:
        """From when to when it worked."""
        return Span(self.view.id, self.view.began_at, self.ended)


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the rows that completed gave.

    Attributes:
        few: Outputs with few different values.
        problem: Why they were not counted; empty where they were.
    """

    few: Sequence[OutputValues]
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """Everything the report says.

    Attributes:
        directory: Of the batch.
        made_at: When the ledger was read, in seconds since the epoch.
        meta: What the ledger knows of the batch.
        process: Who works on it; None when nobody does.
        counts: Rows by state.
        unknown_started: Unknown rows whose jobs were started, as the ledger knows.
        attempts: How often rows were taken up, over all of them.
        started_again: Rows that were taken up more than once.
        ordered_again: Rows of which more than one order to start was made durable.
        identical: Rows that ask for exactly what an earlier one asks for.
        sessions: The oldest first.
        timed: Which rows the spreads are taken from: ``completed``, or ``ended`` where none completed.
        timed_in_part: Rows of these that are in no spread, as more than one session followed them.
        run_time: Of the jobs on the platform, until their ends were noticed, without what their polls waited
            for their turn; None without a row that was timed.
        row_time: Of all stages together, waits included; None without a row that was timed.
        stages: By the platform's name, in its order.
        groups: Failures by cause, the most frequent first.
        other_causes: How many causes are not among them.
        other_failures: And how many rows those are.
        slowest: The longest first.
        ends: How many rows ended when, by :data:`COMPLETED` and :data:`NOT_COMPLETED`.
        column_seconds: About how long one of these bins is.
        in_flight: Rows that held a slot, over time.
        waiting: Rows parked for a person, over time.
        bottlenecks: What limited the batch, in words -> share of all samples that say so. What differs only
            in numbers is told once.
        files: What was uploaded, or need not be.
        outputs: What the outputs said.
        downloads: What was fetched.
        cost: What the batch has cost so far; None where nobody told a price.
        outlook: How it goes on; empty where nobody works on it.
    """

    directory: Path
    made_at: float
    meta: BatchMeta
    process: Process | None
    counts: Counts
    unknown_started: int
    attempts: int
    started_again: int
    ordered_again: int
    identical: int
    sessions: Sequence[Session]
    timed: str
    timed_in_part: int
    run_time: Distribution | None
    row_time: Distribution | None
    stages: Mapping[str, Distribution]
    groups: Sequence[Group]
    other_causes: int
    other_failures: int
    slowest: Sequence[SlowRow]
    ends: Sequence[Bin]
    column_seconds: float
    in_flight: Samples
    waiting: Samples
    bottlenecks: Mapping[str, float]
    files: Files
    outputs: Outputs
    downloads: Downloads
    cost: Cost | None
    outlook: Outlook

    @property
    def running(self) -> bool:
        """Whether a process works on the batch now."""
        return self.process is not None

    @property
    def worked(self) -> float:
        """Seconds that sessions worked."""
        return sum(session.seconds for session in self.sessions)

    @property
    def rows_per_hour(self) -> float | None:
        """Rows that completed, per hour that sessions worked; None when that was no time at all."""
        return self.counts.completed / self.worked * 3600 if self.worked >= 1 else None

    @property
    def all_told(self) -> bool:
        """Whether every session recorded its end, and with it the figures that only an end has."""
        return all(session.view.ended_at is not None for session in self.sessions)

    @property
    def uploads_saved(self) -> int:
        """Files that needed no upload, because the same content was there, as far as it was told."""
        return sum(session.view.uploads_saved for session in self.sessions)

    @property
    def stray_shells(self) -> int:
        """Jobs that were created and never started, in all sessions."""
        return sum(session.view.stray_shells for session in self.sessions)

    @property
    def traffic(self) -> RequestTotals:
        """Of all sessions."""
        each = [session.traffic for session in self.sessions]
        return RequestTotals(
            requests=sum(traffic.requests for traffic in each),
            retries=sum(traffic.retries for traffic in each),
            throttled=sum(traffic.throttled for traffic in each),
            uploaded_bytes=sum(traffic.uploaded_bytes for traffic in each),
        )


def _run_time(names: Sequence[str], stages: Mapping[str, Distribution]) -> Distribution | None:
    """How long jobs were in the stage in which they run, the last but one of every platform."""
    *_, watch, _ = names or ("", "")
    return stages.get(watch)


def load(directory: Path) -> ReportData:
    """Read everything, as of one moment.

    Raises:
        LedgerError: There is no ledger, or it cannot be read.
    """
    with ReportQueries(directory) as ledger, ledger.snapshot():
        return read(ledger)


def read(ledger: ReportQueries) -> ReportData:
    """The same as :func:`load`, of a ledger that is open; inside of its snapshot."""
    process = holder(ledger.directory)
    now = time.time()
    counts = ledger.counts()
    sessions = _sessions(ledger, now, at_work=process is not None)
    spans = [session.span for session in sessions]
    timed = "completed" if counts.completed else "ended"
    times = ledger.row_times(completed=timed == "completed", slowest=SLOWEST)
    stages = {name: Distribution.of(each) for name, each in times.stages.items()}
    groups = _groups(ledger)
    ends = EventBins(spans)
    for (session, completed), moments in ledger.ends().items():
        ends.add_all(session, moments, COMPLETED if completed else NOT_COMPLETED)  # none a person decided
    in_flight, waiting = Samples(spans), Samples(spans)
    for session, at, holding, parked in ledger.standing():
        in_flight.add(session, at, holding)
        waiting.add(session, at, parked)
    started_again, ordered_again = ledger.repeated()
    return ReportData(
        directory=ledger.directory,
        made_at=now,
        meta=ledger.meta,
        process=process,
        counts=counts,
        unknown_started=ledger.unknown_started() if counts.unknown else 0,
        attempts=ledger.attempts(),
        started_again=started_again,
        ordered_again=ordered_again,
        identical=ledger.identical(),
        sessions=sessions,
        timed=timed,
        timed_in_part=times.in_part,
        run_time=_run_time(ledger.meta.stages, stages),
        row_time=stages.pop(TOTAL, None),
        stages=stages,
        groups=groups[:GROUPS],
        other_causes=len(groups[GROUPS:]),
        other_failures=sum(group.count for group in groups[GROUPS:]),
        slowest=times.slowest,
        ends=list(ends),
        column_seconds=ends.width,
        in_flight=in_flight,
        waiting=waiting,
        bottlenecks=_bottlenecks(ledger),
        files=ledger.named_files(),
        outputs=_outputs(ledger),
        downloads=ledger.downloads(),
        cost=ledger.cost(),
        outlook=_outlook(ledger, sessions, counts),
    )


def _outlook(ledger: ReportQueries, sessions: Sequence[Session], counts: Counts) -> Outlook:
    works = sessions and sessions[-1].running
    return Outlook.of(ledger, sessions[-1].view, counts) if works else Outlook()


def _sessions(ledger: ReportQueries, now: float, *, at_work: bool) -> list[Session]:
    ended, traffic, views = ledger.ended_by_session(), ledger.requests_by_session(), ledger.sessions()
    sessions: list[Session] = []
    for view in views:
        running = at_work and view is views[-1] and view.ended_at is None
        completed, not_completed = ended.get(view.id, (0, 0))
        sessions.append(
            Session(
                view=view,
                running=running,
                ended=max(now, view.seen_at) if running else view.seen_at,
                completed=completed,
                not_completed=not_completed,
                traffic=traffic.get(view.id, RequestTotals()),
            )
        )
    return sessions


def _groups(ledger: ReportQueries) -> list[Group]:
    return [
        Group(
            group.told,
            group.count,
            group.states,
            ledger.examples(group.cause, _to_show(group.count)) if place < GROUPS else (),
        )
        for place, group in enumerate(ledger.failures_by_cause(limit_examples=0))
    ]


def _to_show(rows: int) -> int:
    """How many rows of a cause are shown."""
    return rows if rows <= SHORT_LIST else EXAMPLES


def _outputs(ledger: ReportQueries) -> Outputs:
    size = ledger.results_size()
    if size > MOST_RESULTS:
        return Outputs((), f"The results are too large to be counted here ({text.size(size)}).")
    try:
        return Outputs(count_values(ledger.outputs()))
    except LedgerError as error:  # a report tells what went wrong, and so it is made all the same
        return Outputs((), error.message)


def _bottlenecks(ledger: ReportQueries) -> dict[str, float]:
    """What limited the batch, in words; of very many words, as earlier releases stored them, the first."""
    stored = ledger.bottlenecks()
    samples = sum(count for _, count in stored)
    told: Counter[str] = Counter()
    for each in merge((limit, count) for limit, count in stored if limit is not None):
        told[bottleneck_text(each.least, each.most)] += each.count
    ordered = sorted(told.items(), key=lambda item: (-item[1], item[0]))
    shown, others = dict(ordered[:GROUPS]), ordered[GROUPS:]
    if others:
        shown[f"{len(others):,} others"] = sum(count for _, count in others)
    return {words: count / samples for words, count in shown.items()}
