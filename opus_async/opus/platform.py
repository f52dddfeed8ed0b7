"""Opus as a platform: implements :class:`opus_async.platform.Platform` for one run of one workflow.

Holds what is cached for the length of a run: schemas, uploads, what an unstarted job looks like.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeAlias, cast

from opus_async.config import RetryPolicy
from opus_async.errors import ConfigurationError, OpusError, ProtocolError
from opus_async.gaps import gapped
from opus_async.models import DownloadedFile, JobRequest, JobStatus, Workflow
from opus_async.opus.api import Api
from opus_async.opus.callbacks import CallbackReceiver
from opus_async.opus.downloads import Downloader
from opus_async.opus.protocol.api_messages import InitiateFields, PresignFields
from opus_async.opus.protocol.output_files import file_urls
from opus_async.opus.protocol.payload import BoundInputs, FileToSend, bind
from opus_async.opus.protocol.undocumented import checked_file_url
from opus_async.opus.remote_documents import RemoteDocuments, any_may_be_remote
from opus_async.opus.results import fetch_results
from opus_async.opus.separate_uploads import SeparateUploader
from opus_async.opus.settings import DEFAULT_BASE_URL
from opus_async.opus.sources import file_info
from opus_async.opus.stages import STAGES
from opus_async.opus.start_check import SHELL_DESCRIPTION, SHELL_TITLE, StartChecker, Version
from opus_async.opus.uploads import DeduplicatingUploader
from opus_async.opus.web_uploads import any_to_hold, with_uploads_held
from opus_async.platform import (
    AboutToSend,
    IdTaken,
    JobResult,
    StartCheck,
    StatusSource,
    nothing,
)
from opus_async.tasks import in_order
from opus_async.transport.limits import Priority
from opus_async.transport.rates import OperationLimit
from opus_async.transport.sources import Source

log = logging.getLogger("opus_async.opus")

LATEST: Version = (None, None)
OPERATION_LIMITS: Sequence[OperationLimit] = ()
"""The vendor documents no rate of its own for any kind of request."""
JOB_PAGE = "https://app.opus.com/app/job/{job_id}"
"""Of jobs at the vendor's own host; where another host shows its jobs, or the app its cases, is not known."""
REQUESTS = 3
"""Of a job without files: initiate, execute, results."""
REQUESTS_PER_FILE = 2
"""Presign and PUT."""
Payload: TypeAlias = Mapping[str, Mapping[str, Any]]
Callback: TypeAlias = str | CallbackReceiver


class _Making(NamedTuple):
    """What a job was made with, as far as a check of its start has to know it: not its inputs.

    Attributes:
        version: Of the workflow.
        given: Texts that its answers may quote.
    """

    version: Version
    given: tuple[str, ...] = ()


class BoundJob(NamedTuple):
    """A request checked against the schema; nothing sent yet."""

    request: JobRequest
    inputs: BoundInputs


class OpusPlatform:
    """Runs jobs of one Opus workflow; see :class:`opus_async.platform.Platform`.

    Args:
        api: The calls.
        uploads: The uploads of this run.
        downloader: Fetches the files that jobs leave.
        documents: Looks up documents that lie elsewhere.
        workflow_id: The workflow; None only to start or wait for a job whose workflow is not known, under a
            policy that never starts again.
        version: What a request that names no version gets.
        callback: A URL sent with execute, or a receiver that makes one for each job; None sends what the
            generation of the API sends by default.
        max_file_bytes: The largest file that is sent.
        policy: How long late results are waited for when the job has no deadline.
    """

    stages = STAGES
    start_visible_after = 0.0  # a job shows at once that it was started; the policy's grace is what is left
    operation_limits = OPERATION_LIMITS

    def __init__(
        self,
        api: Api,
        uploads: DeduplicatingUploader | SeparateUploader,
        downloader: Downloader,
        documents: RemoteDocuments,
        workflow_id: str | None,
        *,
        version: Version = LATEST,
        callback: Callback | None,
        max_file_bytes: int,
        policy: RetryPolicy,
    ) -> None:
        self.workflow_id = workflow_id or ""
        self.status_source: StatusSource = api
        self.orphaned_jobs = 0
        self.has_file = documents.is_platform_file
        self.calls_back = isinstance(callback, CallbackReceiver)
        self.workspaces: str | None = None
        self._api = api
        self._uploads = uploads
        self._downloader = downloader
        self._documents = documents
        self._workflow_id = workflow_id
        self._version = version
        self._callback = callback
        self._max_file_bytes = max_file_bytes
        self._policy = policy
        self._schemas: dict[Version, Workflow] = {}
        self._reading = asyncio.Lock()
        self._plainly = _Making(version)
        """Of most jobs."""
        self._made: dict[str, _Making] = {}
        """How each job under way was made."""
        self._of_other_version: set[str] = set()
        """Those jobs that were made for another version or workflow."""
        self._start_checker = StartChecker(api, self._make_shell if workflow_id else None)

    @property
    def uploads_reused(self) -> int:
        """Uploads that were not needed: the same content was sent in this run, or is remembered."""
        return self._uploads.saved

    @property
    def job_page(self) -> str | None:
        """The page of a job in the vendor's app; None for any other host, and for cases (v1)."""
        known = self._api.base_url == DEFAULT_BASE_URL and self._api.generation == "v0"
        return JOB_PAGE if known else None

    async def open(self) -> None:
        """Read the schema of this run's version: an error that would meet every row is raised here."""
        await self._schema(self._version)

    async def reopen(self) -> None:
        """Read the schema of this run's version again: whether the platform still takes this key."""
        number, version_id = self._version
        await self._api.workflow(self.workflow_id, version=number, version_id=version_id)

    @property
    def workflow(self) -> Workflow:
        """The workflow in this run's version, as ``open`` read it."""
        return self._schemas[self._version]

    @property
    def identity(self) -> Mapping[str, str]:
        """Where the jobs run: ``host`` is the base URL, ``generation`` once it is open ``v0`` or ``v1``."""
        return {"platform": "opus", "host": self._api.base_url, "generation": self._api.generation}

    def estimated_requests(self, files: int) -> int:
        """How many requests a job takes: of the API, and the PUTs to storage."""
        return REQUESTS + REQUESTS_PER_FILE * files

    async def bind(self, request: JobRequest) -> BoundJob:
        """Check a row's inputs against the schema and the disk."""
        return await self.bind_to(await self._schema(self._version_of(request)), request)

    async def bind_to(self, workflow: Workflow, request: JobRequest) -> BoundJob:
        """Check a request against a schema that was read before."""
        most = self._max_file_bytes
        given = request.inputs
        if isinstance(given, Mapping):  # all else is refused with what is wrong in the inputs
            if any_to_hold(given):
                given = await with_uploads_held(given, most)
            if any_may_be_remote(given):
                given = await self._documents.in_inputs(workflow, given)
        inputs = bind(workflow, given, inspect=file_info, max_file_bytes=most)
        return BoundJob(request, inputs)

    async def prepare(self, bound: BoundJob) -> Payload:
        """Upload the row's files in parallel; the order of the URLs is the order of the files."""
        return bound.inputs.payload(await in_order(self._upload, bound.inputs.files))

    async def _upload(self, file: FileToSend) -> str:
        fields = PresignFields(
            extension=file.extension,
            original_name=file.filename,
            workflow_id=self._workflow_id,
        )
        return (await self._uploads.send(cast("Source", file.source), fields)).url

    async def create(self, bound: BoundJob) -> str:
        """Create a job that is not started (``initiate``); it costs nothing."""
        request = bound.request
        number, version_id = self._version_of(request)
        job_id = await self._initiate(
            InitiateFields(
                workflow_id=self._workflow_id,
                title=request.title,
                description=request.description,
                version_id=version_id,
                version_number=number,
            )
        )
        if self._start_checker.is_shell(job_id):
            raise IdTaken(job_id)
        self.attach(job_id, request)
        return job_id

    def attach(
        self,
        remote_id: str,
        request: JobRequest,
        *,
        starts_sent: int = 0,  # noqa: ARG002 - a job shows by itself whether it was started
        accepted: bool = False,  # noqa: ARG002 - a job shows by itself whether it was started
        overtaken: bool = False,  # noqa: ARG002 - a job shows by itself whether it was started
        other_version: bool = False,
        alias: str | None = None,  # noqa: ARG002 - a job of Opus has one id
    ) -> None:
        """Remember what a job was made for, in whatever process, until it is released."""
        given = tuple(text for text in (request.title, request.description) if text)
        version = self._version_of(request)
        plain = not given and version == self._version
        self._made[remote_id] = self._plainly if plain else _Making(version, given)
        if other_version:
            self._of_other_version.add(remote_id)

    def release(self, remote_id: str) -> None:
        """Forget a job that is done with here."""
        self._made.pop(remote_id, None)
        self._of_other_version.discard(remote_id)
        self._start_checker.forget(remote_id)

    def start(
        self, remote_id: str, ready: Payload, about_to_send: AboutToSend = nothing
    ) -> Coroutine[Any, Any, None]:
        """Start the job (``execute``), and its bill."""
        callback = self._callback
        if isinstance(callback, CallbackReceiver):
            callback = callback.url_for(remote_id, self._api.host_digest)
        return self._api.execute(
            remote_id,
            ready,
            callback_url=callback,
            workspaces=self.workspaces,
            about_to_send=about_to_send,
        )

    async def check_started(self, remote_id: str) -> StartCheck:
        """Compare the job with one that was never executed; see :mod:`opus_async.opus.start_check`.

        Raises:
            AuthenticationError: The key is refused, whatever is asked.
            TransportError: The platform cannot be asked any more; a later check would not go better.
        """
        if remote_id in self._of_other_version:
            return await self._start_checker.check_alone(remote_id)
        made = self._made.get(remote_id, self._plainly)
        return await self._start_checker.check(remote_id, made.version, given=made.given)

    def alias_of(self, remote_id: str) -> None:
        """None: a job of Opus has one id."""

    def last_seen(self, remote_id: str) -> None:
        """None: a poll shows a status and nothing else."""

    def can_resume(self, status: JobStatus) -> bool:  # noqa: ARG002 - the contract's signature
        """False: the API has no call that answers a paused job."""
        return False

    async def resume(self, remote_id: str, answer: str) -> NoReturn:  # noqa: ARG002 - the contract's signature
        """Raise a ConfigurationError: the API has no call that answers a paused job."""
        raise ConfigurationError(
            "The Opus API cannot resume a job that waits for a person: act on it in Opus, then wait for it",
            job_id=remote_id,
        )

    async def collect(self, remote_id: str, status: JobStatus) -> JobResult:
        """Fetch the results of a completed job, the audit of any other."""
        if status == JobStatus.COMPLETED:
            results = await fetch_results(
                self._api, remote_id, patience=self._policy.max_elapsed, priority=Priority.COLLECT
            )
            return JobResult(outputs=results.outputs, results=results.raw)
        try:
            return JobResult(audit=await self._api.audit(remote_id, priority=Priority.COLLECT))
        except OpusError as error:  # a failing audit must not hide the failure
            log.warning("job %s ended as %s; its audit could not be read: %s", remote_id, status, error)
            return JobResult()

    def files_in(self, results: Any) -> Sequence[tuple[str, str]]:
        """Display name and ``fileUrl`` of each file among the results of a job, in their order."""
        return [(name, url) for name, urls in file_urls(results).items() for url in urls]

    async def fetch(self, url: str, destination: Path) -> DownloadedFile:
        """Fetch a file that a job has left to this path; whole, or not at all.

        Raises:
            InvalidInputs: It is no ``fileUrl``.
            DownloadError: Storage refused, or the disk did, or something has that path already.
            OpusError: The platform gave no URL for it, or no complete answer came.
        """
        from opus_async.transport.part_file import Destination  # noqa: PLC0415 - most programs download nothing

        wanted = checked_file_url(url)
        workspace_id = (await self._schema(self._version)).workspace_id
        return await self._downloader.fetch(wanted, Destination(destination), workspace_id=workspace_id)

    def _version_of(self, request: JobRequest) -> Version:
        asked = (request.version_number, request.version_id)
        return self._version if asked == LATEST else asked

    async def _schema(self, version: Version) -> Workflow:
        if version in self._schemas:
            return self._schemas[version]
        async with self._reading:
            if version not in self._schemas:
                number, version_id = version
                self._schemas[version] = await self._api.workflow(
                    self.workflow_id, version=number, version_id=version_id
                )
        return self._schemas[version]

    async def _initiate(self, fields: InitiateFields) -> str:
        return await self._api.initiate(fields, on_maybe_created=self._count_stray)

    def _count_stray(self) -> None:
        self.orphaned_jobs += 1

    async def _make_shell(self, version: Version) -> str:
        number, version_id = version
        shell = await self._initiate(
            InitiateFields(
                workflow_id=self._workflow_id,
                title=SHELL_TITLE,
                description=SHELL_DESCRIPTION,
                version_number=number,
                version_id=version_id,
            )
        )
        if shell in self._made:  # a job compared with itself would always look never started
            raise ProtocolError(
                gapped(
                    "The platform gave out the id of job {} again when a new one was to be made. Is there a "
                    "proxy in between that keeps answers?",
                    shell,
                )
            )
        self._count_stray()
        return shell
