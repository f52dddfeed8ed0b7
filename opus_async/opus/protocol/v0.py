"""The first generation of the API: *jobs*, directly under the host.

Requests satisfy both generations of its docs at once: what the older ones require is always sent, what only
the newer ones know is sent when the caller gives it. Answers are read by their shape in the shared rooms.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from opus_async.errors import InvalidInputs
from opus_async.models import AuditLog, JobResults, JobStatus, Workflow
from opus_async.opus.protocol import answers, audit, calls, files, outcomes, schema
from opus_async.opus.protocol.dialect import Answer, Call, InitiateFields, PresignedUpload, PresignFields

SCOPES = ("all", "user", "workspace", "organization", "unlisted")
"""``unlisted`` is how the newer docs call a file with no scope: then none is sent."""

DEFAULT_SCOPE = "organization"
"""Of every vendor example; the older docs require one."""


class V0:
    """The seven endpoints of v0; see :class:`~opus_async.opus.protocol.dialect.Dialect`.

    Args:
        callback_url: Sent with every execute that has none of its own. The newer docs require one, and an
            empty one is refused with 400.
    """

    name = "v0"

    def __init__(self, *, callback_url: str = calls.UNUSED_CALLBACK) -> None:
        self._callback_url = calls.callback(callback_url)

    def workflow(
        self, workflow_id: str, *, version: int | None = None, version_id: str | None = None
    ) -> Call:
        """Ask for a workflow's schema; ``version_id`` wins on the platform when both are given."""
        path = f"/workflow/{calls.segment(workflow_id, 'workflow id')}"
        asked = calls.query(version=version, workflowVersionId=version_id)
        return Call(operation="workflow", method="GET", path=path + asked)

    def read_workflow(self, answer: Answer, workflow_id: str) -> Workflow:
        """Read it, in any shape seen."""
        return schema.read_workflow(answer, workflow_id)

    def initiate(self, fields: InitiateFields) -> Call:
        """Make an unbilled job shell.

        Raises:
            InvalidInputs: No workflow is named, the source is unknown, or ``initial_input`` is no JSON.
        """
        return Call(
            operation="initiate", method="POST", path="/job/initiate", body=calls.initiate_body(fields)
        )

    def read_initiated(self, answer: Answer) -> str:
        """Read the job id, as text with every digit kept."""
        return answers.read_id(answer, "jobExecutionId", "job_execution_id")

    def presign(self, fields: PresignFields) -> Call:
        """Ask for a place to PUT one file to.

        Raises:
            InvalidInputs: The extension or the scope is not supported, or scope ``workspace`` names none.
        """
        scope = DEFAULT_SCOPE if fields.access_scope is None else fields.access_scope
        if scope not in SCOPES:
            raise InvalidInputs([f"access_scope must be one of {', '.join(SCOPES)}"])
        if scope == "workspace" and not (fields.workflow_id or fields.workspace_id):
            raise InvalidInputs(["access_scope 'workspace' needs workflow_id or workspace_id beside it"])
        body = calls.given(
            fileExtension=files.checked_extension(fields.extension),
            accessScope=None if scope == "unlisted" else scope,
            originalName=fields.original_name,
            workspaceId=fields.workspace_id,
            workflowId=fields.workflow_id,
        )
        return Call(operation="presign", method="POST", path="/job/file/upload", body=body)

    def read_presigned(self, answer: Answer) -> PresignedUpload:
        """Read it."""
        return answers.read_presigned(answer)

    def execute(
        self,
        job_id: str,
        payload: Mapping[str, Any],
        *,
        callback_url: str | None = None,
        workspaces: str | None = None,
    ) -> Call:
        """Start the job, and the bill.

        Raises:
            ConfigurationError: The callback URL is none that the platform takes.
        """
        body = {
            "jobExecutionId": calls.named(job_id, "job id"),
            "jobPayloadSchemaInstance": payload,
            "callbackUrl": self._callback_url if callback_url is None else calls.callback(callback_url),
            **calls.given(workspaces=workspaces),
        }
        return Call(operation="execute", method="POST", path="/job/execute", body=body, repeatable=False)

    def read_executed(self, answer: Answer) -> None:
        """Return when the start was accepted; raise an APIError when it was refused."""
        outcomes.read_executed(answer)

    def status(self, job_id: str) -> Call:
        """Ask where the job stands."""
        return _of_job("status", job_id)

    def read_status(self, answer: Answer) -> JobStatus:
        """Read it; a word we do not know is ``UNKNOWN``, no error."""
        return outcomes.read_status(answer)

    def results(self, job_id: str) -> Call:
        """Ask for the results; only after COMPLETED."""
        return _of_job("results", job_id)

    def read_results(self, answer: Answer) -> JobResults | None:
        """Read them; None when they are not ready yet (202)."""
        return None if answer.status == HTTPStatus.ACCEPTED else outcomes.read_results(answer)

    def audit(self, job_id: str) -> Call:
        """Ask for the audit log; also answers while the job runs."""
        return _of_job("audit", job_id)

    def read_audit(self, answer: Answer) -> AuditLog:
        """Read it."""
        return audit.read_audit(answer)


def _of_job(operation: str, job_id: str) -> Call:
    path = f"/job/{calls.segment(job_id, 'job id')}/{operation}"
    return Call(operation=operation, method="GET", path=path)
