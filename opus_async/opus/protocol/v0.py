"""The first generation of the API: *jobs*, directly under the host.

Requests satisfy both generations of its docs at once: what the older ones require is always sent, what only
the newer ones know is sent when the caller gives it. Responses are read by their shape, in modules that both
generations of the API share.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opus_async.errors import InvalidInputs
from opus_async.input_problems import bad_argument
from opus_async.opus.protocol import files, requests, responses
from opus_async.opus.protocol.api_messages import InitiateFields, PresignFields
from opus_async.opus.protocol.api_version import ApiVersion
from opus_async.wire.messages import ApiRequest, ApiResponse
from opus_async.wire.requests import encoded_segment, given

SCOPES = ("all", "user", "workspace", "organization", "unlisted")
"""``unlisted`` is how the newer docs call a file with no scope: then none is sent."""

DEFAULT_SCOPE = "organization"
"""Of every vendor example; the older docs require one."""


class V0(ApiVersion):
    """The seven endpoints of v0; see :class:`~opus_async.opus.protocol.api_version.ApiVersion`.

    Args:
        callback_url: Sent with every execute that has none of its own; None sends one that does not
            resolve. The newer docs require one, and an empty one is refused with 400.
        plain_http: Whether a callback URL may be http, because the API is on this machine.
    """

    name = "v0"
    has_jobs = True

    def __init__(self, *, callback_url: str | None = None, plain_http: bool = False) -> None:
        url = requests.UNUSED_CALLBACK if callback_url is None else callback_url
        super().__init__(callback_url=url, plain_http=plain_http)

    def workflow(
        self, workflow_id: str, *, version: int | None = None, version_id: str | None = None
    ) -> ApiRequest:
        """Ask for a workflow's schema; ``version_id`` wins on the platform when both are given."""
        path = f"/workflow/{requests.segment(workflow_id, 'workflow id')}"
        return requests.workflow_details(path, workflow_id, version=version, version_id=version_id)

    def initiate(self, fields: InitiateFields) -> ApiRequest:
        """Create a job that is not started; it costs nothing.

        Raises:
            InvalidInputs: No workflow is named, the source is unknown, or ``initial_input`` is no JSON.
        """
        return ApiRequest(
            operation="initiate", method="POST", path="/job/initiate", body=requests.initiate_body(fields)
        )

    def read_initiated(self, answer: ApiResponse) -> str:
        """Read the job id, as text with every digit kept."""
        return responses.read_id(answer, "jobExecutionId", "job_execution_id", "caseId", "case_id", "id")

    def presign(self, fields: PresignFields) -> ApiRequest:
        """Ask for a presigned URL to PUT one file to.

        Raises:
            InvalidInputs: The extension or the scope is not supported, or scope ``workspace`` names none.
        """
        scope = DEFAULT_SCOPE if fields.access_scope is None else fields.access_scope
        if scope not in SCOPES:
            raise InvalidInputs([bad_argument(f"access_scope must be one of {', '.join(SCOPES)}")])
        if scope == "workspace" and not (fields.workflow_id or fields.workspace_id):
            raise InvalidInputs(
                [bad_argument("access_scope 'workspace' needs workflow_id or workspace_id beside it")]
            )
        body = given(
            fileExtension=files.checked_extension(fields.extension),
            accessScope=None if scope == "unlisted" else scope,
            originalName=fields.original_name,
            workspaceId=fields.workspace_id,
            workflowId=requests.workflow_named(fields.workflow_id),
        )
        return ApiRequest(operation="presign", method="POST", path="/job/file/upload", body=body)

    def execute(
        self,
        job_id: str,
        payload: Mapping[str, Any],
        *,
        callback_url: str | None = None,
        workspaces: str | None = None,
    ) -> ApiRequest:
        """Start the job, and its bill.

        Raises:
            ConfigurationError: The callback URL is none that the platform takes.
        """
        url = self.callback(callback_url)
        named = requests.named(job_id, "job id")
        body = {
            "jobExecutionId": named,
            "jobPayloadSchemaInstance": payload,
            "callbackUrl": url,
            **given(workspaces=workspaces),
        }
        return ApiRequest(
            operation="execute",
            method="POST",
            path="/job/execute",
            body=body,
            repeatable=False,
            secret=url,
            job_id=named,
        )

    def status(self, job_id: str) -> ApiRequest:
        """Ask for the job's status."""
        return _of_job("status", job_id)

    def results(self, job_id: str) -> ApiRequest:
        """Ask for the results; only after COMPLETED."""
        return _of_job("results", job_id)

    def audit(self, job_id: str) -> ApiRequest:
        """Ask for the audit log; also answers while the job runs."""
        return _of_job("audit", job_id)


def _of_job(operation: str, job_id: str) -> ApiRequest:
    named = requests.named(job_id, "job id")
    path = f"/job/{encoded_segment(named)}/{operation}"
    return ApiRequest(operation=operation, method="GET", path=path, job_id=named)
