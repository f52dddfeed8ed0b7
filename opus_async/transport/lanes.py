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
    """A queue of waiting requests that share a rate of their own, out of the rate of all.

    Args:
        rate: Requests a second; None for no limit of its own.
        burst: See :class:`TokenBucket`.
    """

    __slots__ = ("bucket", "queue")

    def __init__(self, rate: float | None = None, burst: float | None = None) -> None:
        self.bucket = None if rate is None else TokenBucket(rate, burst=burst)
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

    Args:
        poll_rate: Requests a second of the poll lane; None for no limit of its own.
        operation_limits: Rates of some kinds of requests. Such requests wait in a lane of their own and hold
            up nobody else; with other work they are served in the order of arrival.

    Attributes:
        waiting: Requests that wait in all lanes.
    """

    def __init__(self, poll_rate: float | None, operation_limits: Sequence[OperationLimit]) -> None:
        self.waiting = 0
        self._collect, work, self._poll = Lane(), Lane(), Lane(poll_rate)
        self._of_priority = {
            Priority.COLLECT: self._collect,
            Priority.WORK: work,
            Priority.POLL: self._poll,
        }
        limited = [(Lane(limit.rate, limit.burst), limit.operations) for limit in operation_limits]
        self._of_operation = {name: lane for lane, operations in limited for name in operations}
        self._work = (work, *(lane for lane, _ in limited))
        self._all = (self._collect, *self._work, self._poll)
        self._arrivals = itertools.count()
        self._collects_in_a_row = self._work_in_a_row = 0
        self._admits_polls = False

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._all)

    def of(self, priority: Priority, operation: str) -> Lane:
        """The lane of such requests."""
        return self._of_operation.get(operation) or self._of_priority[priority]

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
        for lane in self._all:
            lane.queue.clear()
        self.waiting = 0

    def next(self, ready: Callable[[Lane], bool]) -> Lane | None:
        """The lane whose turn it is, of those that have somebody waiting and are ready; None where none is.

        Args:
            ready: Whether rates and pauses let a lane go now.
        """
        collects = bool(self._collect.queue) and ready(self._collect)
        if collects and self._collects_in_a_row < COLLECTS_IN_A_ROW:
            return self._collect
        lane = self._work_or_poll(ready)
        return self._collect if lane is None and collects else lane

    def had_turn(self, lane: Lane) -> None:
        """Count a turn that a request of this lane has got."""
        if lane is self._collect:
            self._collects_in_a_row += 1
            return
        self._collects_in_a_row = 0
        if lane is self._poll:
            self._work_in_a_row = 0
        elif self._poll.queue:
            self._work_in_a_row += 1

    def in_turn(self) -> Iterable[Lane]:
        """All lanes, work and polls first in turn: for one request at a time, while a server is down."""
        self._admits_polls = not self._admits_polls  # one of them may hold nothing but bad requests
        work = (self._collect, *self._work)
        return (self._poll, *work) if self._admits_polls else (*work, self._poll)

    def held_back(self, ready: Callable[[Lane], bool]) -> bool:
        """Whether somebody waits in a lane that is not ready."""
        return any(lane.queue and not ready(lane) for lane in self._all)

    def _work_or_poll(self, ready: Callable[[Lane], bool]) -> Lane | None:
        work = None
        for lane in self._work:
            if lane.queue and (work is None or lane.arrival < work.arrival) and ready(lane):
                work = lane
        polls_turn = self._poll.queue and (work is None or self._work_in_a_row >= WORK_IN_A_ROW)
        return self._poll if polls_turn and ready(self._poll) else work
