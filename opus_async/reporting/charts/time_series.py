"""What happened when, at a resolution that a chart can show: no peak is lost, and no rate invented."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from opus_async.reporting.charts.axes import CLOCK_STEPS, SessionSpan

COLUMNS = 100
"""About how many columns of throughput one chart has; each session has at least one."""
BUCKETS = 75
"""Into how many parts the time is cut for a line; each shows its lowest and its highest moment."""


@dataclass(slots=True)
class Column:
    """Rows that ended in a part of a session.

    Attributes:
        session: Its number.
        began: Seconds since the epoch.
        ended: Likewise.
        completed: Rows that completed in it.
        not_completed: Rows that ended otherwise.
    """

    session: int
    began: float
    ended: float
    completed: int = 0
    not_completed: int = 0

    @property
    def total(self) -> int:
        """All rows that ended in it."""
        return self.completed + self.not_completed

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.ended - self.began


class Throughput:
    """Columns of about the same width, cut so that none reaches beyond its session.

    A column that a session's end cut short would show a rate that never was.
    """

    def __init__(self, spans: Sequence[SessionSpan]) -> None:
        self.width = _width(sum(span.seconds for span in spans))
        self._columns: Mapping[int, list[Column]] = {span.session: _cut(span, self.width) for span in spans}

    def add(self, session: int, at: float, *, completed: bool) -> None:
        """Count a row; one that ended outside of its session is left out: a person decided it."""
        columns = self._columns.get(session)
        if not columns or not columns[0].began <= at <= columns[-1].ended:
            return
        place = int((at - columns[0].began) / columns[0].seconds)
        column = columns[min(place, len(columns) - 1)]
        if completed:
            column.completed += 1
        else:
            column.not_completed += 1

    def __iter__(self) -> Iterator[Column]:
        for columns in self._columns.values():
            yield from columns


@dataclass(frozen=True, slots=True)
class Point:
    """How a session stood at one moment."""

    at: float
    value: int


class Line:
    """A value over the time of one session: the lowest and the highest of each bucket, as they came."""

    def __init__(self, span: SessionSpan, bucket: float) -> None:
        self._span = span
        self._bucket = bucket
        self._found: dict[int, tuple[Point, Point]] = {}

    def add(self, at: float, value: int) -> None:
        """Take up a sample; those of a session come in the order of time."""
        point = Point(at, value)
        place = int((at - self._span.began) / self._bucket)
        lowest, highest = self._found.get(place, (point, point))
        self._found[place] = (
            point if value < lowest.value else lowest,
            point if value > highest.value else highest,
        )

    @property
    def points(self) -> list[Point]:
        """In the order of time."""
        points: list[Point] = []
        for _, extremes in sorted(self._found.items()):
            points += sorted(dict.fromkeys(extremes), key=lambda point: point.at)
        return points


class Lines:
    """The same for all sessions."""

    def __init__(self, spans: Sequence[SessionSpan]) -> None:
        bucket = sum(span.seconds for span in spans) / BUCKETS
        self._of = {span.session: Line(span, bucket) for span in spans}

    def add(self, session: int, at: float, value: int) -> None:
        """Take up a sample of a session."""
        if session in self._of:
            self._of[session].add(at, value)

    def __getitem__(self, session: int) -> list[Point]:
        return self._of[session].points

    @property
    def highest(self) -> int:
        """The highest value of all; 0 without a sample."""
        return max((point.value for line in self._of.values() for point in line.points), default=0)

    def __bool__(self) -> bool:
        return any(line.points for line in self._of.values())


def _width(active: float) -> float:
    """Seconds of a column: the shortest round time that makes no more columns than wanted."""
    return next((step for step in CLOCK_STEPS if active / step <= COLUMNS), CLOCK_STEPS[-1])


def _cut(span: SessionSpan, width: float) -> list[Column]:
    number = max(1, math.floor(span.seconds / width + 0.5))
    edges = [span.began + span.seconds * place / number for place in range(number + 1)]
    return [Column(span.session, edges[place], edges[place + 1]) for place in range(number)]
