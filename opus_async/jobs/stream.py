"""Runs many jobs at once, with bounded concurrency; outcomes come in the order of completion.

A stream is an object, not an async generator: an abandoned generator would leave its tasks running, an
abandoned stream cancels them. A slot is held from the moment a row is taken until its outcome is read, so
memory follows what is in flight, never the rows.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import logging
from collections import deque
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Self, TypeAlias, TypeVar

from opus_async.errors import (
    AuthenticationError,
    ConfigurationError,
    DownloadError,
    HostDown,
    InvalidInputs,
    OpusError,
    QuotaExhausted,
    RateLimited,
    first_error,
    with_hint,
)
from opus_async.input_problems import bad_argument
from opus_async.jobs.error_scope import Inquiry, Scope, scope_of
from opus_async.jobs.lifecycle import Lifecycle
from opus_async.jobs.pausing import OnPaused, WhenPaused
from opus_async.models import JobRequest
from opus_async.outcome import JobOutcome
from opus_async.platform import BoundT, Platform, ReadyT
from opus_async.tasks import start, start_in
from opus_async.text import counted, plural

RowT = TypeVar("RowT")
ItemT = TypeVar("ItemT")

ROWS_A_TURN = 32
"""Rows taken before the loop gets its turn: a list of 10,000 must not hold it for 50 ms."""

Rows: TypeAlias = Iterable[RowT] | AsyncIterable[RowT]


NAMED = 20
"""Jobs that the line about an ended stream names; ``JobStream.abandoned`` has all that go on."""

log = logging.getLogger("opus_async.jobs.stream")

_NO_MORE: Any = object()


@dataclass(frozen=True, slots=True)
class RowKind:
    """What a row of a stream is.

    Attributes:
        name: In words for errors.
        request_of: Makes its request; None of what is no such row.
    """

    name: str
    request_of: Callable[[Any], JobRequest | None]


def _request_of_mapping(row: object) -> JobRequest | None:
    if isinstance(row, Mapping):
        return JobRequest(row)
    return row if isinstance(row, JobRequest) else None


MAPPINGS = RowKind("a mapping of inputs or a JobRequest", _request_of_mapping)


class FatalForAll(Exception):
    """Internal: wraps an error that would fail every row (401, say), so that the stream stops."""

    def __init__(self, error: OpusError) -> None:
        super().__init__(str(error))
        self.error = error


class WorkerPool(Generic[RowT, ItemT]):
    """Takes rows, runs the work of each, and keeps the items until they are read.

    Args:
        rows: Taken one at a time, when a slot is free.
        work: Makes the item of a row; called with its index.
        concurrency: Rows at once between being taken and their item being read.
        prepare: Awaited once before the first row; what it raises ends the stream.
        around: Entered before the first row is taken, and left when nothing runs any more.
        on_end: Called when nothing of it runs any more, with the items that nobody can read any more.
    """

    def __init__(
        self,
        rows: Rows[RowT],
        work: Callable[[int, RowT], Awaitable[ItemT]],
        *,
        concurrency: int,
        prepare: Callable[[], Awaitable[None]] | None = None,
        on_end: Callable[[Sequence[ItemT | OpusError]], None] | None = None,
        around: AbstractAsyncContextManager[object] | None = None,
    ) -> None:
        self.in_flight = 0
        self._around = around or nullcontext()
        self._rows = rows
        self._work = work
        self._prepare = prepare
        self._on_end = on_end
        self._slots = asyncio.Semaphore(concurrency)
        self._ready: deque[ItemT | OpusError] = deque()
        self._changed = asyncio.Event()
        self._supervisor: asyncio.Task[None] | None = None
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
            await asyncio.gather(self._supervisor, return_exceptions=True)

    def abandon(self, error: OpusError | None = None) -> None:
        """Cancel the rows in flight, without waiting."""
        if not self._ended:
            self._error = error
            if self._supervisor is None:
                self._ended = True
            else:
                self._supervisor.cancel()

    async def _run(self) -> None:
        try:
            async with self._around:
                if self._prepare:
                    await self._prepare()
                async with asyncio.TaskGroup() as group:
                    self._error = await self._admit(group)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - the reader gets it, whatever it is: nothing ends quietly
            first = first_error(error)
            self._error = first.error if isinstance(first, FatalForAll) else first

    def drop(self) -> None:
        """Like ``abandon``, where nobody can read on either: items that had come stay unread."""
        self._dropped = True
        if self._ended:
            self._tell_end()
        self.abandon()

    def _finish(self, _: object) -> None:
        self._ended = True
        self._changed.set()
        self._tell_end()

    def _tell_end(self) -> None:
        if self._on_end is not None:
            self._on_end(tuple(self._ready) if self._dropped else ())

    async def _admit(self, group: asyncio.TaskGroup) -> Exception | None:
        """Take rows until there are none. A source that breaks ends the rows, not the jobs under way."""
        source = aiter(self._rows) if isinstance(self._rows, AsyncIterable) else iter(self._rows)
        try:
            return await self._take(source, group)
        finally:  # a generator may hold a file open
            if inspect.isasyncgen(source):
                await source.aclose()
            elif inspect.isgenerator(source):
                source.close()

    async def _take(
        self, source: AsyncIterator[RowT] | Iterator[RowT], group: asyncio.TaskGroup
    ) -> Exception | None:
        for index in itertools.count():
            await self._slots.acquire()
            if index % ROWS_A_TURN == 0:
                await asyncio.sleep(0)
            try:
                if isinstance(source, AsyncIterator):
                    row = await anext(source, _NO_MORE)
                else:
                    row = next(source, _NO_MORE)
            except Exception as error:  # noqa: BLE001 - the caller's own, handed back to the caller
                return error
            if row is _NO_MORE:
                break
            self.in_flight += 1
            start_in(group, self._one, index, row)
        return None

    async def _one(self, index: int, row: RowT) -> None:
        try:
            self._ready.append(await self._work(index, row))
        except OpusError as error:
            self._ready.append(error)
        finally:
            self.in_flight -= 1
            self._changed.set()


class Stream(AsyncIterator[ItemT]):
    """The items of a worker pool: an async iterator and an async context manager.

    ``aclose()``, the end of ``async with``, or dropping the last reference ends it: nothing of it goes on
    here. Jobs that were started go on remotely.
    """

    _loop: asyncio.AbstractEventLoop | None = None

    def __init__(self, pool: WorkerPool[Any, ItemT]) -> None:
        self.pool = pool
        self._loop = asyncio.get_running_loop()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ItemT:
        return await self.pool.next()

    async def __aenter__(self) -> Self:
        self.pool.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.pool.drop)

    async def aclose(self) -> None:
        """End the stream and wait until every task of it is gone."""
        await self.pool.close()

    @property
    def in_flight(self) -> int:
        """Rows taken whose item is not finished yet."""
        return self.pool.in_flight


class JobStream(Stream[JobOutcome]):
    """The outcomes of many jobs, in the order of completion; ``outcome.index`` is the row's position.

    One row never raises: its outcome carries the error, with ``status`` None if no job came to be. What
    would fail every row (a bad key, no such workflow) raises, after the outcomes that were there already.

    Args:
        jobs: Runs a row.
        rows: Inputs or requests, taken one at a time.
        concurrency: Rows at once between being taken and their outcome being read.
        around: Entered before the first row is taken, and left when nothing runs any more.
    """

    def __init__(
        self,
        jobs: JobSource[Any, Any],
        rows: Rows[Any],
        concurrency: int,
        *,
        around: AbstractAsyncContextManager[object] | None = None,
    ) -> None:
        super().__init__(
            WorkerPool(
                rows,
                jobs.run,
                concurrency=concurrency,
                prepare=jobs.open,
                on_end=jobs.tell_left,
                around=around,
            )
        )
        self._jobs = jobs

    @property
    def abandoned(self) -> tuple[str, ...]:
        """Ids of jobs that go on remotely because the stream was ended before they were."""
        return tuple(self._jobs.lifecycle.abandoned)

    @property
    def stray_shells(self) -> int:
        """Job shells made and never started, unbilled: after lost answers to ``initiate``."""
        return self._jobs.platform.orphaned_jobs


class JobSource(Generic[BoundT, ReadyT]):
    """Runs the rows of a :class:`JobStream`: the work of its worker pool.

    Args:
        platform: The platform adapter, for all rows.
        lifecycle: Runs one job.
        row_kind: What a row is.
        on_paused: What follows when a job waits for a person.
    """

    def __init__(
        self,
        platform: Platform[BoundT, ReadyT],
        lifecycle: Lifecycle[BoundT, ReadyT],
        *,
        row_kind: RowKind = MAPPINGS,
        on_paused: OnPaused = WhenPaused.WAIT,
    ) -> None:
        self.platform = platform
        self.lifecycle = lifecycle
        self._row_kind = row_kind
        self._on_paused = on_paused
        self._inquiry = Inquiry(platform.reopen)
        self._left: list[str] = []
        lifecycle.on_left = lambda job_id, _: self._left.append(job_id)

    async def open(self) -> None:
        """Load what every row needs."""
        try:
            await self.platform.open()
        except OpusError as error:
            raise error.located(stage=self.platform.stages.bind) from None

    async def run(self, index: int, row: object) -> JobOutcome:
        """Run one row; an error of the row alone is in its outcome.

        Raises:
            FatalForAll: Every other row would meet the error, too.
        """
        request = self._row_kind.request_of(row)
        if request is None:
            problem = f"Row {index} is a {type(row).__name__}; a row is {self._row_kind.name}"
            return JobOutcome(
                job_id=None, status=None, error=InvalidInputs([bad_argument(problem)]), index=index
            )
        try:
            return await self.lifecycle.run(request, index=index, on_paused=self._on_paused)
        except OpusError as error:
            if await self._is_fatal(error):
                raise FatalForAll(error) from error
            return JobOutcome(job_id=error.job_id, status=None, error=error, index=index, key=request.key)

    def tell_left(self, unread: Sequence[JobOutcome | OpusError]) -> None:
        """Log in one line which jobs were started and are not read about any more; nothing where none were.

        Args:
            unread: Outcomes that had come and that nobody can read any more.
        """
        known = [job_id for job_id in (outcome.job_id for outcome in unread) if job_id is not None]
        left = [*self._left, *known]
        self._left.clear()
        if not left:
            return
        parts = []
        if going := len(left) - len(known):
            parts.append(f"{counted(going, 'job')} may go on remotely, or have just ended")
        if known:
            unseen = plural(len(known), "was", "were")
            parts.append(f"{counted(len(known), 'outcome')} had come and {unseen} not read")
        more = f" and {len(left) - NAMED:,} more" if len(left) > NAMED else ""
        said = f"{'; '.join(parts)}: {plural(len(left), 'job', 'jobs')} {', '.join(left[:NAMED])}{more}"
        log.warning("The stream was ended. %s", with_hint(said, self.lifecycle.hint_to_wait(left[0])))

    async def _is_fatal(self, error: OpusError) -> bool:
        """Whether every other row would meet the error, too."""
        if error.shortage:
            return True
        if isinstance(error, HostDown | RateLimited | QuotaExhausted):
            return False
        scope = scope_of(error, self.platform.stages)
        if scope is Scope.ASK_AND_OTHERS_TELL:
            return isinstance(error, AuthenticationError)
        if scope is Scope.ASK:
            return await self._inquiry.refusal() is not None
        return scope is Scope.EVERY_ROW and not isinstance(error, ConfigurationError | DownloadError)
