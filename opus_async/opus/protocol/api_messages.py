"""What a generation of the Opus API must answer: the one interface that ``v0`` and ``v1`` implement.

A dialect builds calls and reads answers. It decides nothing about retries, files or time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from opus_async.models import AuditLog, JobResults, JobStatus, Workflow
from opus_async.opus.protocol.excerpts import as_it_is
from opus_async.redaction import Mask


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """A request to the API, before it has a host and a key.

    Attributes:
        operation: Its name in events, logs and limits: ``workflow``, ``initiate``, ``presign``, ...
        method: The HTTP method.
        path: Percent-encoded, beginning with ``/``, its query included.
        body: The JSON object to send; None for none.
        repeatable: Whether a second sending after a lost answer is harmless. False for ``execute`` alone:
            it starts a bill.
        secret: A text of the body that no error may quote, whoever quotes it to us: the callback URL.
        job_id: The job that it is about; None for a call about none, or one that makes another.
        workflow_id: The workflow whose details it asks for.
    """

    operation: str
    method: str
    path: str
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    repeatable: bool = True
    secret: str | None = field(default=None, repr=False)
    job_id: str | None = None
    workflow_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiResponse:
    """What came back.

    Attributes:
        status: The HTTP status.
        headers: Case-insensitive.
        body: The bytes, decompressed.
        method: Of the request.
        url: Of the request, without its query.
        attempt: Which attempt got it, from 1.
        job_id: The job that was asked about; None where an answer may name any.
        workflow_id: The workflow that was asked for.
        mask: Takes the secrets of whoever asked out of a text.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    url: str = ""
    attempt: int = 1
    job_id: str | None = None
    workflow_id: str | None = None
    mask: Mask = field(default=as_it_is, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class PresignedUpload:
    """A place in storage to PUT one file to.

    Attributes:
        put_url: Signed, short-lived, a secret: byte-identical on the wire, in no log, repr or error.
        file_url: What goes into the payload.
    """

    put_url: str = field(repr=False)
    file_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InitiateFields:
    """Everything that ``initiate`` can say. What is None is not sent, or has a default (the texts)."""

    workflow_id: str | None = None
    reference_entity_id: str | None = None
    title: str | None = None
    description: str | None = None
    version_id: str | None = None
    version_number: int | None = None
    ref_user_id: str | None = None
    source: str | None = None
    workspaces: str | None = None
    initial_input: Mapping[str, Any] | None = None
    web_app_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PresignFields:
    """Everything that a presign call can say."""

    extension: str
    access_scope: str | None = None
    original_name: str | None = None
    workflow_id: str | None = None
    workspace_id: str | None = None


class ApiVersion(Protocol):
    """One generation of the API. Readers raise the errors of ``opus_async.errors``, never anything else."""

    name: str
    """``v0`` or ``v1``."""
    has_jobs: bool
    """Whether its ids are job ids, which the observed calls of ``protocol/housekeeping.py`` take."""

    def probe(self) -> ApiRequest:
        """Ask for a job that is not there, to learn whether anybody listens."""

    def nowhere(self) -> ApiRequest:
        """Ask at a path that no server has: what comes back there is no answer of the API."""

    def speaks(self, answer: ApiResponse, nowhere: ApiResponse) -> bool:
        """Whether the answer to ``probe`` comes from this generation; raises what decides nothing (401)."""

    def callback(self, url: str | None) -> str | None:
        """What an execute sends whose caller gives ``url``, or none; raises ConfigurationError."""

    def workflow(self, workflow_id: str, *, version: int | None, version_id: str | None) -> ApiRequest:
        """Ask for a workflow's schema."""

    def workflow_elsewhere(
        self, workflow_id: str, *, version: int | None, version_id: str | None
    ) -> ApiRequest | None:
        """Ask at the other path that still tells of a workflow whose own path is retired, if there is one."""

    def read_workflow(self, answer: ApiResponse, workflow_id: str) -> Workflow:
        """Read it, in any shape seen.

        Raises:
            RetiredPath: Ask ``workflow_elsewhere``.
        """

    def initiate(self, fields: InitiateFields) -> ApiRequest:
        """Make an unbilled job shell."""

    def read_initiated(self, answer: ApiResponse) -> str:
        """Read the job id, as text with every digit kept."""

    def presign(self, fields: PresignFields) -> ApiRequest:
        """Ask for a place to PUT one file to."""

    def read_presigned(self, answer: ApiResponse) -> PresignedUpload:
        """Read it."""

    def execute(
        self,
        job_id: str,
        payload: Mapping[str, Any],
        *,
        callback_url: str | None,
        workspaces: str | None,
    ) -> ApiRequest:
        """Start the job, and the bill. ``payload``: variable name -> variable object."""

    def read_executed(self, answer: ApiResponse) -> None:
        """Return when the start was accepted; raise an APIError when it was refused.

        An inner ``statusCode`` of 500 or more raises ServerError with ``status`` from the inner code: the
        caller looks whether it runs all the same. ``success: false`` and inner 4xx raise ValidationFailed
        (or the class of the inner code).
        """

    def status(self, job_id: str) -> ApiRequest:
        """Ask where the job stands."""

    def read_status(self, answer: ApiResponse) -> JobStatus:
        """Read it; a word we do not know is ``UNKNOWN``, no error."""

    def results(self, job_id: str) -> ApiRequest:
        """Ask for the results; only after COMPLETED."""

    def read_results(self, answer: ApiResponse) -> JobResults | None:
        """Read them; None when they are not ready yet (202)."""

    def audit(self, job_id: str) -> ApiRequest:
        """Ask for the audit log; also answers while the job runs."""

    def read_audit(self, answer: ApiResponse) -> AuditLog:
        """Read it."""
