"""The jobs API ("v0"): what each endpoint does once a request has passed the gate.

Endpoints are plain functions from a decoded call to an answer; nothing awaits between reading and changing
state, so an effect is whole or absent. Where the documentation is silent the choice is said at the place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from opus_async.simulator import traits
from opus_async.simulator.answers import Answer, Refusal, to_json
from opus_async.simulator.audit import audit_at
from opus_async.simulator.calls import Call, Operation, by_argument, by_field
from opus_async.simulator.faults import EXPIRED_SLOT
from opus_async.simulator.payload import check_payload
from opus_async.simulator.results import compute_outputs, shape
from opus_async.simulator.runs import COMPLETED, IN_PROGRESS
from opus_async.simulator.validation import (
    EXECUTE_FIELDS,
    INITIATE_FIELDS,
    PRESIGN_FIELDS,
    check_execute,
    check_initiate,
    check_presign,
    is_uuid,
    unknown_fields,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from opus_async.simulator.runs import Job
    from opus_async.simulator.workflows import Workflow
    from opus_async.simulator.world import World

OK, CREATED, ACCEPTED, PERMANENT_REDIRECT = 200, 201, 202, 308
BAD_REQUEST, NOT_FOUND, CONFLICT = 400, 404, 409
# Results under `results_late` come with the third question.
LATE_ANSWERS = 2
# How far in the past a slot has expired that was handed out expired.
_STALE = 60


class JobsApi:
    """The endpoints of the jobs API.

    Args:
        world: What the simulator knows.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._dialect = world.config.traits
        self._posts = {
            "/job/initiate": Operation("initiate", self.initiate, by_field("initiate", "title")),
            "/job/v2/initiate": Operation("initiate_alias", self.initiate_alias, by_argument("alias")),
            "/job/file/upload": Operation("presign", self.presign, by_field("presign", "originalName")),
            "/job/execute": Operation("execute", self.execute, self._by_job("execute")),
        }
        self._job_reads = {
            # A shell is a row of its own: a job that was never executed is never hidden by a 404.
            "status": Operation("status", self.status, self._by_job("status", unstarted="shell_status")),
            "results": Operation("results", self.results, self._by_job("results")),
            "audit": Operation("audit", self.audit, self._by_job("audit")),
        }
        self._workflow_read = Operation("workflow", self.workflow, by_argument("workflow"))

    def find(self, method: str, path: str) -> tuple[Operation, str] | None:
        """Return the operation of a request and the id in its path, or None if there is no such endpoint."""
        if method == "POST":
            operation = self._posts.get(path)
            return (operation, "") if operation else None
        if method != "GET":
            return None
        match path.split("/"):
            case ["", "job", job_id, read] if job_id and read in self._job_reads:
                return self._job_reads[read], unquote(job_id)
            case ["", "workflow", workflow_id] if workflow_id:
                return self._workflow_read, unquote(workflow_id)
        return None

    def workflow(self, call: Call) -> Answer:
        """GET /workflow/{workflowId}."""
        workflow = self._find_workflow(call.argument)
        query = parse_qs(call.query)
        version_id, number = (query.get(name, [None])[-1] for name in ("workflowVersionId", "version"))
        if version_id is not None and not is_uuid(version_id):
            raise Refusal(BAD_REQUEST, ["workflowVersionId must be a UUID"])
        if version_id is None and number is not None and not number.isdecimal():
            raise Refusal(BAD_REQUEST, ["version must be a number conforming to the specified constraints"])
        version = self._pick_version(workflow, version_id, None if number is None else int(number))
        return Answer(OK, self._world.workflows.details(workflow, version))

    def initiate(self, call: Call) -> Answer:
        """POST /job/initiate."""
        body = call.body
        self._refuse(check_initiate(body), "initiate", body, INITIATE_FIELDS)
        if body.get("referenceEntityId") is not None:
            workflow = self._world.workflows.find_reference(body["referenceEntityId"])
            if workflow is None:
                raise Refusal(NOT_FOUND, "Workflow not found")
        else:
            workflow = self._find_workflow(body["workflowId"])
        self._pick_version(workflow, body.get("workflowVersionId"), body.get("workflowVersionNumber"))
        job = self._world.jobs.open(workflow, body, self._world.clock())
        return to_json({"jobExecutionId": self._shown_id(job)}, CREATED)

    def initiate_alias(self, _call: Call) -> Answer:
        """POST /job/v2/initiate: the old alias, a redirect that keeps method and body."""
        return Answer(PERMANENT_REDIRECT, b"", headers={"Location": "/job/initiate"})

    def presign(self, call: Call) -> Answer:
        """POST /job/file/upload."""
        body, world = call.body, self._world
        self._refuse(check_presign(body), "presign", body, PRESIGN_FIELDS)
        if body.get("workflowId") is not None:
            self._find_workflow(body["workflowId"])
        upload = world.uploads.open(body)
        expires = world.config.url_expiry
        stale = call.fault is not None and call.fault.kind == EXPIRED_SLOT
        mode = world.config.sign_content_type
        url = world.uploads.presigned_url(
            upload,
            signed_at=world.clock() - (expires + _STALE if stale else 0),
            expires=expires,
            sign_type=mode == "always" or (mode == "alternate" and len(world.uploads) % 2 == 0),
        )
        return to_json({"presignedUrl": url, "fileUrl": upload.file_url}, CREATED)

    def execute(self, call: Call) -> Answer:
        """POST /job/execute."""
        body, world = call.body, self._world
        required = traits.CALLBACK_REQUIRED in self._dialect
        self._refuse(check_execute(body, callback_required=required), "execute", body, EXECUTE_FIELDS)
        job = self._find_job(body["jobExecutionId"])
        job.execute_requests += 1
        payload = body["jobPayloadSchemaInstance"]
        if problems := check_payload(job.workflow, payload, world.uploads.behind):
            raise Refusal(BAD_REQUEST, problems)
        if traits.EXECUTE_INNER_ERROR in self._dialect and job.execute_requests == 1:
            return to_json({"statusCode": 500, "message": "Request failed with status code 422"})
        if traits.EXECUTE_REPEAT_REFUSED in self._dialect and job.executions:
            raise Refusal(CONFLICT, "Job execution has already been started")
        job.receive(payload, body.get("callbackUrl"))
        # Whether the vendor refuses a second execute is not known: it is accepted, and seen in the state.
        world.jobs.start(job, world.clock())
        return self._started(job)

    def _started(self, job: Job) -> Answer:
        if traits.EXECUTE_200 in self._dialect:
            return to_json({"statusCode": OK, "message": "Job Started"})
        answer = {
            "success": True,
            "message": "Job execution has been started",
            "jobExecutionId": self._shown_id(job),
        }
        if traits.EXECUTE_ECHO in self._dialect:
            answer["jobPayloadSchemaInstance"] = job.inputs
        return to_json(answer, CREATED)

    def status(self, call: Call) -> Answer:
        """GET /job/{jobExecutionId}/status."""
        status = self._find_job(call.argument).status(self._world.clock())
        if status == IN_PROGRESS and traits.SPACED_STATUS in self._dialect:
            status = "IN PROGRESS"
        return Answer(OK, b'{"status": "%s"}' % status.encode())

    def results(self, call: Call) -> Answer:
        """GET /job/{jobExecutionId}/results.

        Before COMPLETED the answer is 400: the documentation says to call it only afterwards, and no source
        reports what v0 answers then.
        """
        job = self._find_job(call.argument)
        status = job.status(self._world.clock())
        if status != COMPLETED:
            raise Refusal(BAD_REQUEST, f"Job results are available after COMPLETED; the job is {status}")
        job.result_reads += 1
        if traits.RESULTS_LATE in self._dialect and job.result_reads <= LATE_ANSWERS:
            return Answer(ACCEPTED, b"" if job.result_reads == 1 else b'{"status": "IN_PROGRESS"}')
        return to_json(shape(job, compute_outputs(job, self._world.uploads.behind), self._dialect))

    def audit(self, call: Call) -> Answer:
        """GET /job/{jobExecutionId}/audit."""
        job = self._find_job(call.argument)
        if traits.AUDIT_MISSING in self._dialect:
            raise Refusal(NOT_FOUND, "Audit not found")
        uploads = self._world.uploads
        return to_json(
            audit_at(job, self._world.clock(), self._dialect, lambda: compute_outputs(job, uploads.behind))
        )

    def _refuse(
        self, problems: list[str], operation: str, body: dict[str, Any], known: frozenset[str]
    ) -> None:
        if strange := unknown_fields(body, known):
            self._world.strange_fields.update(f"{operation}.{name}" for name in strange)
            if traits.UNKNOWN_FIELDS_REFUSED in self._dialect:
                problems = problems + [f"property {name} should not exist" for name in strange]
        if problems:
            raise Refusal(BAD_REQUEST, problems)

    def _find_workflow(self, workflow_id: str) -> Workflow:
        workflow = self._world.workflows.find(workflow_id)
        if workflow is None:
            raise Refusal(NOT_FOUND, "Workflow not found")
        return workflow

    def _find_job(self, job_id: str) -> Job:
        job = self._world.jobs.find(job_id)
        if job is None:
            raise Refusal(NOT_FOUND, "Job not found")
        return job

    def _pick_version(self, workflow: Workflow, version_id: str | None, number: float | None) -> int:
        """Return the version that is asked for; the id wins over the number, as the documentation says."""
        known = workflow.version_ids
        if version_id is not None:
            found = known.get(version_id.lower())
        else:
            wanted = workflow.version if number is None else number
            found = next((version for version in known.values() if version == wanted), None)
        if found is None:
            raise Refusal(NOT_FOUND, "Workflow version not found")
        return found

    def _by_job(self, row: str, *, unstarted: str | None = None) -> Callable[[Call], tuple[str, str]]:
        """Name calls by their job's identity, which does not depend on the order in which jobs were made."""

        def identify(call: Call) -> tuple[str, str]:
            job_id = call.argument or call.body.get("jobExecutionId")
            job = self._world.jobs.find(job_id) if isinstance(job_id, str) else None
            if job is None:
                return row, str(job_id)
            return (unstarted if unstarted and not job.executions else row), job.identity

        return identify

    def _shown_id(self, job: Job) -> str | int:
        return int(job.job_id) if traits.NUMERIC_IDS in self._dialect else job.job_id
