"""What every platform's client is made of: connections, watcher, slots, streams, and how it is closed."""

from __future__ import annotations

import logging
import warnings
import weakref
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Sized
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from opus_async.arguments import FUNCTION, Kind, checked, instance
from opus_async.clients.network import Network
from opus_async.clients.settings import is_at
from opus_async.config import Limits, RetryPolicy, Timeouts
from opus_async.error_codes import NextStep
from opus_async.errors import ConfigurationError, OpusError
from opus_async.events import Listener
from opus_async.jobs.job_ids import JobIds
from opus_async.jobs.job_slots import JobSlots
from opus_async.jobs.lifecycle import Lifecycle
from opus_async.jobs.pausing import OnPaused, WhenPaused
from opus_async.jobs.stream import MAPPINGS, JobSource, JobStream, RowKind
from opus_async.jobs.watch import Watcher
from opus_async.jobs.worker_pool import Rows, WorkerPool
from opus_async.models import JobRequest
from opus_async.outcome import JobOutcome
from opus_async.platform import BoundT, Platform, ReadyT
from opus_async.remote.patience import Patience
from opus_async.transport import open_files
from opus_async.transport.dispatch import Dispatcher, Meter
from opus_async.transport.forks import Maker
from opus_async.transport.rates import OperationLimit

if TYPE_CHECKING:
    import aiohttp

    from opus_async.clients.shown_stream import ShownStream

log = logging.getLogger("opus_async.clients")

CLIENT_SETTINGS: Mapping[str, Kind] = {
    "limits": instance(Limits),
    "timeouts": instance(Timeouts),
    "retry": instance(RetryPolicy),
    "session": Kind("an aiohttp.ClientSession", lambda value: callable(getattr(value, "request", None))),
    "listeners": Kind(
        "a list of functions",
        lambda value: (
            isinstance(value, Iterable) and (not isinstance(value, Collection) or all(map(callable, value)))
        ),
    ),
}
"""What the settings that all clients have may be."""


class PlatformClient:
    """The base of the clients of all platforms: runs jobs of any :class:`~opus_async.platform.Platform`.

    Safe to share between tasks of one event loop, not with a forked process.

    Args:
        base_url: Of the API, checked.
        limits: How much happens at once.
        timeouts: How long one thing may take.
        retry: What happens when a request fails.
        session: A session of the caller's, with its own connector; it is not closed here.
        listeners: Callables, sync or async, that are told events.
        hint: Turns a next step into words for programs.
        operation_limits: The rates that the platform demands of some kinds of requests.

    Attributes:
        limits: As given, or lower: as far as this process may open files.
        asked_limits: As given.
        retry: As given.
        patience: How long stores are waited for in which documents lie.
        is_production: Whether its API is at a host of the vendor's, where jobs are real.

    Raises:
        ConfigurationError: Settings of another type, or too few files that this process may have open.
    """

    vendor_domain: ClassVar[str | None] = None
    """The domain of the vendor's own hosts, where jobs are real and cost money; None where there is none."""

    def __init__(
        self,
        base_url: str,
        *,
        limits: Limits | None,
        timeouts: Timeouts | None,
        retry: RetryPolicy | None,
        session: aiohttp.ClientSession | None,
        listeners: Iterable[Listener],
        hint: Callable[[NextStep], str],
        operation_limits: Sequence[OperationLimit] = (),
    ) -> None:
        self.is_production = is_at(base_url, self.vendor_domain)
        self.asked_limits = limits or Limits()
        self.limits = _fitted(self.asked_limits)
        self.retry = retry or RetryPolicy()
        self._timeouts = timeouts or Timeouts()
        self._hint = hint
        self._pools: weakref.WeakSet[WorkerPool[Any, Any]] = weakref.WeakSet()
        self._ids = JobIds()
        self._slots = JobSlots(self.limits.max_in_flight)
        self._maker = Maker()
        self._closed = False
        self._notify = Dispatcher(listeners)
        self.patience = Patience(self._timeouts.document, self.retry, self._notify)
        self._network = Network(
            base_url,
            limits=self.limits,
            timeouts=self._timeouts,
            retry=self.retry,
            session=session,
            notify=self._notify,
            operation_limits=operation_limits,
        )
        self._watcher = Watcher(
            detect_lag=self.limits.detect_lag,
            patience=self.retry.max_elapsed,
            outage=self.retry.outage,
            workers=self.limits.api_concurrency,
            sparing=lambda: self._network.limiter.held_back,
        )

    def _state(self) -> str:
        """For the repr: whether it is closed, or how many jobs are watched."""
        return "closed" if self._closed else f"{len(self._watcher)} jobs watched"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End every stream, stop watching, close the connections. Jobs that were started go on remotely.

        In a fork of the process that made it, nothing is ended or closed: all of it is the parent's. In
        another event loop than it was used in, its connections are closed, and tasks are left to that loop.
        """
        self._closed = True
        if not self._maker.is_here:
            return
        if not self._maker.is_in_loop:  # its tasks ended with their loop, or are that one's
            self._network.stop()
            await self._network.close()
            return
        self._before_close()
        self._network.stop()  # first: from here on nothing is started
        try:
            for pool in list(self._pools):
                await pool.close(
                    OpusError("The client was closed; rows not yet read were not run to their end.")
                )
            await self._watcher.close()
        finally:
            try:
                await self._network.close()
            finally:
                await self._notify.close()

    def _before_close(self) -> None:
        """Called when it is about to be closed, where it was made and used."""

    @checked(listener=FUNCTION)
    def listening(self, listener: Listener) -> AbstractContextManager[None]:
        """Send events to this listener, too, for as long as a ``with`` block lasts."""
        return self._notify.listening(listener)

    def metering(self, meter: Meter) -> AbstractContextManager[None]:
        """Tell a meter of every answer and stage while a ``with`` block lasts: cheaper than a listener."""
        return self._notify.metering(meter)

    async def _run(
        self,
        platform: Platform[Any, Any],
        request: JobRequest,
        *,
        on_paused: OnPaused = WhenPaused.WAIT,
    ) -> JobOutcome:
        """Run one job within ``Limits.max_in_flight``."""
        lifecycle = self._new_lifecycle(platform, slots=self._slots)
        return await lifecycle.run(request, on_paused=on_paused)

    def _stream(
        self,
        platform: Platform[Any, Any],
        rows: Rows[Any],
        *,
        max_in_flight: int | None,
        progress: bool,
        row_kind: RowKind = MAPPINGS,
        on_paused: OnPaused = WhenPaused.WAIT,
    ) -> JobStream:
        """Run a job for every row within ``Limits.max_in_flight``.

        Args:
            platform: The platform, for all rows.
            rows: Taken one at a time when a slot is free.
            max_in_flight: Rows between being taken and their outcome being read; None for the client's bound.
            progress: Whether to show how it goes.
            row_kind: What a row is.
            on_paused: What follows when a job waits for a person.

        Raises:
            ConfigurationError: ``max_in_flight`` is below 1.
        """
        slots = self.limits.max_in_flight if max_in_flight is None else max_in_flight
        if slots < 1:
            raise ConfigurationError(f"max_in_flight={max_in_flight} runs nothing; give 1 or more")
        if slots > self.limits.max_in_flight:
            slots = self.limits.max_in_flight
            log.warning(
                "max_in_flight=%d: no more than %d jobs of this client run at once, by its "
                "Limits(max_in_flight=...)",
                max_in_flight,
                slots,
            )
        shown = self._shown(platform, rows) if progress else None
        lifecycle = self._new_lifecycle(platform, shown.notify if shown else None, slots=self._slots)
        jobs = JobSource(platform, lifecycle, row_kind=row_kind, on_paused=on_paused)
        stream = JobStream(jobs, rows, slots, around=shown)
        self._pools.add(stream.pool)
        return stream

    def _shown(self, platform: Platform[Any, Any], rows: object) -> ShownStream:
        """What shows the progress of a stream."""
        from opus_async.clients.shown_stream import ShownStream  # noqa: PLC0415 - a program that asks for none needs none

        total = len(rows) if isinstance(rows, Sized) else None
        return ShownStream(self._notify, platform.stages, platform.workflow_id, total)

    def _new_lifecycle(
        self,
        platform: Platform[BoundT, ReadyT],
        notify: Dispatcher | None = None,
        *,
        slots: JobSlots | None = None,
    ) -> Lifecycle[BoundT, ReadyT]:
        return Lifecycle(
            platform,
            self._watcher,
            policy=self.retry,
            job_timeout=self._timeouts.job,
            notify=notify or self._notify,
            ids=self._ids,
            hint=self._hint,
            slots=slots,
        )

    def _check_open(self) -> None:
        if self._closed:
            raise ConfigurationError("This client is closed; make a new one.")
        self._maker.check()


def _fitted(limits: Limits) -> Limits:
    """Lower the limits to what this process may open; warns whoever makes the client where it does."""
    fitted, lowered = open_files.fitted(limits, soft=open_files.allowed())
    if lowered:
        warnings.warn(lowered, UserWarning, stacklevel=5)
    return fitted
