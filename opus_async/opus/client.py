"""The client: what an app developer holds. Wires the floors below together and decides nothing itself."""

from __future__ import annotations

import logging
import warnings
import weakref
from collections.abc import AsyncIterable, Iterable, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import urlsplit

from opus_async.config import Limits, RetryPolicy, Timeouts
from opus_async.errors import ConfigurationError, OpusError
from opus_async.events import Listener
from opus_async.jobs.job_ids import JobIds
from opus_async.jobs.job_slots import JobSlots
from opus_async.jobs.lifecycle import Lifecycle
from opus_async.jobs.stream import JobSource, JobStream, WorkerPool
from opus_async.jobs.watch import Watcher
from opus_async.models import JobRequest, Workflow
from opus_async.opus.api import Api
from opus_async.opus.callbacks import CallbackReceiver
from opus_async.opus.downloads import Downloader
from opus_async.opus.files import Files
from opus_async.opus.jobs import Jobs
from opus_async.opus.platform import LATEST, Callback, OpusPlatform, Payload
from opus_async.opus.protocol.api_versions import api_versions
from opus_async.opus.protocol.hints import hint
from opus_async.opus.settings import key_problem, resolve_api, resolve_base_url, resolve_callback, resolve_key
from opus_async.opus.start_check import Version
from opus_async.opus.upload_cache import UploadCache
from opus_async.opus.uploads import DeduplicatingUploader, Uploader
from opus_async.outcome import JobOutcome
from opus_async.platform import Cache
from opus_async.redaction import KEY_LABEL, Redactor, callback_secret, secret_text
from opus_async.transport import open_files
from opus_async.transport.auth import StaticAuth
from opus_async.transport.bandwidth import Bandwidth
from opus_async.transport.circuit_breaker import CircuitBreaker
from opus_async.transport.dispatch import Dispatcher
from opus_async.transport.forks import Maker
from opus_async.transport.hosts import Hosts
from opus_async.transport.http import Http
from opus_async.transport.limits import RequestLimiter
from opus_async.transport.retry import Retrier
from opus_async.transport.urls import is_loopback

if TYPE_CHECKING:
    import aiohttp

log = logging.getLogger("opus_async.opus")


class OpusClient:
    """Opus from one asyncio process: ``async with OpusClient() as opus: await opus.run(...)``.

    Safe to share between tasks of one event loop, not with a forked process. Make one, keep it, close it.

    Args:
        service_key: Default: ``OPUS_SERVICE_KEY`` from the environment. Trimmed.
        base_url: The host. Default: ``OPUS_BASE_URL``, else the vendor's.
        api: The generation of the API: ``v0`` (jobs), ``v1`` (cases), or ``auto`` for the first of them that
            answers at ``base_url``. Default: ``OPUS_API``, else ``v0``. Ids of one are unknown to the other.
        limits: How much happens at once.
        timeouts: How long one thing may take.
        retry: What happens when a request fails.
        callback: A :class:`CallbackReceiver`, or an HTTPS URL that Opus calls when a job ends, sent with
            every execute. Default: ``OPUS_CALLBACK_URL``, else a placeholder that does not resolve where the
            API demands one.
        session: A session of the caller's, with its own connector; it is not closed here. It must carry no
            default header that storage may not see.
        listeners: Callables, sync or async, that are told events.

    Attributes:
        limits: As given, or lower: as far as this process may open files.
        asked_limits: As given.
        retry: As given.
        workflows: Workflow schemas.
        jobs: The calls of a job one by one.
        files: Uploads and downloads.

    Raises:
        ConfigurationError: No key, a base URL that is none, a callback that the API would refuse, or too few
            files that this process may have open.
    """

    def __init__(
        self,
        service_key: str | None = None,
        *,
        base_url: str | None = None,
        api: Literal["v0", "v1", "auto"] | None = None,
        limits: Limits | None = None,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        callback: Callback | None = None,
        session: aiohttp.ClientSession | None = None,
        listeners: Iterable[Listener] = (),
    ) -> None:
        _check_settings(limits=(limits, Limits), timeouts=(timeouts, Timeouts), retry=(retry, RetryPolicy))
        if callable(listeners):
            raise ConfigurationError("listeners is a list of callables, and got one: put it into a list")
        key = resolve_key(service_key)
        url = resolve_base_url(base_url)
        self._receiver = callback if isinstance(callback, CallbackReceiver) else None
        self._receivers: weakref.WeakSet[CallbackReceiver] = weakref.WeakSet()
        self.asked_limits = limits or Limits()
        self.limits, lowered = open_files.fitted(self.asked_limits, soft=open_files.allowed())
        if lowered:
            warnings.warn(lowered, UserWarning, stacklevel=2)
        self._timeouts = timeouts or Timeouts()
        self.retry = retry or RetryPolicy()
        self._notify = Dispatcher(listeners)
        self._ids = JobIds()
        self._slots = JobSlots(self.limits.max_in_flight)
        self._http = Http(self._timeouts, session=session)
        self._gate = RequestLimiter(
            self.limits.api_concurrency,
            rate=self.limits.api_rate,
            poll_rate=self.limits.poll_rate,
            operation_limits=OpusPlatform.operation_limits,
        )
        self._upload_slots = RequestLimiter(self.limits.upload_concurrency)
        self._breaker = CircuitBreaker(
            urlsplit(url).hostname or url, self._gate, self.retry, notify=self._notify
        )
        self._storage = Hosts(self.retry, self.limits.upload_concurrency, self._notify)
        self._api = Api(
            api_versions(
                resolve_api(api),
                callback_url=None if isinstance(callback, CallbackReceiver) else resolve_callback(callback),
                plain_http=is_loopback(url),
            ),
            self._http,
            Retrier(self.retry, self._gate, breaker=self._breaker, notify=self._notify),
            base_url=url,
            auth=StaticAuth({"x-service-key": key, "Accept": "application/json"}),
            key_hint=key_problem(key),
            redactor=_redactor(key, callback),
            callback_urls=self._callback_urls,
            notify=self._notify,
        )
        self._uploader = Uploader(
            self._api,
            self._http,
            self._upload_slots,
            self._storage.at,
            timeouts=self._timeouts,
            bandwidth=Bandwidth(self.limits.upload_bandwidth) if self.limits.upload_bandwidth else None,
            notify=self._notify,
        )
        self._watcher = Watcher(
            detect_lag=self.limits.detect_lag,
            patience=self.retry.max_elapsed,
            outage=self.retry.outage,
            workers=self.limits.api_concurrency,
            sparing=lambda: self._gate.held_back,
        )
        self._engines: weakref.WeakSet[WorkerPool[Any, Any]] = weakref.WeakSet()
        self._closed = False
        self._maker = Maker()
        self.workflows = Workflows(self._api)
        self.jobs = Jobs(
            self._api,
            self._watcher,
            policy=self.retry,
            new_run=self._run_of,
            keep=self._engines.add,
            notify=self._notify,
        )
        self._downloader = Downloader(
            self._api,
            self._http,
            self._upload_slots,
            self._storage.at,
            timeouts=self._timeouts,
            notify=self._notify,
        )
        self.files = Files(self._uploader, self.limits, self._downloader)

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{len(self._watcher)} jobs watched"
        return f"<OpusClient {self._api.base_url} {self._api.generation}, {state}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End every stream, stop watching, close the connections. Jobs that were started go on remotely.

        In a fork of the process that made it, nothing is ended or closed: all of it is the parent's.
        """
        self._closed = True
        if not self._maker.is_here:
            return
        for receiver in self._receivers:
            receiver.detach(self._watcher.wake, self._api.platform)
        self._breaker.close()
        self._storage.close()
        for gate in (self._gate, self._upload_slots):
            gate.close()  # first: from here on nothing is started
        try:
            for engine in list(self._engines):
                await engine.close(
                    OpusError("The client was closed; rows not yet read were not run to their end.")
                )
            await self._watcher.close()
        finally:
            try:
                await self._http.close()
            finally:
                await self._notify.close()

    async def generations(self) -> Mapping[str, bool | OpusError]:
        """Ask which generations of the API answer at ``base_url``, of those that ``api`` allows.

        Returns:
            Name -> whether it answers, in the order in which ``auto`` prefers them; the error where that
            cannot be told: a refused key, an outage.
        """
        return await self._api.generations()

    async def run(
        self,
        workflow_id: str,
        inputs: Mapping[str, Any],
        *,
        title: str | None = None,
        description: str | None = None,
        key: str | None = None,
        timeout: float | None = None,
        version_id: str | None = None,
        version_number: int | None = None,
        callback: Callback | None = None,
    ) -> JobOutcome:
        """Run one job: schema, uploads, initiate, execute, watch, results.

        While ``Limits.max_in_flight`` jobs of this client run, it waits for a slot; nothing is sent before.

        Args:
            workflow_id: 16 characters, or a UUID.
            inputs: Display name or variable name -> value; see :class:`JobRequest`.
            title: Shown in the Opus UI.
            description: Shown in the Opus UI.
            key: The caller's own name for the job, handed back in the outcome.
            timeout: Seconds from getting a slot until we stop waiting; default ``Timeouts.job``. The job
                itself goes on.
            version_id: Pins the workflow version by UUID.
            version_number: Pins it by number.
            callback: Instead of the client's.

        Returns:
            The outcome of any job that reached a terminal status, failed ones included.

        Raises:
            InvalidInputs: All that is wrong with the inputs; nothing was sent.
            DeadlineExceeded: Not ended in time; the error has the job id.
            AmbiguousExecution: It cannot be known whether it was started.
            OpusError: Anything else that leaves no terminal status; carries ``job_id`` and ``stage``.
        """
        request = JobRequest(
            inputs=inputs,
            title=title,
            description=description,
            key=key,
            timeout=timeout,
            version_id=version_id,
            version_number=version_number,
        )
        return await self._lifecycle(self._run_of(workflow_id, callback), self._slots).run(request)

    def listening(self, listener: Listener) -> AbstractContextManager[None]:
        """Tell this listener events, too, for as long as a ``with`` block lasts."""
        return self._notify.listening(listener)

    def lifecycle(
        self,
        workflow_id: str,
        *,
        memory: Cache | None = None,
        version_number: int | None = None,
        version_id: str | None = None,
        callback: Callback | None = None,
    ) -> Lifecycle[Any, Payload]:
        """How jobs of one workflow run, for those who drive rows themselves: a durable batch, say.

        ``run`` and ``run_many`` run every job this way, within ``Limits.max_in_flight``, which bounds nothing
        here: whoever drives rows decides how many. Await ``lifecycle.platform.open()`` once before
        ``lifecycle.run(request)``: what it raises would meet every row. What is cached, the schema and the
        uploads, lives as long as the value that is returned.

        Args:
            workflow_id: 16 characters, or a UUID.
            memory: Where uploads are kept by content, so that a later process need not send them again.
            version_number: Pins the workflow version of every row that names none.
            version_id: Pins it by UUID, and wins over the number.
            callback: Instead of the client's.

        Returns:
            A :class:`~opus_async.jobs.lifecycle.Lifecycle`; its ``platform`` is what it runs on.

        Raises:
            ConfigurationError: The client is closed, or the callback is one that the API would refuse.
        """
        version = (version_number, version_id)
        return self._lifecycle(self._run_of(workflow_id, callback, version=version, memory=memory))

    def run_many(
        self,
        workflow_id: str,
        rows: Iterable[Mapping[str, Any] | JobRequest] | AsyncIterable[Mapping[str, Any] | JobRequest],
        *,
        max_in_flight: int | None = None,
        callback: Callback | None = None,
    ) -> JobStream:
        """Run a job for every row; iterate over the outcomes as they come.

        At most ``Limits.max_in_flight`` jobs of this client run at once, those of ``run`` and of other
        streams included. A job gives its slot of the client back when it has ended, read or not, so that
        ``run`` can be awaited between two outcomes.

        Args:
            workflow_id: 16 characters, or a UUID.
            rows: Mappings of inputs or :class:`JobRequest`, taken one at a time when a slot is free.
            max_in_flight: Rows between being taken and their outcome being read; default, and at most,
                ``Limits.max_in_flight``.
            callback: Instead of the client's.

        Returns:
            An async iterator and async context manager; ``outcome.index`` is the row's position. One row
            never raises: its outcome carries the error. What dooms every row raises.
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
        run = self._run_of(workflow_id, callback)
        jobs = JobSource(run, self._lifecycle(run, self._slots))
        stream = JobStream(jobs, rows, slots)
        self._engines.add(stream.pool)
        return stream

    def _run_of(
        self,
        workflow_id: str | None,
        callback: Callback | None = None,
        *,
        version: Version = LATEST,
        memory: Cache | None = None,
    ) -> OpusPlatform:
        self._check_open()
        callback = self._receiver if callback is None else callback
        if isinstance(callback, CallbackReceiver):
            self._api.check_callback(callback.url_for("0"))
            callback.attach(self._watcher.wake, self._api.platform)
            self._receivers.add(callback)
        elif callback is not None:
            self._api.check_callback(callback)
            self._api.keep_quiet_about(callback)
        return OpusPlatform(
            self._api,
            DeduplicatingUploader(
                self._uploader, UploadCache(memory, self._api) if memory is not None else None
            ),
            self._downloader,
            workflow_id,
            version=version,
            callback=callback,
            max_file_bytes=self.limits.max_file_bytes,
            policy=self.retry,
        )

    def _callback_urls(self, job_id: str) -> Iterable[str]:
        """Where the receivers of this client are called about a job."""
        return [
            receiver.url_for(job_id, self._api.platform)
            for receiver in list(self._receivers)
            if receiver.public_url is not None
        ]

    def _lifecycle(self, run: OpusPlatform, slots: JobSlots | None = None) -> Lifecycle[Any, Payload]:
        return Lifecycle(
            run,
            self._watcher,
            policy=self.retry,
            job_timeout=self._timeouts.job,
            notify=self._notify,
            ids=self._ids,
            hint=hint,
            slots=slots,
        )

    def _check_open(self) -> None:
        if self._closed:
            raise ConfigurationError("This client is closed; make a new one.")
        self._maker.check()


def _redactor(key: str, callback: Callback | None) -> Redactor:
    """Knows the key, the callback URL, and that of the environment, which other runs may have sent."""
    urls = {callback if isinstance(callback, str) else None, resolve_callback(None)} - {None, ""}
    return Redactor(secret_text(key, KEY_LABEL), *(callback_secret(url) for url in urls if url))


def _check_settings(**settings: tuple[Any, type]) -> None:
    for name, (value, kind) in settings.items():
        if value is not None and not isinstance(value, kind):
            raise ConfigurationError(f"{name} is a {type(value).__name__}: give a {kind.__name__}(...)")


class Workflows:
    """``opus.workflows``."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def get(
        self, workflow_id: str, *, version: int | None = None, version_id: str | None = None
    ) -> Workflow:
        """Read a workflow and the inputs it expects now (``GET /workflow/{id}``).

        Args:
            workflow_id: 16 characters, or a UUID.
            version: A version number; default: the latest active one.
            version_id: A version's UUID; wins over ``version``.
        """
        return await self._api.workflow(workflow_id, version=version, version_id=version_id)
