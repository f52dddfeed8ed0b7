"""Works on many rows at once: bounded, items in the order of completion, and clean when ended early.

A slot is held from the moment a row is taken until its item is read, so memory follows what is in flight,
never the rows. A row whose work waits for something outside (:class:`Suspended`) keeps its slot and no task:
ten thousand jobs that run on a platform are ten thousand small objects.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import itertools
from collections import deque
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Generic, TypeAlias, TypeVar

from opus_async.errors import OpusError, first_error
from opus_async.tasks import is_cancelled, start, start_in

RowT = TypeVar("RowT")
ItemT = TypeVar("ItemT")
PartT = TypeVar("PartT")
"""What a part of the work is done on: a row's index and the row, or a suspended one."""

ROWS_A_TURN = 32
"""Rows taken before the loop gets its turn: a list of 10,000 must not hold it for 50 ms."""
BEGUN_AT_ONCE = 500
"""Rows at work before they are suspended or end; more are not taken. Each has a task and a request that waits
for its turn, some 10 kB: with as many as may be in flight the memory for the first minute would be thrice
that for the hours after it. Many times what a client sends at once."""

Rows: TypeAlias = Iterable[RowT] | AsyncIterable[RowT]

_NO_MORE: Any = object()


class FatalForAll(Exception):
    """Internal: wraps an error that would fail every row (401, say), so that the stream stops."""

    def __init__(self, error: OpusError) -> None:
        super().__init__(str(error))
        self.error = error


class Suspended:
    """Work that waits for something outside without a task, until it can be gone on with."""

    __slots__ = ("_call",)

    def __init__(self) -> None:
        self._call: Callable[[Any], None] = _nobody

    @property
    def is_ready(self) -> bool:
        """Whether it can be gone on with."""
        raise NotImplementedError

    def when_ready(self, call: Callable[[Any], None]) -> None:
        """Have this called, with this object, once it can be gone on with; at once where it can."""
        if self.is_ready:
            call(self)
        else:
            self._call = call

    def readiness(self) -> asyncio.Future[None]:
        """A future that is done once it can be gone on with, for whoever waits in a task after all."""
        ready = asyncio.get_running_loop().create_future()
        self.when_ready(functools.partial(_resolve, ready))
        return ready

    def tell_ready(self) -> None:
        """Call whoever goes on with it."""
        call, self._call = self._call, _nobody
        call(self)


def _nobody(_: Suspended) -> None:
    """Nobody goes on with it."""


def _resolve(ready: asyncio.Future[None], _: Suspended) -> None:
    if not ready.done():  # cancelled a moment ago
        ready.set_result(None)


def _source_cancelled(error: asyncio.CancelledError) -> OpusError:
    """What a reader gets who was not cancelled: to them a CancelledError would look like the end."""
    broken = OpusError("What the rows come from was cancelled: there may be more rows, which were not run")
    broken.__cause__ = error
    return broken


class WorkerPool(Generic[RowT, ItemT]):
    """Takes rows, runs the work of each, and keeps the items until they are read.

    Args:
        rows: Taken one at a time, when a slot is free.
        work: Makes the item of a row; called with its index. It may come to a wait, and be suspended there.
        concurrency: Rows at once between being taken and their item being read.
        resume: Goes on with work that was suspended, and can be gone on with.
        leave: Called with each that is suspended when the pool ends: it is not gone on with.
        prepare: Awaited once before the first row; what it raises ends the stream.
        around: Entered before the first row is taken, and left when nothing runs any more.
        on_end: Called when nothing of it runs any more, with the items that nobody can read any more.
    """

    def __init__(
        self,
        rows: Rows[RowT],
        work: Callable[[int, RowT], Awaitable[ItemT | Suspended]],
        *,
        concurrency: int,
        resume: Callable[[Any], Awaitable[ItemT | Suspended]] | None = None,
        leave: Callable[[Any], None] = _nobody,
        prepare: Callable[[], Awaitable[None]] | None = None,
        on_end: Callable[[Sequence[ItemT | OpusError]], None] | None = None,
        around: AbstractAsyncContextManager[object] | None = None,
    ) -> None:
        self.in_flight = 0
        self._around = around or nullcontext()
        self._rows = rows
        self._work = work
        self._resume = resume
        self._leave = leave
        self._prepare = prepare
        self._on_end = on_end
        self._slots = asyncio.Semaphore(concurrency)
        at_once = concurrency if resume is None else min(BEGUN_AT_ONCE, concurrency)
        self._begun = asyncio.Semaphore(at_once)  # work that is never suspended is bounded by its slots alone
        self._ready: deque[ItemT | OpusError] = deque()
        self._changed = asyncio.Event()
        self._supervisor: asyncio.Task[None] | None = None
        self._group: asyncio.TaskGroup
        self._context: contextvars.Context
        """That of the supervisor: what is gone on with runs in a copy of it, as what is begun does."""
        self._suspended: set[Suspended] = set()
        self._when_ready = self._can_go_on
        """Made once: ten thousand may hold it."""
        self._none_left: asyncio.Future[None] | None = None
        """Done when no row is in flight any more, and none is to come."""
        self._stopping = False
        """Whether nothing is begun or gone on with any more."""
        self._ended = False
        self._dropped = False
        self._error: BaseException | None = None
        """How it ended; None for a good end."""

    def start(self) -> None:
        """Begin taking rows; does nothing when it has begun or ended."""
        if self._supervisor is None and not self._ended:
            self._supervisor = start("opus_async stream", self._run)
            self._supervisor.add_done_callback(self._finish)  # also runs when cancelled before its first step

    async def next(self) -> ItemT:
        """The next item, in the order of completion; at the end StopAsyncIteration, or what ended it."""
        self.start()
        while not self._ready:
            if self._ended:
                raise self._error or StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        item = self._ready.popleft()
        self._slots.release()
        if isinstance(item, OpusError):
            raise item
        return item

    async def close(self, error: OpusError | None = None) -> None:
        """Cancel the rows in flight and wait until they have ended; finished items stay readable.

        Args:
            error: Raised in a reader who goes on reading; None for a plain end.
        """
        self.abandon(error)
        if self._supervisor is not None:
            await asyncio.wait(
                [self._supervisor]
            )  # no gather: where the rows close it, that cancels itself for ever

    def abandon(self, error: OpusError | None = None) -> None:
        """Cancel the rows in flight, without waiting."""
        if not self._ended:
            self._error = error
            if self._supervisor is None:
                self._ended = True
            else:
                self._supervisor.cancel()

    def drop(self) -> None:
        """Like ``abandon``, where nobody can read on either: items that had come stay unread."""
        self._dropped = True
        if self._ended:
            self._tell_end()
        self.abandon()

    async def _run(self) -> None:
        self._context = contextvars.copy_context()
        try:
            async with self._around:
                if self._prepare:
                    await self._prepare()
                async with asyncio.TaskGroup() as self._group:
                    try:
                        self._error = await self._admit()
                        await self._until_none_is_left()
                    finally:
                        self._leave_suspended()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - the reader gets it, whatever it is: nothing ends quietly
            first = first_error(error)
            self._error = first.error if isinstance(first, FatalForAll) else first

    def _finish(self, _: object) -> None:
        self._ended = True
        self._changed.set()
        self._tell_end()

    def _tell_end(self) -> None:
        if self._on_end is not None:
            self._on_end(tuple(self._ready) if self._dropped else ())

    # Rows

    async def _admit(self) -> Exception | None:
        """Take rows until there are none. A source that breaks ends the rows, not the jobs under way."""
        source = aiter(self._rows) if isinstance(self._rows, AsyncIterable) else iter(self._rows)
        try:
            return await self._take(source)
        finally:  # a generator may hold a file open
            if inspect.isasyncgen(source):
                await source.aclose()
            elif inspect.isgenerator(source):
                source.close()

    async def _take(self, source: AsyncIterator[RowT] | Iterator[RowT]) -> Exception | None:
        for index in itertools.count():
            await self._slots.acquire()
            await self._begun.acquire()
            if index % ROWS_A_TURN == 0:
                await asyncio.sleep(0)
            try:
                if isinstance(source, AsyncIterator):
                    row = await anext(source, _NO_MORE)
                else:
                    row = next(source, _NO_MORE)
            except Exception as error:  # noqa: BLE001 - the caller's own, handed back to the caller
                return error
            except asyncio.CancelledError as error:
                if is_cancelled():
                    raise
                return _source_cancelled(error)
            if row is _NO_MORE:
                break
            self.in_flight += 1
            start_in(self._group, self._begin, index, row)
        return None

    # The work on one row

    async def _begin(self, index: int, row: RowT) -> None:
        try:
            self._take_in(await self._work(index, row))
        except BaseException as error:
            self._failed(error)
            if not isinstance(error, OpusError):
                raise
        finally:
            self._begun.release()

    async def _go_on(self, work: Suspended) -> None:
        self._suspended.discard(work)
        assert self._resume is not None  # noqa: S101 - given where work is suspended
        try:
            self._take_in(await self._resume(work))
        except BaseException as error:
            self._failed(error)
            if not isinstance(error, OpusError):
                raise

    def _can_go_on(self, work: Suspended) -> None:
        """Start a task that goes on with work that was suspended."""
        if not self._stopping:
            self._context.run(start_in, self._group, self._go_on, work)

    def _take_in(self, item: ItemT | Suspended) -> None:
        if isinstance(item, Suspended):
            self._suspended.add(item)
            item.when_ready(self._when_ready)
        else:
            self._ready.append(item)
            self._one_less()

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, OpusError):
            self._ready.append(error)
        elif not isinstance(error, asyncio.CancelledError):
            self._stopping = True  # it fails the group, to which nothing can be added from here on
        self._one_less()

    def _one_less(self) -> None:
        self.in_flight -= 1
        self._changed.set()
        if not self.in_flight and self._none_left is not None and not self._none_left.done():
            self._none_left.set_result(None)

    async def _until_none_is_left(self) -> None:
        if self.in_flight:
            self._none_left = asyncio.get_running_loop().create_future()
            await self._none_left

    def _leave_suspended(self) -> None:
        self._stopping = True
        for work in self._suspended:
            self._leave(work)
            self.in_flight -= 1
        self._suspended.clear()
