"""The interface of a generation of the Opus API, which ``v0`` and ``v1`` implement, and what they share.

It builds requests and reads answers; it decides nothing about retries, files or time. An answer is read by
its shape, whichever path it came from: the service was changed in place, so shapes of one generation turn up
under the other's paths. Only the requests differ, and the name of the id.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from opus_async.errors import ProtocolError
from opus_async.models import AuditLog, JobResults, JobStatus, Workflow
from opus_async.opus.protocol import outcomes, requests, responses, schema
from opus_async.opus.protocol.api_errors import error_from
from opus_async.opus.protocol.api_messages import InitiateFields, PresignedUpload, PresignFields
from opus_async.wire.json_bodies import json_of
from opus_async.wire.messages import ApiRequest, ApiResponse

NO_JOB = "0"
"""The id that a probe asks for: no job has it, and asking costs nothing."""

_NO_PATH = "/opus-async-nowhere"
_SAID_BY_THE_API = frozenset({HTTPStatus.OK, HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND})
"""Statuses that it answers about an id that nobody has, by the vendor's pages and by clients that work."""
_UNDECIDED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS})


class ApiVersion(ABC):
    """One generation of the API. Readers raise the errors of ``opus_async.errors``, never anything else.

    Args:
        callback_url: Sent with every execute that has none of its own; None sends none.
        plain_http: Whether a callback URL may be http, because the API is on this machine.

    Raises:
        ConfigurationError: The callback URL is none that the platform takes.
    """

    name: ClassVar[str]
    """``v0`` or ``v1``."""
    has_jobs: ClassVar[bool]
    """Whether its ids are job ids, which the observed calls of ``protocol/job_management.py`` take."""

    def __init__(self, *, callback_url: str | None = None, plain_http: bool = False) -> None:
        self._plain_http = plain_http
        self._callback_url = None if callback_url is None else self._checked(callback_url)

    @abstractmethod
    def workflow(
        self, workflow_id: str, *, version: int | None = None, version_id: str | None = None
    ) -> ApiRequest:
        """Ask for a workflow's schema; ``version_id`` wins on the platform when both are given."""

    @abstractmethod
    def initiate(self, fields: InitiateFields) -> ApiRequest:
        """Create a job that is not started; it costs nothing.

        Raises:
            InvalidInputs: No workflow is named, or a field is none that the platform takes.
        """

    @abstractmethod
    def read_initiated(self, answer: ApiResponse) -> str:
        """Read the job id, as text with every digit kept."""

    @abstractmethod
    def presign(self, fields: PresignFields) -> ApiRequest:
        """Ask for a presigned URL to PUT one file to.

        Raises:
            InvalidInputs: The extension or the scope is not supported.
        """

    @abstractmethod
    def execute(
        self,
        job_id: str,
        payload: Mapping[str, Any],
        *,
        callback_url: str | None = None,
        workspaces: str | None = None,
    ) -> ApiRequest:
        """Start the job, and its bill. ``payload``: variable name -> variable object.

        Raises:
            ConfigurationError: The callback URL is none that the platform takes.
        """

    @abstractmethod
    def status(self, job_id: str) -> ApiRequest:
        """Ask for the job's status."""

    @abstractmethod
    def results(self, job_id: str) -> ApiRequest:
        """Ask for the results; only after COMPLETED."""

    @abstractmethod
    def audit(self, job_id: str) -> ApiRequest:
        """Ask for the audit log; also answers while the job runs."""

    def probe(self) -> ApiRequest:
        """Ask for a job that is not there, to learn whether this generation answers."""
        return ApiRequest(operation="probe", method="GET", path=self.status(NO_JOB).path)

    def control_request(self) -> ApiRequest:
        """Ask at a path that no server has: what answers there is not the API."""
        return ApiRequest(operation="probe", method="GET", path=self.status(NO_JOB).path + _NO_PATH)

    def matches(self, answer: ApiResponse, control: ApiResponse) -> bool:
        """Whether the response to ``probe`` comes from this generation.

        Args:
            answer: The response to ``probe``.
            control: That to ``control_request``: a server that answers both alike has neither path.

        Raises:
            APIError: It decides nothing: the key is refused, the platform is busy or down.
        """
        error = error_from(answer)
        if answer.status in _UNDECIDED and "auth cookie" not in error.detail.lower():
            raise error
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise error
        if answer.status not in _SAID_BY_THE_API:
            return False
        try:
            body = json_of(answer)
        except ProtocolError:
            return False  # a page for people: whoever answers here is not the API
        same = answer.status == control.status and error.detail == error_from(control).detail.replace(
            _NO_PATH, ""
        )
        return isinstance(body, dict) and not same

    def workflow_elsewhere(
        self, workflow_id: str, *, version: int | None, version_id: str | None
    ) -> ApiRequest | None:
        """Ask at the other path, for a workflow whose own path is retired; None where the id is no UUID."""
        if not requests.is_uuid(workflow_id):
            return None
        path = f"/reference-workflow/v2/workflow-object/{workflow_id}"
        return requests.workflow_details(path, workflow_id, version=version, version_id=version_id)

    def callback(self, url: str | None) -> str | None:
        """The callback URL that an execute sends: the caller's, else the default; None for none.

        Raises:
            ConfigurationError: The callback URL is none that the platform takes.
        """
        return self._callback_url if url is None else self._checked(url)

    def _checked(self, url: str) -> str:
        return requests.callback(url, plain_http=self._plain_http)

    def read_workflow(self, answer: ApiResponse, workflow_id: str) -> Workflow:
        """Read a workflow, in any shape seen.

        Raises:
            RetiredPath: Ask ``workflow_elsewhere``.
        """
        return schema.read_workflow(answer, workflow_id)

    def read_presigned(self, answer: ApiResponse) -> PresignedUpload:
        """Read the presigned URL of an upload."""
        return responses.read_presigned(answer)

    def read_executed(self, answer: ApiResponse) -> None:
        """Return if the start was accepted; raise an APIError if it was refused.

        An inner ``statusCode`` of 500 or more raises ServerError with ``status`` from the inner code: the
        caller looks whether it runs all the same. ``success: false`` and inner 4xx raise ValidationFailed
        (or the class of the inner code).
        """
        outcomes.read_executed(answer)

    def read_status(self, answer: ApiResponse) -> JobStatus:
        """Read a status; a word that is not known gives ``UNKNOWN``, no error."""
        return outcomes.read_status(answer)

    def read_results(self, answer: ApiResponse) -> JobResults | None:
        """Read results; None when they are not ready yet (202)."""
        return outcomes.read_results(answer)

    def read_audit(self, answer: ApiResponse) -> AuditLog:
        """Read an audit."""
        from opus_async.opus.protocol.audit import read_audit  # noqa: PLC0415 - most jobs need none

        return read_audit(answer)
