"""Runs many jobs at once, with bounded concurrency; outcomes come in the order of completion.

A stream is an object, not an async generator: an abandoned generator would leave its tasks running, an
abandoned stream cancels them. What bounds it is told in :mod:`opus_async.jobs.worker_pool`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Generic, NamedTuple, Self, TypeVar

from opus_async.errors import (
    AuthenticationError,
    ConfigurationError,
    DownloadError,
    HostDown,
    InvalidInputs,
    OpusError,
    QuotaExhausted,
    RateLimited,
    with_hint,
)
from opus_async.input_problems import bad_argument
from opus_async.jobs.error_scope import Inquiry, Scope, scope_of
from opus_async.jobs.job_run import JobRun
from opus_async.jobs.lifecycle import Lifecycle
from opus_async.jobs.pausing import OnPaused, WhenPaused
from opus_async.jobs.worker_pool import FatalForAll, Rows, WorkerPool
from opus_async.models import JobRequest
from opus_async.outcome import JobOutcome
from opus_async.platform import BoundT, Platform, ReadyT
from opus_async.text import counted, plural

ItemT = TypeVar("ItemT")

NAMED = 20
"""Jobs that the line about an ended stream names; ``JobStream.abandoned`` has all that go on."""

log = logging.getLogger("opus_async.jobs")


class RowKind(NamedTuple):
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
                resume=jobs.go_on,
                leave=jobs.lifecycle.leave,
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

    async def run(self, index: int, row: object) -> JobOutcome | JobRun:
        """Get the job of a row to run; an error of the row alone is in its outcome.

        Returns:
            The outcome, or the run of a job that is waited for: :meth:`go_on` with it when it is ready.

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
            return await self.lifecycle.begin(request, index=index, on_paused=self._on_paused)
        except OpusError as error:
            return await self._outcome_of(error, index, request.key)

    async def go_on(self, run: JobRun) -> JobOutcome | JobRun:
        """Go on with a job that has ended, or pauses; returns and raises as :meth:`run`."""
        try:
            return await self.lifecycle.go_on(run)
        except OpusError as error:
            return await self._outcome_of(error, run.index, run.key)

    async def _outcome_of(self, error: OpusError, index: int, key: str | None) -> JobOutcome:
        if await self._is_fatal(error):
            raise FatalForAll(error) from error
        return JobOutcome(job_id=error.job_id, status=None, error=error, index=index, key=key)

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
