"""Delivers events to listeners without waiting for them.

A plain function runs inline: the caller promises to keep it short. A coroutine function runs in a task of its
own, in the order of the events; the task exists only while there are events to deliver. A listener that
raises, hangs or is too slow harms nothing else.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from opus_async.events import Event, Listener
from opus_async.tasks import start

log = logging.getLogger("opus_async.transport")

BACKLOG = 10_000
"""Events that may wait for one slow listener, about 150 bytes each; more are dropped and counted."""
DRAIN_SECONDS = 1.0


class RequestMeter(Protocol):
    """Told of every answer, for figures about many requests: no event is made for it.

    It is called inline, in the context of the task that sent the request: keep it short.
    """

    def answered(self, operation: str, status: int, seconds: float) -> None:
        """A request was answered; arguments as in :class:`opus_async.events.RequestSent`."""

    def paused(self, seconds: float) -> None:
        """A 429 makes requests pause for so long from now on."""


class Dispatcher:
    """The listeners of one client; call it with an event.

    Args:
        listeners: Plain or coroutine functions, called with each event.
        backlog: Events that may wait for one coroutine listener.
        drain: Seconds that :meth:`close` waits for them.

    Attributes:
        active: Whether there are listeners; if not, no event need be built.
        meter: Told of answers; None for none.
    """

    def __init__(
        self, listeners: Iterable[Listener] = (), *, backlog: int = BACKLOG, drain: float = DRAIN_SECONDS
    ) -> None:
        self.meter: RequestMeter | None = None
        self._subscriptions = tuple(_Subscription(listener, backlog) for listener in listeners)
        self.active = bool(self._subscriptions)
        self._backlog = backlog
        self._drain = drain

    @contextmanager
    def listening(self, listener: Listener) -> Iterator[None]:
        """Deliver events to this listener, too, for as long as the block lasts."""
        subscription = _Subscription(listener, self._backlog)
        self._subscriptions = (*self._subscriptions, subscription)
        self.active = True
        try:
            yield
        finally:
            self._subscriptions = tuple(other for other in self._subscriptions if other is not subscription)
            self.active = bool(self._subscriptions)
            subscription.stop()

    @contextmanager
    def metering(self, meter: RequestMeter) -> Iterator[None]:
        """Tell this meter of answers, in place of any other, for as long as the block lasts."""
        before, self.meter = self.meter, meter
        try:
            yield
        finally:
            self.meter = before

    def __call__(self, event: Event) -> None:
        """Deliver an event to all listeners; never raises, never waits."""
        for subscription in self._subscriptions:
            subscription.tell(event)

    async def close(self) -> None:
        """Give coroutine listeners a bounded time to finish, then stop them."""
        running = [subscription.stop() for subscription in self._subscriptions]
        tasks = [task for task in running if task is not None and task is not asyncio.current_task()]
        if not tasks:
            return
        try:
            _, late = await asyncio.wait(tasks, timeout=self._drain)
        except asyncio.CancelledError:
            for task in tasks:
                task.cancel()
            raise
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=self._drain)


class Relay(Dispatcher):
    """A dispatcher that passes events on to another one, too: for listeners to some jobs of a client.

    Args:
        to: Where all events go besides.
        listeners: Told of those that come here; one at least.
    """

    def __init__(self, to: Dispatcher, listeners: Iterable[Listener]) -> None:
        super().__init__(listeners)
        self._to = to

    def __call__(self, event: Event) -> None:
        """Deliver an event to the listeners here, and there."""
        super().__call__(event)
        self._to(event)


class _Subscription:
    """One listener, and the events not delivered to it yet."""

    def __init__(self, listener: Listener, backlog: int) -> None:
        self._listener = listener
        self._name = getattr(listener, "__qualname__", type(listener).__qualname__)
        self._asynchronous = _is_coroutine_function(listener)
        self._backlog = backlog
        self._waiting: deque[Event | Awaitable[object]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._failed = False
        self._dropped = 0
        self._stopped = False

    def tell(self, event: Event) -> None:
        if self._asynchronous:
            self._later(event)
            return
        try:
            result = self._listener(event)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - somebody else's code
            self._complain(error)
            return
        if result is not None and inspect.isawaitable(result):  # a look at None takes longer than the rest
            self._later(result)

    def stop(self) -> asyncio.Task[None] | None:
        """Take no more events; returns the task that still delivers some, if there is one."""
        self._stopped = True
        if self._dropped:
            log.warning(
                "the listener %s was too slow: %d events were dropped in all", self._name, self._dropped
            )
        return self._task

    def _later(self, item: Event | Awaitable[object]) -> None:
        if self._stopped or len(self._waiting) >= self._backlog:
            self._drop(item)
            return
        self._waiting.append(item)
        if self._task is None:
            self._task = start("opus_async listener", self._work)

    async def _work(self) -> None:
        try:
            await asyncio.sleep(0)  # under an eager task factory this runs inside of create_task, and of tell
            while self._waiting:
                await self._tell_one(self._waiting.popleft())
        finally:
            self._task = None
            while self._waiting:
                _discard(self._waiting.popleft())

    async def _tell_one(self, item: Event | Awaitable[object]) -> None:
        try:
            result = item if inspect.isawaitable(item) else self._listener(item)
            if inspect.isawaitable(result):
                await result
        except asyncio.CancelledError as error:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            self._complain(error)
        except Exception as error:  # noqa: BLE001 - somebody else's code
            self._complain(error)

    def _drop(self, item: Event | Awaitable[object]) -> None:
        _discard(item)
        if self._stopped:
            return
        self._dropped += 1
        if self._dropped == 1:
            log.warning("the listener %s is too slow: events are being dropped", self._name)

    def _complain(self, error: BaseException) -> None:
        level = logging.DEBUG if self._failed else logging.ERROR
        self._failed = True
        log.log(
            level,
            "the listener %s raised %s; it is told on",
            self._name,
            type(error).__name__,
            exc_info=error,
        )


def _is_coroutine_function(listener: Listener) -> bool:
    return inspect.iscoroutinefunction(listener) or inspect.iscoroutinefunction(
        getattr(listener, "__call__", None)  # noqa: B004 - an object whose __call__ is a coroutine function
    )


def _discard(item: object) -> None:
    """Close a coroutine that will not be awaited: it would warn."""
    if inspect.iscoroutine(item):
        item.close()
