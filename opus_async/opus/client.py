"""``OpusClient``: the calls of the library in one object. Builds its parts and decides nothing itself."""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import AsyncIterable, Iterable, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal

from opus_async.arguments import (
    COUNT,
    FLAG,
    MAPPING,
    SECRET_TEXT,
    TEXT,
    WHOLE,
    WORKFLOW_ID,
    Kind,
    checked,
    one_of,
    several,
)
from opus_async.clients.client import CLIENT_SETTINGS, PlatformClient
from opus_async.clients.sender import Sender
from opus_async.config import Limits, RetryPolicy, Timeouts
from opus_async.errors import ConfigurationError, OpusError
from opus_async.events import Listener
from opus_async.jobs.lifecycle import Lifecycle
from opus_async.jobs.stream import JobStream
from opus_async.models import JobRequest, Workflow
from opus_async.opus.api import Api
from opus_async.opus.callbacks import CallbackReceiver
from opus_async.opus.client_secrets import ClientSecrets
from opus_async.opus.downloads import Downloader
from opus_async.opus.ids import workflow_id_in
from opus_async.opus.platform import LATEST, OPERATION_LIMITS, Callback, OpusPlatform, Payload
from opus_async.opus.protocol.api_versions import api_versions
from opus_async.opus.protocol.hints import hint
from opus_async.opus.remote_documents import RemoteDocuments, is_platform_file
from opus_async.opus.separate_uploads import SeparateUploader
from opus_async.opus.settings import (
    key_problem,
    resolve_api,
    resolve_base_url,
    resolve_callback,
    resolve_key,
)
from opus_async.opus.stages import VENDOR_DOMAIN
from opus_async.opus.start_check import Version
from opus_async.opus.upload_cache import UploadCache
from opus_async.opus.uploads import DeduplicatingUploader, Uploader
from opus_async.opus.version_detection import VersionDetector
from opus_async.outcome import JobOutcome
from opus_async.platform import Cache
from opus_async.transport.auth import StaticAuth
from opus_async.transport.urls import is_loopback

if TYPE_CHECKING:
    import aiohttp

    from opus_async.opus.files import Files
    from opus_async.opus.jobs import Jobs


log = logging.getLogger("opus_async.opus")

_CALLBACK = Kind(
    "a URL as text, or a CallbackReceiver",
    lambda value: isinstance(value, str | CallbackReceiver),
    secret=True,
)
_ROWS = several(
    "an iterable of mappings or JobRequests, [row] for one; a file of rows is for run_batch",
    files=(Mapping, str, bytes, os.PathLike),
)


class OpusClient(PlatformClient):
    """A client of the Opus API: ``async with OpusClient() as opus: await opus.run(...)``.

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

    Raises:
        ConfigurationError: No key, a base URL that is none, a callback that the API would refuse, or too few
            files that this process may have open.
    """

    vendor_domain = VENDOR_DOMAIN

    @checked(
        ConfigurationError,
        service_key=SECRET_TEXT,
        base_url=SECRET_TEXT,
        api=one_of("v0", "v1", "auto"),
        callback=_CALLBACK,
        **CLIENT_SETTINGS,
    )
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
        key = resolve_key(service_key)
        url = resolve_base_url(base_url)
        super().__init__(
            url,
            limits=limits,
            timeouts=timeouts,
            retry=retry,
            session=session,
            listeners=listeners,
            hint=hint,
            operation_limits=OPERATION_LIMITS,
        )
        self._receiver = callback if isinstance(callback, CallbackReceiver) else None
        self._receivers: weakref.WeakSet[CallbackReceiver] = weakref.WeakSet()
        callback_url = None if isinstance(callback, CallbackReceiver) else callback
        self._api = self._new_api(key, url, api, callback_url=callback_url)
        self._uploader = Uploader(
            self._api,
            self._network.http,
            self._network.file_slots,
            self._network.storage.at,
            timeouts=self._timeouts,
            bandwidth=self._network.bandwidth,
            notify=self._notify,
        )
        self._downloader = Downloader(
            self._api,
            self._network.http,
            self._network.file_slots,
            self._network.storage.at,
            timeouts=self._timeouts,
            notify=self._notify,
        )
        self._documents = RemoteDocuments(
            self._network.remote,
            partial(is_platform_file, base_url=url, vendor_domain=VENDOR_DOMAIN),
            self.patience,
        )
        self.workflows = Workflows(self._api)

    @cached_property
    def jobs(self) -> Jobs:
        """The calls of a job one by one."""
        from opus_async.opus.jobs import Jobs  # noqa: PLC0415 - run and run_many need none of them

        return Jobs(
            self._api,
            self._watcher,
            policy=self.retry,
            new_platform=self._new_platform,
            new_lifecycle=self._new_lifecycle,
            keep=self._pools.add,
            notify=self._notify,
        )

    @cached_property
    def files(self) -> Files:
        """Uploads outside a run, and downloads."""
        from opus_async.opus.files import Files  # noqa: PLC0415 - run and run_many need none of them

        return Files(self._uploader, self.limits, self._downloader, self._documents)

    def _new_api(self, key: str, base_url: str, api: str | None, *, callback_url: str | None) -> Api:
        """Make the calls of the API; ``api`` and ``callback_url`` are as the caller gave them."""
        callbacks = [callback_url, resolve_callback(None)]  # that of the environment: other runs may send it
        secrets = ClientSecrets(key, callbacks, self._callback_urls)
        sender = Sender(
            self._network.http,
            self._network.retrier,
            base_url=base_url,
            auth=StaticAuth({"x-service-key": key, "Accept": "application/json"}),
            key_problem=key_problem(key),
            secrets=secrets,
            notify=self._notify,
        )
        candidates = api_versions(
            resolve_api(api),
            callback_url=None if self._receiver else resolve_callback(callback_url),
            plain_http=is_loopback(base_url),
        )
        return Api(sender, VersionDetector(candidates, sender), secrets, self._notify)

    def __repr__(self) -> str:
        return f"<OpusClient {self._api.base_url} {self._api.generation}, {self._state()}>"

    def _before_close(self) -> None:
        for receiver in self._receivers:
            receiver.detach(self._watcher.wake, self._api.host_digest)

    async def generations(self) -> Mapping[str, bool | OpusError]:
        """Ask which generations of the API answer at ``base_url``, of those that ``api`` allows.

        Returns:
            Name -> whether it answers, in the order in which ``auto`` prefers them; the error where that
            cannot be told: a refused key, an outage.
        """
        return await self._api.versions.all_answers()

    @checked(workflow_id=WORKFLOW_ID, inputs=MAPPING, callback=_CALLBACK)
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
            workflow_id: 16 characters, a UUID, or the link of the workflow's page.
            inputs: Display name or variable name -> value; see :class:`JobRequest`.
            title: Shown in the Opus UI.
            description: Shown in the Opus UI.
            key: The caller's own name for the job, handed back in the outcome.
            timeout: Seconds from getting a slot until we stop waiting; default, and more about it:
                ``Timeouts.job``. The job itself goes on.
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
        platform = self._new_platform(workflow_id, callback)
        return await self._run(platform, request)

    @checked(workflow_id=WORKFLOW_ID, version_number=WHOLE, version_id=TEXT, callback=_CALLBACK)
    def lifecycle(
        self,
        workflow_id: str,
        *,
        memory: Cache | None = None,
        version_number: int | None = None,
        version_id: str | None = None,
        callback: Callback | None = None,
    ) -> Lifecycle[Any, Payload]:
        """Make the lifecycle of one workflow's jobs, for programs that drive rows themselves.

        ``run`` and ``run_many`` run every job this way, within ``Limits.max_in_flight``, which bounds nothing
        here: whoever drives rows decides how many. Await ``lifecycle.platform.open()`` once before
        ``lifecycle.run(request)``: what it raises would meet every row. What is cached, the schema and the
        uploads, lives as long as the value that is returned.

        Args:
            workflow_id: 16 characters, a UUID, or the link of the workflow's page.
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
        return self._new_lifecycle(self._new_platform(workflow_id, callback, version=version, memory=memory))

    def load_lifecycle(
        self,
        workflow_id: str,
        *,
        version_number: int | None = None,
        version_id: str | None = None,
        reuse_uploads: bool = False,
    ) -> Lifecycle[Any, Payload]:
        """Make the lifecycle of a load test's jobs; arguments as in :meth:`lifecycle`.

        Args:
            workflow_id: The workflow.
            version_number: Pins its version.
            version_id: Pins it by UUID.
            reuse_uploads: Whether content is uploaded once for all jobs; else each job uploads its own.
        """
        version = (version_number, version_id)
        return self._new_lifecycle(
            self._new_platform(workflow_id, version=version, reuse_uploads=reuse_uploads)
        )

    @checked(
        ConfigurationError,
        rows=_ROWS,
        max_in_flight=COUNT,
        callback=_CALLBACK,
        progress=FLAG,
    )
    @checked(workflow_id=WORKFLOW_ID)
    def run_many(
        self,
        workflow_id: str,
        rows: Iterable[Mapping[str, Any] | JobRequest] | AsyncIterable[Mapping[str, Any] | JobRequest],
        *,
        max_in_flight: int | None = None,
        callback: Callback | None = None,
        progress: bool = False,
    ) -> JobStream:
        """Run a job for every row; iterate over the outcomes as they come.

        At most ``Limits.max_in_flight`` jobs of this client run at once, those of ``run`` and of other
        streams included. A job gives its slot of the client back when it has ended, read or not, so that
        ``run`` can be awaited between two outcomes.

        Args:
            workflow_id: 16 characters, a UUID, or the link of the workflow's page.
            rows: Mappings of inputs or :class:`JobRequest`, taken one at a time when a slot is free.
            max_in_flight: Rows between being taken and their outcome being read; default, and at most,
                ``Limits.max_in_flight``.
            callback: Instead of the client's.
            progress: Whether to show how it goes: in a notebook as an output, on a terminal as
                ``opus-async batch run`` does (with rich: ``pip install 'opus-async[cli]'``), else as a line
                on stderr every few seconds.

        Returns:
            An async iterator and async context manager; ``outcome.index`` is the row's position. One row
            never raises: its outcome carries the error. An error that every row would meet (a bad key, no
            such workflow) is raised by the iteration.

        Raises:
            ConfigurationError: An argument is not of its kind, the client is closed, or the callback is one
                that the API would refuse.
        """
        platform = self._new_platform(workflow_id, callback)
        return self._stream(platform, rows, max_in_flight=max_in_flight, progress=progress)

    def _new_platform(
        self,
        workflow_id: str | None,
        callback: Callback | None = None,
        *,
        version: Version = LATEST,
        memory: Cache | None = None,
        reuse_uploads: bool = True,
    ) -> OpusPlatform:
        self._check_open()
        workflow_id = workflow_id_in(workflow_id)
        callback = self._receiver if callback is None else callback
        if isinstance(callback, CallbackReceiver):
            self._api.check_callback(callback.url_for("0"))
            callback.attach(self._watcher.wake, self._api.host_digest)
            self._receivers.add(callback)
        elif callback is not None:
            self._api.check_callback(callback)
            self._api.secrets.remember_callback(callback)
        return OpusPlatform(
            self._api,
            DeduplicatingUploader(
                self._uploader, UploadCache(memory, self._api) if memory is not None else None
            )
            if reuse_uploads
            else SeparateUploader(self._uploader),
            self._downloader,
            self._documents,
            workflow_id,
            version=version,
            callback=callback,
            max_file_bytes=self.limits.max_file_bytes,
            policy=self.retry,
        )

    def _callback_urls(self, job_id: str) -> Iterable[str]:
        """The callback URLs of this client's receivers for a job."""
        return [
            receiver.url_for(job_id, self._api.host_digest)
            for receiver in list(self._receivers)
            if receiver.public_url is not None
        ]


class Workflows:
    """``opus.workflows``: reads workflow schemas."""

    def __init__(self, api: Api) -> None:
        self._api = api

    @checked(workflow_id=WORKFLOW_ID, version=WHOLE, version_id=TEXT)
    async def get(
        self, workflow_id: str, *, version: int | None = None, version_id: str | None = None
    ) -> Workflow:
        """Read a workflow and the inputs it expects now (``GET /workflow/{id}``).

        Args:
            workflow_id: 16 characters, a UUID, or the link of the workflow's page.
            version: A version number; default: the latest active one.
            version_id: A version's UUID; wins over ``version``.

        Raises:
            NotFound: The key knows no such workflow, or its details are not given any more.
            APIError: The platform refused for another reason.
            ProtocolError: The schema cannot be read, or is of another version.
        """
        wanted = workflow_id_in(workflow_id)
        return await self._api.workflow(wanted, version=version, version_id=version_id)
