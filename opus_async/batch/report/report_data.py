"""Everything the report says, read from the ledger as of one moment: its figures agree with each other."""

from __future__ import annotations

import json
import time
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opus_async.batch.ledger.lock import Process, holder
from opus_async.batch.ledger.reader import (
    CAUSE,
    LedgerReader,
    StoredSession,
    reason,
)
from opus_async.batch.rows import ENDED, RowState
from opus_async.metrics.bottleneck import Bottleneck, merge
from opus_async.metrics.counts import Counts
from opus_async.metrics.distribution import Distribution
from opus_async.reporting.bottlenecks import bottleneck_text
from opus_async.reporting.charts.axes import SessionSpan
from opus_async.reporting.charts.time_series import Column, Lines, Throughput

GROUPS = 12
"""Causes that are told one by one; the rest is summed up."""
EXAMPLES = 3
SLOWEST = 10
TOTAL = "total"
"""The name, among a row's timings, of all of them together."""
_ERROR_CHARS = 2000
"""Of an error as it is read; what is shown is less."""
_MEDIAN, _HIGH = 0.5, 0.95


@dataclass(frozen=True, slots=True)
class Example:
    """A row to look at.

    Attributes:
        index: Its place in the manifest, from 0.
        key: What names it.
        state: Where it stands.
        job_id: The platform's id; None when no job came to be.
        error: What went wrong, cut, or that a person called it failed.
    """

    index: int
    key: str
    state: RowState
    job_id: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that did not complete for the same reason; ``cause`` is that reason as people read it."""

    cause: str
    count: int
    states: Mapping[RowState, int]
    examples: Sequence[Example]


@dataclass(frozen=True, slots=True)
class SlowRow:
    """A row that took long.

    Attributes:
        row: Which.
        seconds: All of it.
        stage: The stage that took most of it; empty where none is known.
        stage_seconds: That one alone.
    """

    row: Example
    seconds: float
    stage: str
    stage_seconds: float


@dataclass(frozen=True, slots=True)
class RequestTotals:
    """What a session sent: requests answered, attempts repeated, those of them for a 429, bytes of files."""

    requests: int = 0
    retries: int = 0
    throttled: int = 0
    uploaded_bytes: int = 0


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
        """Whether it stopped without a word."""
        return self.view.ended_at is None and not self.running

    @property
    def seconds(self) -> float:
        """How long it worked."""
        return max(self.ended - self.view.began_at, 0.0)

    @property
    def span(self) -> SessionSpan:
        """It on the clock."""
        return SessionSpan(self.view.id, self.view.began_at, self.ended)


@dataclass(frozen=True, slots=True)
class Files:
    """Files that rows name.

    Attributes:
        paths: How many.
        contents: How many different ones by content.
        size: Bytes of all paths.
        repeated: Bytes of those whose content another path has too, the first of each not counted.
    """

    paths: int
    contents: int
    size: int
    repeated: int


@dataclass(frozen=True, slots=True)
class Downloads:
    """Result files that lie in the batch directory."""

    rows: int
    files: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """Everything the report says.

    Attributes:
        directory: Of the batch.
        made_at: When the ledger was read, in seconds since the epoch.
        facts: Table ``meta``.
        process: Who works on it; None when nobody does.
        counts: Rows by state.
        attempts: How often rows were taken up, over all of them.
        started_again: Rows that were taken up more than once.
        ordered_again: Rows of which more than one order to start was made durable.
        identical: Rows that ask for exactly what an earlier one asks for.
        sessions: The oldest first.
        timed: Which rows the spreads are taken from: ``completed``, or ``ended`` where none completed.
        run_time: Of all stages together; None without a row that was timed.
        stages: By the platform's name, in its order.
        groups: Failures by cause, the most frequent first.
        other_causes: How many causes are not among them.
        other_failures: And how many rows those are.
        slowest: The longest first.
        columns: Throughput over time.
        column_seconds: About how long one of them is.
        in_flight: Rows that held a slot, over time.
        waiting: Rows parked for a person, over time.
        bottlenecks: What limited the batch, in words -> share of all samples that say so. What differs only
            in numbers is told once.
        files: What was uploaded, or need not be.
        downloads: What was fetched.
    """

    directory: Path
    made_at: float
    facts: Mapping[str, Any]
    process: Process | None
    counts: Counts
    attempts: int
    started_again: int
    ordered_again: int
    identical: int
    sessions: Sequence[Session]
    timed: str
    run_time: Distribution | None
    stages: Mapping[str, Distribution]
    groups: Sequence[Group]
    other_causes: int
    other_failures: int
    slowest: Sequence[SlowRow]
    columns: Sequence[Column]
    column_seconds: float
    in_flight: Lines
    waiting: Lines
    bottlenecks: Mapping[str, float]
    files: Files
    downloads: Downloads

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
        """Whether each session told what only its end tells: one that died did not."""
        return all(session.view.ended_at is not None for session in self.sessions)

    @property
    def uploads_saved(self) -> int:
        """Files that needed no upload, because the same content was there, as far as it was told."""
        return sum(session.view.uploads_saved for session in self.sessions)

    @property
    def stray_shells(self) -> int:
        """Shells that were made and never started, likewise."""
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


def gather(directory: Path) -> ReportData:
    """Read everything.

    Raises:
        LedgerError: There is no ledger, or it cannot be read.
    """
    process = holder(directory)
    with _Reader(directory) as ledger, ledger.one_moment():
        return ledger.figures(process)


_SPENT = "SELECT state, session, count(*) FROM rows WHERE session IS NOT NULL GROUP BY 1, 2"
_TRAFFIC = """
SELECT session, coalesce(json_extract(data, '$.requests'), 0), coalesce(json_extract(data, '$.retries'), 0),
       coalesce(json_extract(data, '$.throttled'), 0), coalesce(json_extract(data, '$.uploaded_bytes'), 0)
FROM samples WHERE id IN (SELECT max(id) FROM samples GROUP BY session)
"""
_AGAIN = "SELECT coalesce(sum(attempts > 1), 0), coalesce(sum(orders > 1), 0) FROM rows"
_IDENTICAL = "SELECT count(digest) - count(DISTINCT digest) FROM rows"
_ENDS = "SELECT session, ended_at, state = 'completed' FROM rows WHERE ended_at IS NOT NULL"
_STAGES = """
SELECT DISTINCT json_each.key
FROM (SELECT timings FROM rows WHERE timings IS NOT NULL LIMIT 1000) AS some, json_each(some.timings)
"""
_ROW = (
    "rows.position, rows.key, rows.state, rows.remote_id, rows.decided_by, "
    f"substr(rows.error, 1, {_ERROR_CHARS})"
)
_EXAMPLES = f"""
SELECT {_ROW} FROM rows
WHERE {CAUSE} = ?
  AND state IN ('failed', 'cancelled', 'timed_out', 'unknown')
ORDER BY position, id LIMIT {EXAMPLES}
"""  # noqa: S608 - names of ours
_SLOWEST = f"""
SELECT {_ROW}, rows.timings FROM rows WHERE json_extract(timings, '$.{TOTAL}') > 0
ORDER BY json_extract(timings, '$.{TOTAL}') DESC, position LIMIT {SLOWEST}
"""  # noqa: S608 - likewise
_SAMPLES = """
SELECT session, at, json_extract(data, '$.in_flight'), json_extract(data, '$.waiting')
FROM samples ORDER BY id
"""
_BOTTLENECKS = """
SELECT json_quote(json_extract(data, '$.bottleneck')), count(*) FROM samples GROUP BY 1
"""
_FILES = """
SELECT coalesce(sum(paths), 0), count(*), coalesce(sum(paths * size), 0), coalesce(sum((paths - 1) * size), 0)
FROM (SELECT count(*) AS paths, max(size) AS size FROM files GROUP BY coalesce(sha256, path))
"""
_DOWNLOADS = "SELECT count(DISTINCT row), count(*), coalesce(sum(size), 0) FROM downloads"


class _Reader(LedgerReader):
    """What only a report asks a ledger."""

    def figures(self, process: Process | None) -> ReportData:
        """Everything."""
        now = time.time()
        counts = self.counts()
        sessions = self._sessions(now, at_work=process is not None)
        spans = [session.span for session in sessions]
        timed = "completed" if counts.completed else "ended"
        spreads = self._spreads(timed)
        groups = self._groups()
        throughput = self._throughput(spans)
        in_flight, waiting = self._standing(spans)
        again, ordered_again = self._one(_AGAIN)
        return ReportData(
            directory=self.directory,
            made_at=now,
            facts=self.facts,
            process=process,
            counts=counts,
            attempts=self.attempts(),
            started_again=again,
            ordered_again=ordered_again,
            identical=self._one(_IDENTICAL)[0],
            sessions=sessions,
            timed=timed,
            run_time=spreads.pop(TOTAL, None),
            stages=spreads,
            groups=groups[:GROUPS],
            other_causes=len(groups[GROUPS:]),
            other_failures=sum(group.count for group in groups[GROUPS:]),
            slowest=[_slow(values) for values in self._select(_SLOWEST)],
            columns=list(throughput),
            column_seconds=throughput.width,
            in_flight=in_flight,
            waiting=waiting,
            bottlenecks=self._bottlenecks(),
            files=Files(*self._one(_FILES)),
            downloads=Downloads(*self._one(_DOWNLOADS)),
        )

    def _one(self, statement: str) -> tuple[Any, ...]:
        (found,) = self._select(statement)
        return found

    def _sessions(self, now: float, *, at_work: bool) -> list[Session]:
        ended: dict[int, dict[bool, int]] = {}
        for state, number, count in self._select(_SPENT):
            of_session = ended.setdefault(number, {True: 0, False: 0})
            if RowState(state) in ENDED:
                of_session[state == RowState.COMPLETED] += count
        traffic = {number: RequestTotals(*found) for number, *found in self._select(_TRAFFIC)}
        views = self.sessions()
        sessions: list[Session] = []
        for view in views:
            running = at_work and view is views[-1] and view.ended_at is None
            counts = ended.get(view.id, {})
            sessions.append(
                Session(
                    view=view,
                    running=running,
                    ended=max(now, view.seen_at) if running else view.seen_at,
                    completed=counts.get(True, 0),
                    not_completed=counts.get(False, 0),
                    traffic=traffic.get(view.id, RequestTotals()),
                )
            )
        return sessions

    def _spreads(self, timed: str) -> dict[str, Distribution]:
        """By stage, in the platform's order; exact, at 8 bytes a value while it is counted."""
        told = [str(name) for name in self.facts.get("stages", ())]
        names = list(dict.fromkeys((*told, *(name for (name,) in self._select(_STAGES)))))
        if not names:
            return {}
        values = {name: array("d") for name in names}
        columns = ", ".join("json_extract(timings, ?)" for _ in names)
        chosen = "state = 'completed'" if timed == "completed" else "ended_at IS NOT NULL"
        statement = f"SELECT {columns} FROM rows WHERE {chosen} AND timings IS NOT NULL"  # noqa: S608 - names of ours
        for found in self._select(statement, tuple(f'$."{name}"' for name in names)):
            for seconds, kept in zip(found, values.values(), strict=True):
                if seconds is not None:
                    kept.append(seconds)
        return {name: Distribution.of(kept) for name, kept in values.items() if kept}

    def _groups(self) -> list[Group]:
        found = self.failures_by_cause(limit_examples=0)
        shown = [
            [_example(row) for row in self._select(_EXAMPLES, (group.cause,))] for group in found[:GROUPS]
        ]
        examples = [*shown, *([] for _ in found[GROUPS:])]
        return [
            Group(group.told, group.count, group.states, some)
            for group, some in zip(found, examples, strict=True)
        ]

    def _throughput(self, spans: Sequence[SessionSpan]) -> Throughput:
        throughput = Throughput(spans)
        for session, at, completed in self._select(_ENDS):
            throughput.add(session, at, completed=bool(completed))
        return throughput

    def _standing(self, spans: Sequence[SessionSpan]) -> tuple[Lines, Lines]:
        in_flight, waiting = Lines(spans), Lines(spans)
        for session, at, holding, parked in self._select(_SAMPLES):
            in_flight.add(session, at, holding or 0)
            waiting.add(session, at, parked or 0)
        return in_flight, waiting

    def _bottlenecks(self) -> dict[str, float]:
        stored = [
            (Bottleneck.from_json(self._json(data)), count) for data, count in self._select(_BOTTLENECKS)
        ]
        samples = sum(count for _, count in stored)
        told: Counter[str] = Counter()
        for each in merge((limit, count) for limit, count in stored if limit is not None):
            told[bottleneck_text(each.least, each.most)] += each.count
        ordered = sorted(told.items(), key=lambda item: (-item[1], item[0]))
        shown, others = (
            dict(ordered[:GROUPS]),
            ordered[GROUPS:],
        )  # earlier releases stored each number in words
        if others:
            shown[f"{len(others):,} others"] = sum(count for _, count in others)
        return {words: count / samples for words, count in shown.items()}


def _example(values: tuple[Any, ...]) -> Example:
    index, key, state, job_id, decided_by, error = values
    return Example(index, key, RowState(state), job_id, reason(RowState(state), decided_by, error))


def _slow(values: tuple[Any, ...]) -> SlowRow:
    *row, text = values
    timings: dict[str, float] = json.loads(text)
    total = timings.pop(TOTAL)
    stage = max(timings, key=lambda name: timings[name], default="")
    return SlowRow(_example(tuple(row)), total, stage, timings.get(stage, 0.0))
