"""The jobs API ("v0"): what each endpoint does once a request has passed the gate.

Endpoints are plain functions from a decoded call to an answer; nothing awaits between reading and changing
state, so an effect is whole or absent. What is behind them is in `service`. Where the documentation is
silent the choice is said at the place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from opus_async.simulator import traits
from opus_async.simulator.answers import Answer, Refusal, to_json
from opus_async.simulator.audit import audit_at
from opus_async.simulator.operations import Call, Operation, by_argument, by_field
from opus_async.simulator.results import shape
from opus_async.simulator.runs import COMPLETED
from opus_async.simulator.service import (
    BAD_REQUEST,
    CREATED,
    NOT_FOUND,
    PERMANENT_REDIRECT,
    Service,
)
from opus_async.simulator.validation import (
    EXECUTE_FIELDS,
    INITIATE_FIELDS,
    PRESIGN_FIELDS,
    check_execute,
    check_initiate,
    check_presign,
)

if TYPE_CHECKING:
    from opus_async.simulator.runs import Job
    from opus_async.simulator.world import SimulatorState


class JobsApi:
    """The endpoints of the jobs API.

    Args:
        world: What the simulator knows.
    """

    def __init__(self, world: SimulatorState) -> None:
        self._world = world
        self._traits = world.config.traits
        self._service = Service(world, "v0")
        by_job = self._service.by_job
        self._posts = {
            "/job/initiate": Operation("initiate", self.initiate, by_field("initiate", "title")),
            "/job/v2/initiate": Operation("initiate_alias", self.initiate_alias, by_argument("alias")),
            "/job/file/upload": Operation("presign", self.presign, by_field("presign", "originalName")),
            "/job/execute": Operation("execute", self.execute, by_job("execute", field="jobExecutionId")),
        }
        self._job_reads = {
            # A shell is a row of its own: a job that was never executed is never hidden by a 404.
            "status": Operation("status", self.status, by_job("status", unstarted="shell_status")),
            "results": Operation("results", self.results, by_job("results")),
            "audit": Operation("audit", self.audit, by_job("audit")),
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
        return self._service.workflow(call, "flat")

    def initiate(self, call: Call) -> Answer:
        """POST /job/initiate."""
        body, service = call.body, self._service
        service.refuse(check_initiate(body), "initiate", body, INITIATE_FIELDS)
        if body.get("referenceEntityId") is not None:
            workflow = self._world.workflows.find_reference(body["referenceEntityId"])
            if workflow is None:
                raise Refusal(NOT_FOUND, "Workflow not found")
        else:
            workflow = service.find_workflow(body["workflowId"])
        job = service.open_job(workflow, body)
        return to_json({"jobExecutionId": service.shown_id(job)}, CREATED)

    def initiate_alias(self, _call: Call) -> Answer:
        """POST /job/v2/initiate: the old alias, a redirect that keeps method and body."""
        return Answer(PERMANENT_REDIRECT, b"", headers={"Location": "/job/initiate"})

    def presign(self, call: Call) -> Answer:
        """POST /job/file/upload."""
        body, required = call.body, traits.PRESIGN_NEEDS_WORKFLOW in self._traits
        problems = check_presign(body, workflow_required=required)
        self._service.refuse(problems, "presign", body, PRESIGN_FIELDS)
        return self._service.presign(call)

    def execute(self, call: Call) -> Answer:
        """POST /job/execute."""
        body, service = call.body, self._service
        required = traits.CALLBACK_REQUIRED in self._traits
        service.refuse(check_execute(body, callback_required=required), "execute", body, EXECUTE_FIELDS)
        job = service.find_job(body["jobExecutionId"])
        refused = service.execute(job, body["jobPayloadSchemaInstance"], body.get("callbackUrl"))
        return refused or self._started(job)

    def _started(self, job: Job) -> Answer:
        answer = {
            "success": True,
            "message": "Job execution has been started",
            "jobExecutionId": self._service.shown_id(job),
        }
        if traits.EXECUTE_ECHO in self._traits:
            answer["jobPayloadSchemaInstance"] = job.inputs
        return self._service.started(answer)

    def status(self, call: Call) -> Answer:
        """GET /job/{jobExecutionId}/status."""
        return self._service.status(call.argument)

    def results(self, call: Call) -> Answer:
        """GET /job/{jobExecutionId}/results.

        Before COMPLETED the answer is 400: the documentation says to call it only afterwards, and no source
        reports what v0 answers then.
        """
        job = self._service.find_job(call.argument)
        status = job.status(self._world.clock())
        if status != COMPLETED:
            raise Refusal(BAD_REQUEST, f"Job results are available after COMPLETED; the job is {status}")
        late = self._service.late_results(job)
        return late or to_json(shape(job, self._service.outputs(job), self._traits))

    def audit(self, call: Call) -> Answer:
        """GET /job/{jobExecutionId}/audit."""
        job = self._service.find_job(call.argument)
        instead = self._service.audit_instead()
        return instead or to_json(
            audit_at(job, self._world.clock(), self._traits, lambda: self._service.outputs(job))
        )
