"""The calls of the Opus API, one coroutine each.

Nothing here knows what order the calls belong in, or what a run is.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from opus_async.clients.sender import ONE_TRY, Sender
from opus_async.clients.starting import send_start
from opus_async.config import RetryPolicy
from opus_async.error_codes import NextAction, NextStep
from opus_async.errors import (
    APIError,
    ConfigurationError,
    OpusError,
    ProtocolError,
)
from opus_async.events import FailureClass, SchemaWarning
from opus_async.models import AuditLog, JobResults, JobStatus, Workflow
from opus_async.opus.client_secrets import ClientSecrets
from opus_async.opus.errors import RetiredPath
from opus_async.opus.protocol import undocumented
from opus_async.opus.protocol.api_messages import InitiateFields, PresignedUpload, PresignFields
from opus_async.opus.protocol.api_version import ApiVersion
from opus_async.opus.protocol.hints import hint
from opus_async.opus.protocol.undocumented import PresignedDownload
from opus_async.opus.version_detection import VersionDetector
from opus_async.platform import AboutToSend, AmbiguousStart, StartAnswer, nothing
from opus_async.transport.dispatch import Dispatcher
from opus_async.transport.failures import classify
from opus_async.transport.limits import Priority
from opus_async.wire.json_bodies import json_of
from opus_async.wire.messages import ApiRequest, ApiResponse

log = logging.getLogger("opus_async.opus")

ValueT = TypeVar("ValueT")


class Api:
    """The Opus API, authenticated as one user.

    Args:
        sender: Sends the requests.
        versions: Knows the generation of the API that is used.
        secrets: Those of the client.
        notify: Where events go.

    Attributes:
        versions: As given.
        secrets: As given.
        base_url: The host, without trailing slash.
        host_digest: Short for the base URL, in callback tokens: 12 hex characters.
    """

    batch_size = 1  # the platform has no call that asks about many

    def __init__(
        self, sender: Sender, versions: VersionDetector, secrets: ClientSecrets, notify: Dispatcher
    ) -> None:
        self.versions = versions
        self.secrets = secrets
        self.base_url = sender.base_url
        self.host_digest = hashlib.sha256(sender.base_url.encode()).hexdigest()[:12]
        self._sender = sender
        self._send = sender.send
        self._notify = notify
        self._told: set[tuple[str, str]] = set()
        """Workflow id and warning about its schema that were told."""

    @property
    def generation(self) -> str:
        """The name of the generation that is used; ``auto`` while it is not known yet."""
        return self.versions.name

    def check_callback(self, url: str) -> None:
        """Check that ``execute`` will take a callback URL, before anything is made.

        Raises:
            ConfigurationError: It will not.
        """
        for version in self.versions.candidates:
            version.callback(url)

    async def is_well(self) -> bool:
        """Whether the generation that is used answers here, asked once and about no job that there is."""
        return await self.versions.is_well()

    async def workflow(self, workflow_id: str, *, version: int | None, version_id: str | None) -> Workflow:
        """Read a workflow's schema, at whichever path still gives it.

        Args:
            workflow_id: 16 characters, or a UUID.
            version: The number of a version; None for the latest.
            version_id: The UUID of a version; wins over the number.

        Raises:
            RetiredPath: No path gives it any more.
            ProtocolError: It is of another version than was asked for, or cannot be read.
            APIError: The platform refused.
        """
        api = await self.versions.version()

        def read(response: ApiResponse) -> Workflow:
            return api.read_workflow(response, workflow_id)

        try:
            call = api.workflow(workflow_id, version=version, version_id=version_id)
            workflow = await self._send(call, read)
        except RetiredPath:
            elsewhere = api.workflow_elsewhere(workflow_id, version=version, version_id=version_id)
            if elsewhere is None:
                raise
            workflow = await self._send(elsewhere, read)
        _check_version(workflow, version, version_id)
        self._tell_warnings(workflow)
        return workflow

    def _tell_warnings(self, workflow: Workflow) -> None:
        """Tell the warnings about a schema, each once, to the log and to listeners."""
        for problem in workflow.warnings:
            if (workflow.workflow_id, problem) not in self._told:
                self._told.add((workflow.workflow_id, problem))
                log.warning("workflow %s: %s", workflow.workflow_id, problem)
                self._notify(SchemaWarning(workflow_id=workflow.workflow_id, problem=problem))

    async def initiate(
        self, fields: InitiateFields, on_maybe_created: Callable[[], None] = lambda: None
    ) -> str:
        """Create a job that is not started; returns its id.

        Args:
            fields: What the job is made with.
            on_maybe_created: Called for each job that a lost answer may have left behind.
        """
        api = await self.versions.version()
        call = api.initiate(fields)

        return await self._send(call, api.read_initiated, on_failure=_when_lost(on_maybe_created))

    async def presign(self, fields: PresignFields, *, waited: float = 0.0) -> PresignedUpload:
        """Get a presigned URL to PUT one file to.

        Args:
            fields: What the file is, and whose.
            waited: Seconds that the upload has waited already, for events.
        """
        api = await self.versions.version()
        return await self._send(api.presign(fields), api.read_presigned, waited=waited)

    async def download(self, file_url: str, *, workspace_id: str | None) -> PresignedDownload:
        """Get a presigned URL to GET one file from (observed, not documented)."""
        call = undocumented.download(file_url, workspace_id=workspace_id)
        return await self._send(call, undocumented.read_download)

    async def execute(
        self,
        job_id: str,
        payload: Mapping[str, Any],
        *,
        callback_url: str | None,
        workspaces: str | None,
        about_to_send: AboutToSend = nothing,
    ) -> None:
        """Start a job, and its bill. Repeated only when no byte of it can have left, or on a 429.

        Args:
            job_id: The job.
            payload: Its inputs.
            callback_url: Sent with it; None for the generation's default.
            workspaces: Ids joined by commas.
            about_to_send: Told once, when it has its turn.

        Raises:
            AmbiguousStart: It may or may not have taken effect, whatever was answered.
            OpusError: Proved to have had no effect: nothing was sent, or nothing but 429 came back.
        """
        api = await self.versions.version()
        call = api.execute(job_id, payload, callback_url=callback_url, workspaces=workspaces)
        await send_start(self._sender, call, _ReadExecuted(api, call, self.secrets), about_to_send)

    async def status_and_body(self, job_id: str) -> tuple[JobStatus, Any]:
        """Read a job's status once, without retries, and the whole body, as evidence of a start."""
        api = await self.versions.version()

        def read(response: ApiResponse) -> tuple[JobStatus, Any]:
            return api.read_status(response), json_of(response)

        return await self._send(api.status(job_id), read, policy=ONE_TRY)

    async def status(
        self, job_id: str, *, priority: Priority = Priority.WORK, policy: RetryPolicy | None = None
    ) -> JobStatus:
        """Read a job's status.

        Args:
            job_id: The job.
            priority: Its place in the queue of the limiter: polls yield to everything else.
            policy: Other than the client's.
        """
        api = await self.versions.version()
        return await self._send(api.status(job_id), api.read_status, priority=priority, policy=policy)

    async def results(self, job_id: str, *, priority: Priority = Priority.WORK) -> JobResults | None:
        """Fetch the results of a completed job; None when they are not ready yet (202)."""
        api = await self.versions.version()
        return await self._send(api.results(job_id), api.read_results, priority=priority)

    async def audit(
        self, job_id: str, *, priority: Priority = Priority.WORK, policy: RetryPolicy | None = None
    ) -> AuditLog:
        """Fetch a job's audit."""
        api = await self.versions.version()
        return await self._send(api.audit(job_id), api.read_audit, priority=priority, policy=policy)

    async def job_call(
        self,
        call: ApiRequest,
        read: Callable[[ApiResponse], ValueT],
        on_maybe_done: Callable[[], None] = lambda: None,
    ) -> ValueT:
        """Send one of the undocumented calls for managing jobs, which take the ids of v0 alone.

        Args:
            call: The request.
            read: Makes a value of its response.
            on_maybe_done: Called for each attempt that may have taken effect although it failed.

        Raises:
            ConfigurationError: Another generation is used.
        """
        api = await self.versions.version()
        if not api.has_jobs:
            raise ConfigurationError(
                f"{call.operation!r} is offered for jobs (v0) only, and this client speaks {api.name}: "
                "whether the one knows the ids of the other is not documented"
            )
        return await self._send(call, read, on_failure=_when_lost(on_maybe_done))

    async def poll(
        self,
        workflow_id: str,  # noqa: ARG002 - the contract's signature: a job's id is enough here
        remote_ids: Sequence[str],
    ) -> Mapping[str, JobStatus | OpusError]:
        """Read the statuses of these jobs once, as :class:`opus_async.platform.StatusSource` asks."""
        return {job_id: await self._poll_one(job_id) for job_id in remote_ids}

    async def _poll_one(self, job_id: str) -> JobStatus | OpusError:
        try:
            return await self.status(job_id, priority=Priority.POLL, policy=ONE_TRY)
        except OpusError as error:
            return error


@dataclass(slots=True, eq=False, repr=False)  # not a closure: all rows that wait for a commit hold one
class _ReadExecuted:
    """Reads the response to a request that starts a job.

    Attributes:
        api: The generation of the API that it was sent to.
        call: The request.
        secrets: Of the client.
    """

    api: ApiVersion
    call: ApiRequest
    secrets: ClientSecrets

    def __call__(self, response: ApiResponse) -> None:
        try:
            self.api.read_executed(response)
        except APIError as error:
            if response.status >= 300:  # noqa: PLR2004 - HTTP: no success
                raise
            # A success that says no inside: from whatever lies behind, which may have begun.
            self.secrets.mask_error(error, self.call.secret)
            raise AmbiguousStart(error, StartAnswer.REFUSED) from error


def _when_lost(tell: Callable[[], None]) -> Callable[[OpusError], None]:
    """A listener to failures that calls ``tell`` after those whose request may have taken effect."""

    def failed(error: OpusError) -> None:
        if classify(error) not in _NOTHING_LEFT_BEHIND:
            tell()

    return failed


def _check_version(workflow: Workflow, version: int | None, version_id: str | None) -> None:
    """Check that a schema is of the version that was asked for.

    Of another one, inputs would be checked against the wrong schema: some servers ignore the version.

    Raises:
        ProtocolError: It is of another.
    """
    told = (workflow.version_id or "").lower() if version_id else workflow.version
    asked = version_id.lower() if version_id else version
    if asked and told and asked != told:
        ignored = ProtocolError(
            f"Version {asked} of workflow {workflow.workflow_id} was asked for, and the schema of version "
            f"{told} came: this server ignores the version. Leave it out, or use the other generation"
        )
        step = NextStep(NextAction.CHOOSE_GENERATION)
        raise ignored.advised(step.action, hint(step))


_NOTHING_LEFT_BEHIND = frozenset(
    {FailureClass.SHORTAGE, FailureClass.UNSENT, FailureClass.THROTTLED, FailureClass.REFUSED}
)
"""Failures after which a request has had no effect, as far as a refusal is believed."""
