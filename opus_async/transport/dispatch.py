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
from dataclasses import dataclass
from typing import Protocol, get_args

from opus_async.events import Event, Listener, RequestKind
from opus_async.tasks import start

log = logging.getLogger("opus_async.transport")

BACKLOG = 10_000
"""Events that may wait for one slow listener, about 150 bytes each; more are dropped and counted."""
DRAIN_SECONDS = 1.0


EVERY_EVENT: frozenset[type] = frozenset(get_args(Event))


class Meter(Protocol):
    """Told of every answer and every stage, for figures about many jobs: no event is made for it.

    It is called inline, in the context of the task that sent the request or runs the job: keep it short.
    """

    def answered(self, operation: str, kind: RequestKind, status: int, waited: float, seconds: float) -> None:
        """A request was answered; arguments as in :class:`opus_async.events.RequestSent`."""

    def paused(self, seconds: float) -> None:
        """A 429 makes requests pause for so long from now on."""

    def stage_changed(self, index: int, stage: str, status: str | None = None) -> None:
        """A job entered a stage; arguments as in :class:`opus_async.events.JobStageChanged`."""


@dataclass(frozen=True, slots=True)
class Only:
    """A listener that is told of some kinds of events: others need not be made for it.

    Attributes:
        listener: Plain or coroutine function.
        events: The classes of the events that it is told of.
    """

    listener: Listener
    events: frozenset[type]

    def __call__(self, event: Event) -> Awaitable[object] | object:
        """Tell it, where it is called like any other listener."""
        return self.listener(event) if type(event) in self.events else None


class Dispatcher:
    """The listeners of one client; call it with an event.

    Args:
        listeners: Plain or coroutine functions, called with each event, or with some (:class:`Only`).
        backlog: Events that may wait for one coroutine listener.
        drain: Seconds that :meth:`close` waits for them.

    Attributes:
        heard: The classes of events that a listener is told of; no other event need be made.
        meters: Told of every answer and every stage.
    """

    def __init__(
        self, listeners: Iterable[Listener] = (), *, backlog: int = BACKLOG, drain: float = DRAIN_SECONDS
    ) -> None:
        self.meters: list[Meter] = []
        self._backlog = backlog
        self._drain = drain
        self._subscriptions: tuple[_Subscription, ...]
        self._set(_Subscription(listener, backlog) for listener in listeners)

    @contextmanager
    def listening(self, listener: Listener) -> Iterator[None]:
        """Deliver events to this listener, too, for as long as the block lasts."""
        subscription = _Subscription(listener, self._backlog)
        self._set((*self._subscriptions, subscription))
        try:
            yield
        finally:
            self._set(other for other in self._subscriptions if other is not subscription)
            subscription.stop()

    @contextmanager
    def metering(self, meter: Meter) -> Iterator[None]:
        """Tell this meter, too, for as long as the block lasts."""
        self.meters.append(meter)
        try:
            yield
        finally:
            self.meters.remove(meter)

    def __call__(self, event: Event) -> None:
        """Deliver an event to all listeners that hear its kind; never raises, never waits."""
        kind = type(event)
        for subscription in self._subscriptions:
            if kind in subscription.events:
                subscription.tell(event)

    def _set(self, subscriptions: Iterable[_Subscription]) -> None:
        self._subscriptions = tuple(subscriptions)
        self.heard = frozenset[type]().union(*(each.events for each in self._subscriptions))

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
        listeners: Told of those that come here.
    """

    def __init__(self, to: Dispatcher, listeners: Iterable[Listener]) -> None:
        super().__init__(listeners)
        self.heard = EVERY_EVENT
        self.meters = to.meters
        self._to = to

    def __call__(self, event: Event) -> None:
        """Deliver an event to the listeners here, and there."""
        super().__call__(event)
        self._to(event)


class _Subscription:
    """One listener, and the events not delivered to it yet."""

    def __init__(self, listener: Listener, backlog: int) -> None:
        self.events = EVERY_EVENT
        if isinstance(listener, Only):
            self.events, listener = listener.events, listener.listener
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
