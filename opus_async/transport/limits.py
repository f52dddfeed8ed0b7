"""The request limiter: who may send next, by slots, rates, priorities and pauses.

Waiting happens here, before a request's clock starts, never inside the connection pool.
"""

from __future__ import annotations

import asyncio
import random as random_module
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType

from opus_async.errors import Obstacle, OpusError, TransportError
from opus_async.transport.forks import Maker, loop_time
from opus_async.transport.lanes import Lane, Lanes, Priority
from opus_async.transport.rates import OperationLimit
from opus_async.transport.throttling import Throttling
from opus_async.transport.wait_clock import wait_clock

__all__ = ["Priority", "RequestLimiter"]

_RETRY_WHEN_FULL = 1.0
"""Seconds until :meth:`RequestLimiter.admit_one` is tried again when all slots are in use: the responses to
those requests tell as much as a probe would."""


class RequestLimiter:
    """Slots, rates and pauses of one server. Every call is O(1), with ten thousand waiting too.

    Args:
        slots: Requests on the wire at once.
        rate: Requests a second over all lanes; None for no limit until the server throttles.
        poll_rate: Requests a second of polls, out of ``rate``; None for no limit of their own.
        start_slowly: Whether the first requests go slowly; see :class:`.slow_start.SlowStart`.
        operation_limits: Rates of some kinds of requests, out of ``rate``; see :class:`Lanes`.
        time: The clock, in seconds; the running loop's by default.
        random: A source of numbers in [0, 1).

    Attributes:
        now: The clock, in seconds.
        granted_at: When a slot was given last, by the clock.
        throttling: The limits that were learned; the retrier records responses there.
    """

    def __init__(
        self,
        slots: int,
        *,
        rate: float | None = None,
        poll_rate: float | None = None,
        start_slowly: bool = False,
        operation_limits: Sequence[OperationLimit] = (),
        time: Callable[[], float] = loop_time,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self.now = time
        self.granted_at = 0.0
        self.throttling = Throttling(
            rate, guess=slots, start_slowly=start_slowly, now=self.now, random=random
        )
        self._slots = self._usable = slots
        self._rate_before_block: float | None = None
        """Requests a second that were granted before the block; None while it is not blocked."""
        self._in_use = 0
        self._lanes = Lanes(self.throttling.operation, poll_rate, operation_limits)
        self._returning: dict[asyncio.Future[None], None] = {}
        """Requests that have had their turn and wait for a slot once more, in their order."""
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._stopped = self._closed = False
        self._maker = Maker()

    @property
    def in_use(self) -> int:
        """Slots in use."""
        return self._in_use

    @property
    def waiting(self) -> int:
        """Requests that wait for a slot."""
        return self._lanes.waiting + len(self._returning)

    @property
    def held_back(self) -> bool:
        """Whether requests wait for a rate or the end of a pause that polls share, and not for a slot."""
        if not self._lanes.waiting or self._in_use >= self._usable:
            return False
        now = self.now()
        if self.throttling.shared_wait(now) > 0:
            return any(lane.queue and self._own_wait(lane, now) <= 0 for lane in self._lanes)
        return any(
            lane.queue and lane.priority is Priority.POLL and self._own_wait(lane, now) > 0
            for lane in self._lanes
        )

    @property
    def blocked(self) -> bool:
        """Whether slots are given by :meth:`admit_one` alone."""
        return self._rate_before_block is not None

    def slot(self, priority: Priority = Priority.WORK, operation: str = "") -> _Slot:
        """A slot for the length of an ``async with`` block; see :meth:`acquire`."""
        return _Slot(self, priority, operation)

    def try_acquire(self, priority: Priority, operation: str = "") -> bool:
        """Take a slot if that needs no waiting; to be given back by :meth:`release`.

        Raises:
            ConfigurationError: In a fork of the process that made it.
            TransportError: It is closed.
        """
        if self._closed:
            raise _closed_error()
        loop = self._maker.check()
        if self._stopped or self._in_use >= self._usable or self._lanes.waiting or self._returning:
            return False
        now = self.now() if loop is None or self.now is not loop_time else loop.time()
        lane = self._lanes.of(priority, operation)
        if self._wait(lane, now) > 0:
            return False
        self._grant(lane, now)
        return True

    async def acquire(self, priority: Priority, operation: str = "", *, repeatable: bool = True) -> None:
        """Wait for a free slot, the rates and the end of a pause; FIFO within a lane.

        The slot is given back by :meth:`release`.

        Args:
            priority: What it goes before.
            operation: The name of the request; one with a limit of its own waits in a lane of its own.
            repeatable: Whether the request may be sent a second time without harm; see :meth:`admit_one`.

        Raises:
            ConfigurationError: In a fork of the process that made it.
            TransportError: It is closed, or closed meanwhile.
            OpusError: What :meth:`reject_all` was given.
        """
        if self.try_acquire(priority, operation):
            return
        lane = self._lanes.of(priority, operation)
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lanes.add(lane, waiter, repeatable=repeatable)
        self._dispatch()
        await _granted(waiter, partial(self._give_back, lane), partial(self._leave, lane, waiter))

    async def reacquire(self) -> None:
        """Wait for a slot once more, by the turn that a request has had: before all that wait for theirs.

        Rates and pauses let it go when it had its turn, and are not asked again.

        Raises:
            TransportError: It is closed, or closed meanwhile.
            OpusError: What :meth:`reject_all` was given.
        """
        if self._closed:
            raise _closed_error()
        if not self._stopped and self._in_use < self._usable and not self._returning:
            self._in_use += 1
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._returning[waiter] = None
        await _granted(waiter, self.release, partial(self._returning.pop, waiter, None))

    def release(self) -> None:
        """Give a slot back."""
        self._in_use -= 1
        if self._lanes.waiting or self._returning:
            self._dispatch()

    def stop(self) -> None:
        """Give no more slots. Whoever waits, or comes, waits until it is cancelled or this is closed."""
        self._stopped = True
        self._disarm()

    def close(self) -> None:
        """Leave no timer behind; requests that still wait get a TransportError (nothing was sent)."""
        self.stop()
        self._closed = True
        self.reject_all(_closed_error)

    # While the server is down: the circuit breaker blocks, and lets single requests through

    def block(self) -> None:
        """Give no more slots until :meth:`unblock`; requests that come wait."""
        self._rate_before_block = self.throttling.granted
        self.throttling.is_probing = True
        self._usable = 0
        self._disarm()

    def unblock(self) -> None:
        """End a block: waiting requests leave one by one, at a rate that climbs back to what it was."""
        if self._rate_before_block is None:
            return
        self.throttling.is_probing = False
        self.throttling.restart(self._rate_before_block)
        self._usable, self._rate_before_block = self._slots, None
        self._dispatch()

    def reject_all(self, error: Callable[[], OpusError]) -> None:
        """Raise an error in every request that waits, made anew for each."""
        for waiter in (*self._returning, *(waiter for lane in self._lanes for waiter in lane.queue)):
            if not waiter.done():
                waiter.set_exception(error())
        self._returning.clear()
        self._lanes.clear()

    def admit_one(self) -> float:
        """Give one slot in spite of a block, within the rate; to a repeatable request where one waits.

        Looks through all that wait: not meant for every request.

        Returns:
            0 when a request got its slot; else seconds after which to try again.
        """
        if self._in_use >= self._slots:
            return _RETRY_WHEN_FULL
        now, lanes = self.now(), tuple(self._lanes.in_turn())
        found = _firsts(lanes, repeatable=True)
        if not found and self._return_slot():
            return 0.0
        found = found or _firsts(lanes, repeatable=False)
        for lane, waiter in found:
            if self._wait(lane, now) <= 0:
                self._lanes.remove(lane, waiter)
                self._grant(lane, now)
                waiter.set_result(None)
                return 0.0
        return min((self._wait(lane, now) for lane, _ in found), default=_RETRY_WHEN_FULL)

    # Dispatch

    def _leave(self, lane: Lane, waiter: asyncio.Future[None]) -> None:
        """Let a request wait no more: one behind it may be able to go."""
        if self._lanes.remove(lane, waiter):
            self._dispatch()

    def _give_back(self, lane: Lane) -> None:
        """Undo a grant that will not be used."""
        self.throttling.give_back(lane.operation)
        if lane.bucket is not None:
            lane.bucket.give_back()
        self.release()

    def _dispatch(self) -> None:
        """Give slots to whoever may go now, and wake up when the next may."""
        if self._stopped:
            return
        now = self.now()
        while self._in_use < self._usable and self._return_slot():
            pass
        while self._lanes.waiting and self._in_use < self._usable and self.throttling.wait_of_all(now) <= 0:
            lane = self._lanes.next(lambda lane: self._own_wait(lane, now) <= 0)
            if lane is None:
                break
            waiter = self._lanes.take(lane)
            if not waiter.done():
                self._grant(lane, now)
                waiter.set_result(None)
        self._arm(now)

    def _return_slot(self) -> bool:
        """Give a slot to the first request that has had its turn; False where none waits."""
        while self._returning:
            waiter = next(iter(self._returning))
            del self._returning[waiter]
            if not waiter.done():
                self._in_use += 1
                waiter.set_result(None)
                return True
        return False

    def _wait(self, lane: Lane, now: float) -> float:
        """Seconds until pauses and rates let this lane go, slots apart."""
        wait = 0.0 if self.throttling.is_free else self.throttling.wait(lane.operation, now)
        return wait if lane.bucket is None else max(wait, lane.bucket.wait(now))

    def _own_wait(self, lane: Lane, now: float) -> float:
        """The same by what other operations do not share."""
        wait = self.throttling.own_wait(lane.operation, now)
        return wait if lane.bucket is None else max(wait, lane.bucket.wait(now))

    def _grant(self, lane: Lane, now: float) -> None:
        if not self.throttling.is_free:
            self.throttling.take(lane.operation, now)
        if lane.bucket is not None:
            lane.bucket.take(now)
        self._lanes.had_turn(lane)
        self._in_use += 1
        self.granted_at = now

    def _arm(self, now: float) -> None:
        """Set one timer for the moment when the next may go; none while all slots are in use."""
        if not self._lanes.waiting or self._in_use >= self._usable:
            self._disarm()
            return
        wait = min(self._own_wait(lane, now) for lane in self._lanes if lane.queue)
        wait = max(wait, self.throttling.wait_of_all(now))
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


class _Slot:
    """What ``async with limiter.slot()`` holds."""

    __slots__ = ("_limiter", "_operation", "_priority")

    def __init__(self, limiter: RequestLimiter, priority: Priority, operation: str) -> None:
        self._limiter = limiter
        self._priority = priority
        self._operation = operation

    async def __aenter__(self) -> None:
        await self._limiter.acquire(self._priority, self._operation)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._limiter.release()


async def _granted(
    waiter: asyncio.Future[None], give_back: Callable[[], object], leave: Callable[[], object]
) -> None:
    """Wait for a slot, which is measured; whoever is cancelled gives the slot back, or waits no more."""
    clock = wait_clock.get()
    clock.wait_begins()
    try:
        await waiter
    except asyncio.CancelledError:
        if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
            give_back()
        else:
            leave()
        raise
    finally:
        clock.wait_ends()


def _firsts(lanes: Sequence[Lane], *, repeatable: bool) -> list[tuple[Lane, asyncio.Future[None]]]:
    """The first waiting request of each lane that is repeatable, or is not."""
    firsts = ((lane, lane.first(repeatable=repeatable)) for lane in lanes)
    return [(lane, waiter) for lane, waiter in firsts if waiter is not None]


def _closed_error() -> TransportError:
    return TransportError(
        "The client was closed while this request waited for its turn; nothing was sent",
        request_sent=False,
        retryable=False,
        obstacle=Obstacle.CLOSED,
    )
