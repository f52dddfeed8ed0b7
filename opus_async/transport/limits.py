"""Who may send next: slots, rates and one shared pause, in one object with one dispatcher.

Waiting happens here, before a request's clock starts, never inside the connection pool. After a 429 every
task that sleeps the same Retry-After wakes in the same instant and fails again; so there is one pause for
all, and after it they leave one by one at a rate that climbs slowly.
"""

from __future__ import annotations

import asyncio
import itertools
import random as random_module
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from enum import IntEnum
from types import TracebackType

from opus_async.errors import Obstacle, OpusError, TransportError
from opus_async.transport.forks import Maker
from opus_async.transport.rates import AdaptiveRate, OperationLimit, RateMeter, TokenBucket

__all__ = ["AdaptiveRate", "Bandwidth", "Priority", "RequestLimiter", "TokenBucket"]

_WORK_IN_A_ROW = 3
"""While both lanes wait, at least every fourth turn is a poll's: a job that is never looked at never ends."""
_PAUSE_BASE = 0.5
_PAUSE_CAP = 20.0
_PAUSE_FLOOR = 0.05
"""A server that says "Retry-After: 0" means at once, not in the same instant."""
_JITTER = 0.1
_STORM_LASTS = 1.0
"""Seconds within which refusals are one storm, and slow the rate once."""
_FULL = 1.0
"""Seconds until a held gate is asked again whose slots are all on the wire: their answers tell as much."""


class Priority(IntEnum):
    """What a request is for. Work goes before polls, and polls never starve."""

    WORK = 0
    POLL = 1


class _Lane:
    """Those who wait for a turn and share a rate of their own, out of the rate of all.

    Args:
        rate: Requests a second; None for no bound of its own.
    """

    __slots__ = ("bucket", "queue")

    def __init__(self, rate: float | None = None) -> None:
        self.bucket = None if rate is None else TokenBucket(rate)
        self.queue: OrderedDict[asyncio.Future[None], tuple[int, bool]] = OrderedDict()
        """Who waits, in order -> its number of arrival and whether the request is harmless."""

    @property
    def arrival(self) -> int:
        """Of the first who waits."""
        return next(iter(self.queue.values()))[0]


class RequestLimiter:
    """Slots, rates and shared pause. Every call is O(1), with ten thousand waiting too.

    Args:
        slots: Requests on the wire at once.
        rate: Requests a second over all lanes; None for no limit until the server throttles.
        poll_rate: Requests a second of the poll lane, out of ``rate``; None for no bound of its own.
        operation_limits: Rates of some kinds of requests, out of ``rate``. Such requests wait in a lane of
            their own and hold up nobody else; with other work they are served in the order of arrival.
        time: The clock; the running loop's by default.
        random: A source of numbers in [0, 1).
    """

    def __init__(
        self,
        slots: int,
        *,
        rate: float | None = None,
        poll_rate: float | None = None,
        operation_limits: Sequence[OperationLimit] = (),
        time: Callable[[], float] | None = None,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self._slots = self._usable = slots
        self._before_hold: float | None = None
        """Requests a second before everybody was held."""
        self._lets_polls = False
        self._time = time
        self._random = random
        self._in_use = 0
        self._lanes = (_Lane(), _Lane(poll_rate))
        self._poll_lane = self._lanes[Priority.POLL]
        limited = [(_Lane(limit.rate), limit.operations) for limit in operation_limits]
        self._lane_of = {name: lane for lane, operations in limited for name in operations}
        self._work_lanes = (self._lanes[Priority.WORK], *(lane for lane, _ in limited))
        self._waiting = 0
        self._arrivals = itertools.count()
        self._work_in_a_row = 0
        self._adaptive = AdaptiveRate(rate)
        self._meter = RateMeter()
        self._bucket = None if rate is None else TokenBucket(rate)
        self._storm_began = self._pause_began = self._pause_until = float("-inf")
        self._throttled_since: float | None = None
        self._pauses = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._closed = False
        self._maker = Maker()

    @property
    def in_use(self) -> int:
        """Slots taken."""
        return self._in_use

    @property
    def waiting(self) -> int:
        """Tasks waiting for a turn."""
        return self._waiting

    @property
    def rate(self) -> float | None:
        """Requests a second allowed now; None when nothing limits."""
        return self._adaptive.current

    @property
    def pauses(self) -> int:
        """Shared pauses since the last answer that was no throttling."""
        return self._pauses

    @property
    def throttled_for(self) -> float:
        """Seconds for which every answer was a throttling; 0 when calm."""
        return 0.0 if self._throttled_since is None else self.now() - self._throttled_since

    def now(self) -> float:
        """The gate's clock."""
        return asyncio.get_running_loop().time() if self._time is None else self._time()

    @property
    def held(self) -> bool:
        """Whether nobody gets a turn but by :meth:`let_one`."""
        return self._before_hold is not None

    def slot(self, priority: Priority = Priority.WORK, operation: str = "") -> _Turn:
        """Wait for a free slot, a token and the end of a pause; FIFO within a lane."""
        return _Turn(self, priority, operation)

    def throttled(self, wait: float | None, *, sent_at: float | None = None) -> float:
        """A server asked for less: pause everybody, slow the rate. Returns the seconds until the pause ends.

        Args:
            wait: What the server asked for, in seconds; None when it did not say.
            sent_at: When the refused request got its slot (:meth:`now`). Requests that were on the wire
                when a pause began belong to the same storm: they may lengthen it, and slow nothing twice.
        """
        now = self.now()
        if self._throttled_since is None:
            self._throttled_since = now
        self._refused(now, sent_at)
        if now >= self._pause_until and (sent_at is None or sent_at >= self._pause_began):
            self._pauses += 1
            self._pause_began = now
            if wait is None:
                wait = min(_PAUSE_CAP, _PAUSE_BASE * 2.0 ** min(self._pauses - 1, 10))
        wait = None if wait is None else max(wait, _PAUSE_FLOOR)
        if wait is not None and now + wait > self._pause_until:
            self._pause_until = now + wait * (1.0 + _JITTER * self._random())
            self._follow_rate(now)
            if self._bucket is not None:
                self._bucket.hold(self._pause_until)
        return max(0.0, self._pause_until - now)

    def strained(self, *, sent_at: float) -> None:
        """A server is overloaded and asks for no wait: everybody goes slower, nobody stops.

        Counts once for all requests that were on the wire when it began; see :meth:`throttled`.
        """
        self.answered()
        now = self.now()
        self._refused(now, sent_at)
        self._follow_rate(now)

    def _refused(self, now: float, sent_at: float | None) -> None:
        """Slow the rate, once for all refusals of one storm."""
        lasts = now < max(self._pause_until, self._storm_began + _STORM_LASTS)
        new = not lasts and (sent_at is None or sent_at >= self._storm_began)
        if new:
            self._storm_began = now
        self._adaptive.refused(now, self._granted(now), new_storm=new)

    def _granted(self, now: float) -> float:
        """Requests a second that went well of late."""
        peak = self._meter.peak(now)
        if self._adaptive.current is None:
            peak = max(peak, self._slots)  # a first guess: few know their server after one second
        return peak

    def succeeded(self) -> None:
        """A request went well: climb back a little."""
        now = self.now()
        self._meter.tick(now)
        self._throttled_since = None
        self._pauses = 0
        if now >= self._pause_until:
            self._adaptive.climb(now)
            if self._bucket is not None:
                self._follow_rate(now)

    def answered(self) -> None:
        """The server answered with an error that is no throttling: the storm is over, the rate stays."""
        self._throttled_since = None
        self._pauses = 0

    def close(self) -> None:
        """Leave no timer behind; whoever still waits gets a TransportError (nothing was sent)."""
        self._closed = True
        self._disarm()
        self.turn_away(_closed_error)

    def turn_away(self, error: Callable[[], OpusError]) -> None:
        """Whoever waits gets an error instead of a turn."""
        for lane in (*self._work_lanes, self._poll_lane):
            for waiter in lane.queue:
                if not waiter.done():
                    waiter.set_exception(error())
            lane.queue.clear()
        self._waiting = 0

    def hold(self) -> None:
        """Give no more turns until :meth:`resume`; those who come wait."""
        self._before_hold = self._granted(self.now())
        self._usable = 0
        self._disarm()

    def resume(self) -> None:
        """End a hold: those who waited leave one by one, at a rate that climbs back to what it was."""
        if self._before_hold is None:
            return
        now = self.now()
        self._adaptive.restart(now, self._before_hold)
        self._usable, self._before_hold = self._slots, None
        self._follow_rate(now)
        self._dispatch()

    def let_one(self) -> float:
        """Give one turn in spite of a hold, within the rate; to a harmless request wherever one waits.

        Looks through those who wait: not for every request.

        Returns:
            0 when one has its turn; else the seconds after which to try again.
        """
        if self._in_use >= self._slots:
            return _FULL
        now = self.now()
        self._lets_polls = not self._lets_polls  # in turn: one lane may have nothing but a request in trouble
        lanes = (
            (self._poll_lane, *self._work_lanes) if self._lets_polls else (*self._work_lanes, self._poll_lane)
        )
        found = self._firsts(lanes, harmless=True) or self._firsts(lanes, harmless=False)
        for lane, waiter in found:
            if self._wait(lane, now) <= 0:
                del lane.queue[waiter]
                self._waiting -= 1
                self._grant(lane, now)
                waiter.set_result(None)
                return 0.0
        return min((self._wait(lane, now) for lane, _ in found), default=_FULL)

    def _firsts(self, lanes: Iterable[_Lane], *, harmless: bool) -> list[tuple[_Lane, asyncio.Future[None]]]:
        """Of each lane the first who waits and is harmless, or is not."""
        firsts = ((lane, self._first(lane, harmless=harmless)) for lane in lanes)
        return [(lane, waiter) for lane, waiter in firsts if waiter is not None]

    def _first(self, lane: _Lane, *, harmless: bool) -> asyncio.Future[None] | None:
        queue = lane.queue.items()
        return next((waiter for waiter, (_, mild) in queue if mild is harmless and not waiter.done()), None)

    def enter_now(self, priority: Priority, operation: str = "") -> bool:
        """Take a turn if that needs no waiting. Whoever gets one calls :meth:`leave`.

        Raises:
            ConfigurationError: In a fork of the process that made it.
        """
        if self._closed:
            raise _closed_error()
        self._maker.check()
        if self._in_use >= self._usable or self._waiting:
            return False
        now = self.now()
        lane = self._lane_for(priority, operation)
        if self._wait(lane, now) > 0:
            return False
        self._grant(lane, now)
        return True

    async def enter(self, priority: Priority, operation: str = "", *, harmless: bool = True) -> None:
        """Wait for a turn. Whoever gets one calls :meth:`leave`.

        Args:
            priority: Of what it goes before.
            operation: What the request does; one with a limit of its own waits in a lane of its own.
            harmless: Whether the request may be lost without harm; see :meth:`let_one`.
        """
        if self.enter_now(priority, operation):
            return
        lane = self._lane_for(priority, operation)
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        lane.queue[waiter] = next(self._arrivals), harmless
        self._waiting += 1
        self._dispatch()
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._hand_back(lane)
            elif lane.queue.pop(waiter, None) is not None:
                self._waiting -= 1
                self._dispatch()
            raise

    def leave(self) -> None:
        """End a turn."""
        self._in_use -= 1
        if self._waiting:
            self._dispatch()

    def _lane_for(self, priority: Priority, operation: str) -> _Lane:
        return self._lane_of.get(operation) or self._lanes[priority]

    def _hand_back(self, lane: _Lane) -> None:
        """A turn that was granted and will not be used."""
        for bucket in (self._bucket, lane.bucket):
            if bucket is not None:
                bucket.give_back()
        self.leave()

    def _dispatch(self) -> None:
        """Give turns to whoever may go now, and wake up when the next may."""
        now = self.now()
        while self._waiting and self._in_use < self._usable:
            lane = self._next_lane(now)
            if lane is None:
                break
            waiter, _ = lane.queue.popitem(last=False)
            self._waiting -= 1
            if not waiter.done():
                self._grant(lane, now)
                waiter.set_result(None)
        self._arm(now)

    def _next_lane(self, now: float) -> _Lane | None:
        """Work in the order of arrival, as far as rates allow; at least every fourth turn is a poll's."""
        work = None
        for lane in self._work_lanes:
            if lane.queue and (work is None or lane.arrival < work.arrival) and self._wait(lane, now) <= 0:
                work = lane
        polls = self._poll_lane
        if (
            polls.queue
            and (work is None or self._work_in_a_row >= _WORK_IN_A_ROW)
            and self._wait(polls, now) <= 0
        ):
            return polls
        return work

    def _wait(self, lane: _Lane, now: float) -> float:
        """Seconds until pause and rates let this lane go, slots apart."""
        wait = self._pause_until - now
        if self._bucket is not None:
            wait = max(wait, self._bucket.wait(now))
        if lane.bucket is not None:
            wait = max(wait, lane.bucket.wait(now))
        return wait

    def _grant(self, lane: _Lane, now: float) -> None:
        if self._bucket is not None:
            self._bucket.take(now)
        if lane.bucket is not None:
            lane.bucket.take(now)
        if lane is self._poll_lane:
            self._work_in_a_row = 0
        elif self._poll_lane.queue:
            self._work_in_a_row += 1
        self._in_use += 1

    def _follow_rate(self, now: float) -> None:
        rate = self._adaptive.current
        if rate is None:
            self._bucket = None
        elif self._bucket is None:
            self._bucket = TokenBucket(rate, now=now)
        else:
            self._bucket.set_rate(rate, now)

    def _arm(self, now: float) -> None:
        """One timer, for the moment when the next waiter may go. A full gate needs none: a release comes."""
        if not self._waiting or self._in_use >= self._usable:
            self._disarm()
            return
        waiting = (lane for lane in (*self._work_lanes, self._poll_lane) if lane.queue)
        wait = min(self._wait(lane, now) for lane in waiting)
        if self._timer is not None:
            if self._timer_at <= now + wait:
                return
            self._disarm()
        self._timer_at = now + wait
        self._timer = asyncio.get_running_loop().call_later(wait, self._wake)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self) -> None:
        self._timer = None
        self._dispatch()


class Bandwidth:
    """Bytes a second, shared by all uploads.

    Args:
        rate: Bytes a second.
        time: The clock; the running loop's by default.
        sleep: Waits.
    """

    def __init__(
        self,
        rate: float,
        *,
        time: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._bucket = TokenBucket(rate)
        self._time = time
        self._sleep = sleep

    async def spend(self, size: int) -> None:
        """Wait until ``size`` bytes may go out. First come, first served; given back when cancelled."""
        now = asyncio.get_running_loop().time() if self._time is None else self._time()
        wait = self._bucket.reserve(now, size)
        if wait > 0:
            try:
                await self._sleep(wait)
            except BaseException:
                self._bucket.give_back(size)
                raise


class _Turn:
    """What ``async with gate.slot()`` holds."""

    __slots__ = ("_gate", "_operation", "_priority")

    def __init__(self, gate: RequestLimiter, priority: Priority, operation: str) -> None:
        self._gate = gate
        self._priority = priority
        self._operation = operation

    async def __aenter__(self) -> None:
        await self._gate.enter(self._priority, self._operation)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._gate.leave()


def _closed_error() -> TransportError:
    return TransportError(
        "The client was closed while this request waited for its turn; nothing was sent",
        request_sent=False,
        retryable=False,
        obstacle=Obstacle.CLOSED,
    )
