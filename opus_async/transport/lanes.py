"""Whose turn it is: lanes of waiting requests, and the order in which lanes take turns.

What frees a job's slot goes first, then new work and polls in turn: new work that waits would be of no use
before polls show that earlier jobs have ended, and polls are of no use without work.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import IntEnum

from opus_async.transport.limit_scope import Operation
from opus_async.transport.rates import OperationLimit, TokenBucket

COLLECTS_IN_A_ROW = 8
"""While others wait, at most so many turns in a row are given to results of jobs that ended."""
WORK_IN_A_ROW = 1
"""While polls wait, too, at most so many turns in a row are given to new work."""


class Priority(IntEnum):
    """What a request is for. None of them starves."""

    COLLECT = 0
    """Results of a job that ended: it holds its slot until they are here."""
    WORK = 1
    """Anything else: submissions, most of all."""
    POLL = 2
    """The status of a job that is waited for."""


class Lane:
    """A queue of waiting requests of one kind and priority.

    Args:
        priority: What they go before.
        operation: What is known of such requests.
        bucket: Their rate as it was set, out of the rate of all; None for no limit of their own.
    """

    __slots__ = ("bucket", "operation", "priority", "queue")

    def __init__(self, priority: Priority, operation: Operation, bucket: TokenBucket | None) -> None:
        self.priority = priority
        self.operation = operation
        self.bucket = bucket
        self.queue: OrderedDict[asyncio.Future[None], tuple[int, bool]] = OrderedDict()
        """Waiting requests in order -> number of arrival, and whether the request is repeatable."""

    @property
    def arrival(self) -> int:
        """The number of arrival of the first request that waits."""
        return next(iter(self.queue.values()))[0]

    def first(self, *, repeatable: bool) -> asyncio.Future[None] | None:
        """The first waiting request that is repeatable, or is not; None where there is none."""
        queue = self.queue.items()
        return next(
            (waiter for waiter, (_, is_so) in queue if is_so is repeatable and not waiter.done()), None
        )


class Lanes:
    """The lanes of one server, and the turns they have had.

    Each operation waits in a lane of its own, so that one whose limit is met holds up nobody else; among
    those of one priority that may go, the order is that of arrival.

    Args:
        operation: Returns what is known of an operation.
        poll_rate: Requests a second of all polls; None for no limit of their own.
        operation_limits: Rates of some kinds of requests, which are served with other work, whatever their
            priority.

    Attributes:
        waiting: Requests that wait in all lanes.
    """

    def __init__(
        self,
        operation: Callable[[str], Operation],
        poll_rate: float | None,
        operation_limits: Sequence[OperationLimit],
    ) -> None:
        self.waiting = 0
        self._operation = operation
        self._polls = None if poll_rate is None else TokenBucket(poll_rate)
        self._limited = {
            name: bucket
            for limit in operation_limits
            for bucket in [TokenBucket(limit.rate, burst=limit.burst)]
            for name in limit.operations
        }
        self._lanes: dict[tuple[Priority, str], Lane] = {}
        self._of_priority: dict[Priority, list[Lane]] = {priority: [] for priority in Priority}
        self._arrivals = itertools.count()
        self._collects_in_a_row = self._work_in_a_row = 0
        self._admits_polls = False

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._lanes.values())

    def of(self, priority: Priority, operation: str) -> Lane:
        """The lane of such requests."""
        return self._lanes.get((priority, operation)) or self._new(priority, operation)

    def add(self, lane: Lane, waiter: asyncio.Future[None], *, repeatable: bool) -> None:
        """Let a request wait at the end of a lane."""
        lane.queue[waiter] = next(self._arrivals), repeatable
        self.waiting += 1

    def remove(self, lane: Lane, waiter: asyncio.Future[None]) -> bool:
        """Let a request wait no more; whether it did."""
        if lane.queue.pop(waiter, None) is None:
            return False
        self.waiting -= 1
        return True

    def take(self, lane: Lane) -> asyncio.Future[None]:
        """Take the first request out of a lane."""
        waiter, _ = lane.queue.popitem(last=False)
        self.waiting -= 1
        return waiter

    def clear(self) -> None:
        """Let nobody wait any more."""
        for lane in self:
            lane.queue.clear()
        self.waiting = 0

    def next(self, ready: Callable[[Lane], bool]) -> Lane | None:
        """The lane whose turn it is, of those that have somebody waiting and are ready; None where none is.

        Args:
            ready: Whether rates and pauses let a lane go now.
        """
        collect = None
        if self._collects_in_a_row < COLLECTS_IN_A_ROW:
            collect = self._first(Priority.COLLECT, ready)
        return collect or self._work_or_poll(ready) or self._first(Priority.COLLECT, ready)

    def had_turn(self, lane: Lane) -> None:
        """Count a turn that a request of this lane has got."""
        if lane.priority is Priority.COLLECT:
            self._collects_in_a_row += 1
            return
        self._collects_in_a_row = 0
        if lane.priority is Priority.POLL:
            self._work_in_a_row = 0
        elif self.waiting and any(each.queue for each in self._of_priority[Priority.POLL]):
            self._work_in_a_row += 1

    def in_turn(self) -> Iterable[Lane]:
        """All lanes, work and polls first in turn: for one request at a time, while a server is down."""
        self._admits_polls = not self._admits_polls  # one of them may hold nothing but bad requests
        order = (Priority.COLLECT, Priority.WORK, Priority.POLL)
        if self._admits_polls:
            order = (Priority.POLL, Priority.COLLECT, Priority.WORK)
        for priority in order:
            waiting = [lane for lane in self._of_priority[priority] if lane.queue]
            yield from sorted(waiting, key=lambda lane: lane.arrival)

    def _work_or_poll(self, ready: Callable[[Lane], bool]) -> Lane | None:
        work = self._first(Priority.WORK, ready)
        if work is not None and self._work_in_a_row < WORK_IN_A_ROW:
            return work
        return self._first(Priority.POLL, ready) or work

    def _first(self, priority: Priority, ready: Callable[[Lane], bool]) -> Lane | None:
        """Of the lanes of a priority that are ready, the one whose first request came first."""
        first = None
        for lane in self._of_priority[priority]:
            if lane.queue and (first is None or lane.arrival < first.arrival) and ready(lane):
                first = lane
        return first

    def _new(self, priority: Priority, operation: str) -> Lane:
        limited = self._limited.get(operation)
        kind = priority if limited is None else Priority.WORK
        bucket = self._polls if kind is Priority.POLL else limited
        lane = self._lanes[priority, operation] = Lane(kind, self._operation(operation), bucket)
        self._of_priority[kind].append(lane)
        return lane
