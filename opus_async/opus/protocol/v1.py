"""The second generation of the API: *cases*, under ``/api/v1``.

Its ids are ``caseId``; whether v0 knows them is not documented, so the two are never mixed. What only v0 can
say is refused here by name instead of being dropped without a word.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opus_async.errors import InvalidInputs
from opus_async.input_problems import InputProblem, ProblemCode, bad_argument
from opus_async.opus.protocol import files, requests, responses
from opus_async.opus.protocol.api_messages import InitiateFields, PresignFields
from opus_async.opus.protocol.api_version import ApiVersion
from opus_async.wire.messages import ApiRequest, ApiResponse
from opus_async.wire.requests import encoded_segment, given

SCOPES = ("workspace", "unlisted")
WIDER_SCOPES = ("organization",)
"""The default of v0: v1 has nothing as wide, so the workspace it is."""
_BASE = "/api/v1"
_ONLY_V0 = ("reference_entity_id", "ref_user_id", "source", "workspaces", "initial_input", "web_app_id")
"""Fields of ``initiate`` that v1 has no words for."""


class V1(ApiVersion):
    """The endpoints of v1; see :class:`~opus_async.opus.protocol.api_version.ApiVersion`."""

    name = "v1"
    has_jobs = False

    def workflow(
        self, workflow_id: str, *, version: int | None = None, version_id: str | None = None
    ) -> ApiRequest:
        """Ask for a workflow's schema.

        The page of v1 names no parameter; those of v0 are sent when the caller pins a version.
        """
        path = f"{_BASE}/workflow/{requests.segment(workflow_id, 'workflow id')}"
        return requests.workflow_details(path, workflow_id, version=version, version_id=version_id)

    def initiate(self, fields: InitiateFields) -> ApiRequest:
        """Create a case that is not started; it costs nothing.

        Raises:
            InvalidInputs: No workflow is named, or something that only v0 can say is asked for.
        """
        problems = [_only_v0(name) for name in _ONLY_V0 if getattr(fields, name) is not None]
        if not fields.workflow_id:
            problems.append(bad_argument("give workflow_id: a case is always of one workflow"))
        if problems:
            raise InvalidInputs(problems)
        return ApiRequest(
            operation="initiate", method="POST", path=f"{_BASE}/case", body=requests.initiate_body(fields)
        )

    def read_initiated(self, answer: ApiResponse) -> str:
        """Read the case id, as text with every digit kept."""
        return responses.read_id(answer, "caseId", "case_id", "jobExecutionId", "job_execution_id", "id")

    def presign(self, fields: PresignFields) -> ApiRequest:
        """Ask for a presigned URL to PUT one file to.

        Raises:
            InvalidInputs: The extension or the scope is not supported, or no workflow and no workspace is
                named.
        """
        scope = fields.access_scope
        if scope is None or scope in WIDER_SCOPES:
            scope = SCOPES[0]
        problems = []
        if scope not in SCOPES:
            problems.append(bad_argument(f"access_scope must be one of {', '.join(SCOPES)} on v1"))
        if not (fields.workflow_id or fields.workspace_id):
            problems.append(
                bad_argument(
                    "v1 takes a file for a workflow or a workspace: give workflow_id or workspace_id"
                )
            )
        if problems:
            raise InvalidInputs(problems)
        extension = files.checked_extension(fields.extension)
        body = given(
            fileExtension=extension,
            originalName=fields.original_name or f"file{extension}",
            accessScope=scope,
            workspaceId=fields.workspace_id,
            workflowId=requests.workflow_named(fields.workflow_id),
        )
        return ApiRequest(
            operation="presign", method="POST", path=f"{_BASE}/file/upload/presigned", body=body
        )

    def execute(
        self,
        job_id: str,
        payload: Mapping[str, Any],
        *,
        callback_url: str | None = None,
        workspaces: str | None = None,
    ) -> ApiRequest:
        """Start the case, and its bill.

        Raises:
            ConfigurationError: The callback URL is none that the platform takes.
            InvalidInputs: ``workspaces`` is given.
        """
        if workspaces is not None:
            raise InvalidInputs([_only_v0("workspaces")])
        url = self.callback(callback_url)
        named = requests.named(job_id, "case id")
        return ApiRequest(
            operation="execute",
            method="POST",
            path=f"{_case(named)}/execute",
            body={"payload": payload, **given(callbackUrl=url)},
            repeatable=False,
            secret=url,
            job_id=named,
        )

    def status(self, job_id: str) -> ApiRequest:
        """Ask for the case's status."""
        return _of_case("status", job_id)

    def results(self, job_id: str) -> ApiRequest:
        """Ask for the results; 202 until the case has ended."""
        return _of_case("results", job_id)

    def audit(self, job_id: str) -> ApiRequest:
        """Ask for the audit log; 404 while there is none yet.

        One vendor page writes ``/audit-log``; the clients that work call this.
        """
        return _of_case("audit", job_id)


def _of_case(operation: str, job_id: str) -> ApiRequest:
    named = requests.named(job_id, "case id")
    path = f"{_case(named)}/{operation}"
    return ApiRequest(operation=operation, method="GET", path=path, job_id=named)


def _only_v0(name: str) -> InputProblem:
    return InputProblem(
        f"{name} is not known to v1: leave it out, or use api='v0'", code=ProblemCode.NOT_SUPPORTED
    )


def _case(named: str) -> str:
    return f"{_BASE}/case/{encoded_segment(named)}"
