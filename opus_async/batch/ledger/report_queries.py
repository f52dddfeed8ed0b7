"""Queries of a ledger that only a report makes."""

from __future__ import annotations

import heapq
from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from opus_async.batch.ledger.reader import CAUSE, LedgerReader
from opus_async.batch.ledger.stored import failure_reason
from opus_async.batch.rows import ENDED, RowState
from opus_async.metrics.bottleneck import Bottleneck

TOTAL = "total"
"""The name, among a row's timings, of all of them together."""
_ERROR_CHARS = 2000
"""Of an error as it is read; what is shown is less."""
_SPENT = "SELECT state, session, count(*) FROM rows WHERE session IS NOT NULL GROUP BY 1, 2"
_TRAFFIC = """
SELECT session, coalesce(json_extract(data, '$.requests'), 0), coalesce(json_extract(data, '$.retries'), 0),
       coalesce(json_extract(data, '$.throttled'), 0), coalesce(json_extract(data, '$.uploaded_bytes'), 0)
FROM samples WHERE id IN (SELECT max(id) FROM samples GROUP BY session)
"""
_WHOLE = """(started_at IS NULL OR session IS NULL
     OR started_at >= (SELECT began_at FROM sessions WHERE sessions.id = rows.session))"""
"""Of a row that one session followed from its beginning on. Of others only the last session left timings: a
job that was ordered an hour before seems to have run for the seconds in which its end was noticed."""
_AGAIN = "SELECT coalesce(sum(attempts > 1), 0), coalesce(sum(orders > 1), 0) FROM rows"
_IDENTICAL = "SELECT count(digest) - count(DISTINCT digest) FROM rows"
_ENDS = "SELECT session, ended_at, state = 'completed' FROM rows WHERE ended_at IS NOT NULL"
_TIMES = f"""
SELECT id, coalesce(position, -1), timings, state = 'completed', ended_at IS NOT NULL, {_WHOLE}
FROM rows WHERE timings IS NOT NULL
"""  # noqa: S608 - words of ours, no values
_ROW = (
    "rows.position, rows.location, rows.key, rows.state, rows.remote_id, rows.decided_by, "
    f"substr(rows.error, 1, {_ERROR_CHARS})"
)
_EXAMPLES = f"""
SELECT {_ROW} FROM rows
WHERE {CAUSE} = ?
  AND state IN ('failed', 'cancelled', 'timed_out', 'unknown')
ORDER BY position, id LIMIT ?
"""  # noqa: S608 - names of ours
_SLOW = f"SELECT {_ROW}, rows.timings FROM rows WHERE id = ?"  # noqa: S608 - words of ours, no values
_RESULTS_SIZE = "SELECT coalesce(sum(result_length), 0) FROM rows WHERE state = 'completed'"
_RESULTS = """
SELECT result_offset, result_length, result_digest, position, key FROM rows
WHERE state = 'completed' AND result_offset IS NOT NULL ORDER BY result_offset
"""
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


@dataclass(frozen=True, slots=True)
class Example:
    """A row to look at.

    Attributes:
        index: Its place in the manifest, from 0.
        location: The same in words, as the manifest's own program counts (``line 18``); None where not known.
        key: What names it.
        state: Where it stands.
        job_id: The platform's id; None when no job came to be.
        error: What went wrong, cut, or that a person called it failed.
    """

    index: int
    location: str | None
    key: str
    state: RowState
    job_id: str | None
    error: str | None


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
class RowTimes:
    """How long rows took that one session followed from beginning to end.

    Attributes:
        stages: Stage -> how long rows were in it, in the platform's order; exact, at 8 bytes a value.
        slowest: The rows that took longest.
        in_part: How many rows of the same kind were begun in one session and ended in another: nobody timed
            all of them.
    """

    stages: Mapping[str, array[float]]
    slowest: Sequence[SlowRow]
    in_part: int


@dataclass(frozen=True, slots=True)
class RequestTotals:
    """What a session sent: requests, attempts that were repeated, for a 429 of these, bytes of files."""

    requests: int = 0
    retries: int = 0
    throttled: int = 0
    uploaded_bytes: int = 0


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


class ReportQueries(LedgerReader):
    """A reader that also sums up, row by row or sample by sample, what a report shows."""

    def ended_by_session(self) -> dict[int, tuple[int, int]]:
        """Session -> rows that completed in it, and rows that ended otherwise."""
        ended: dict[int, tuple[int, int]] = {}
        for state, session, count in self._select(_SPENT):
            completed, others = ended.get(session, (0, 0))
            if state == RowState.COMPLETED:
                ended[session] = completed + count, others
            elif RowState(state) in ENDED:
                ended[session] = completed, others + count
        return ended

    def requests_by_session(self) -> dict[int, RequestTotals]:
        """What each session sent, as far as its last sample tells."""
        return {session: RequestTotals(*found) for session, *found in self._select(_TRAFFIC)}

    def repeated(self) -> tuple[int, int]:
        """Rows that were taken up more than once, and rows of which more than one order was made durable."""
        started, ordered = self._one(_AGAIN)
        return started, ordered

    def identical(self) -> int:
        """Rows that ask for exactly what an earlier one asks for."""
        (count,) = self._one(_IDENTICAL)
        return int(count)

    def ends(self) -> Mapping[tuple[int, bool], array[float]]:
        """Session, and whether rows completed in it -> when these rows ended, at 8 bytes a row."""
        ends: dict[tuple[int, bool], array[float]] = defaultdict(_no_times)
        for session, at, completed in self._select(_ENDS):
            ends[session, bool(completed)].append(at)
        return ends

    def row_times(self, *, completed: bool, slowest: int) -> RowTimes:
        """How long rows took.

        Args:
            completed: Whether only rows that completed are asked; else all that ended.
            slowest: So many of the rows that took longest, however they stand.
        """
        stages = defaultdict(_no_times, {name: _no_times() for name in self.meta.stages})
        in_part, shortest = 0, 0.0
        longest: list[tuple[float, int, int]] = []
        with self._explained():
            for row, index, told, is_completed, ended, whole in self._select(_TIMES):
                timings: dict[str, float] = from_json(told)
                asked = is_completed if completed else ended
                if asked and whole:
                    for name, seconds in timings.items():
                        stages[name].append(seconds)
                else:
                    for name in timings:
                        stages.setdefault(name, _no_times())  # a stage has its place from the first row on
                    in_part += bool(asked) and whole == 0  # it is NULL where nothing is known of the session
                if whole and (total := timings.get(TOTAL, 0.0)) > 0 and total >= shortest:
                    add = heapq.heappush if len(longest) < slowest else heapq.heappushpop
                    add(longest, (total, -index, -row))
                    if 0 < slowest == len(longest):
                        shortest = longest[0][0]
        return RowTimes(
            stages={name: seconds for name, seconds in stages.items() if seconds},
            in_part=in_part,
            slowest=[self._slow(-row) for _, _, row in sorted(longest, reverse=True)],
        )

    def examples(self, cause: str, limit: int) -> list[Example]:
        """The first rows that did not complete for one reason."""
        return [_example(row) for row in self._select(_EXAMPLES, (cause, limit))]

    def results_size(self) -> int:
        """Bytes of the results of all rows."""
        (size,) = self._one(_RESULTS_SIZE)
        return int(size)

    def outputs(self) -> Iterator[Mapping[str, Any]]:
        """The outputs of each row that has results, in the order of the file.

        Raises:
            LedgerError: The file does not hold what was recorded.
        """
        for result in self._results_at(self._select(_RESULTS)):
            yield result["outputs"]

    def standing(self) -> Iterator[tuple[int, float, int, int]]:
        """Of each sample: the session, the moment, rows in flight, and rows that wait for a person."""
        for session, at, in_flight, waiting in self._select(_SAMPLES):
            yield session, at, in_flight or 0, waiting or 0

    def bottlenecks(self) -> list[tuple[Bottleneck | None, int]]:
        """What limited the batch, and how many samples say so; None for those that name nothing."""
        return [(Bottleneck.from_json(self._json(data)), count) for data, count in self._select(_BOTTLENECKS)]

    def named_files(self) -> Files:
        """Files that rows name: how many, and how many bytes of them are repeated."""
        return Files(*self._one(_FILES))

    def downloads(self) -> Downloads:
        """Result files that were downloaded."""
        return Downloads(*self._one(_DOWNLOADS))

    def _slow(self, row: int) -> SlowRow:
        *found, told = next(self._select(_SLOW, (row,)))
        timings: dict[str, float] = from_json(told)
        total = timings.pop(TOTAL)
        stage = max(timings, key=lambda name: timings[name], default="")
        return SlowRow(_example(tuple(found)), total, stage, timings.get(stage, 0.0))

    def _one(self, statement: str) -> tuple[Any, ...]:
        (found,) = self._select(statement)
        return found


def _no_times() -> array[float]:
    return array("d")


def _example(values: tuple[Any, ...]) -> Example:
    index, location, key, state, job_id, decided_by, error = values
    reason = failure_reason(RowState(state), decided_by, error)
    return Example(index, location, key, RowState(state), job_id, reason)
