"""The cases API ("v1"): what each endpoint does once a request has passed the gate.

The second generation of the jobs API in `v0`: other paths, other fields, the same service behind them. A
job is a case here. Counters and faults call its operations what they call those of the jobs API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from opus_async.simulator.answers import Answer, Refusal, to_json
from opus_async.simulator.audit import case_audit_at
from opus_async.simulator.operations import Call, Operation, by_argument, by_field
from opus_async.simulator.results import shape
from opus_async.simulator.runs import COMPLETED, UNFINISHED
from opus_async.simulator.service import BAD_REQUEST, CREATED, NO_AUDIT, NOT_FOUND, Service, not_yet
from opus_async.simulator.validation import (
    CASE_EXECUTE_FIELDS,
    CASE_FIELDS,
    PRESIGN_FIELDS,
    check_case,
    check_case_execute,
    check_case_presign,
)

if TYPE_CHECKING:
    from opus_async.simulator.world import SimulatorState

_PREFIX = "/api/v1"


class CasesApi:
    """The endpoints of the cases API.

    Args:
        world: What the simulator knows.
    """

    def __init__(self, world: SimulatorState) -> None:
        self._world = world
        self._traits = world.config.traits
        self._service = Service(world, "v1")
        by_job = self._service.by_job
        self._posts = {
            "/case": Operation("initiate", self.create, by_field("initiate", "title")),
            "/file/upload/presigned": Operation("presign", self.presign, by_field("presign", "originalName")),
        }
        self._on_case = {
            ("POST", "execute"): Operation("execute", self.execute, by_job("execute")),
            # A shell is a row of its own: a case that was never executed is never hidden by a 404.
            ("GET", "status"): Operation("status", self.status, by_job("status", unstarted="shell_status")),
            ("GET", "results"): Operation("results", self.results, by_job("results")),
            ("GET", "audit"): Operation("audit", self.audit, by_job("audit")),
        }
        self._workflow_read = Operation("workflow", self.workflow, by_argument("workflow"))

    def find(self, method: str, path: str) -> tuple[Operation, str] | None:
        """Return the operation of a request and the id in its path, or None if there is no such endpoint."""
        if not path.startswith(_PREFIX):
            return None
        place = path.removeprefix(_PREFIX)
        if method == "POST" and place in self._posts:
            return self._posts[place], ""
        match place.split("/"):
            case ["", "case", case_id, what] if case_id and (method, what) in self._on_case:
                return self._on_case[method, what], unquote(case_id)
            case ["", "workflow", workflow_id] if workflow_id and method == "GET":
                return self._workflow_read, unquote(workflow_id)
        return None

    def workflow(self, call: Call) -> Answer:
        """GET /api/v1/workflow/{workflowId}.

        Its page names no query; that of the jobs API is taken, so that a pinned version can be described.
        """
        return self._service.workflow(call, "camel")

    def create(self, call: Call) -> Answer:
        """POST /api/v1/case."""
        body, service = call.body, self._service
        service.refuse(check_case(body), "initiate", body, CASE_FIELDS)
        case = service.open_job(service.find_workflow(body["workflowId"]), body)
        return to_json({"caseId": service.shown_id(case)}, CREATED)

    def presign(self, call: Call) -> Answer:
        """POST /api/v1/file/upload/presigned."""
        self._service.refuse(check_case_presign(call.body), "presign", call.body, PRESIGN_FIELDS)
        return self._service.presign(call)

    def execute(self, call: Call) -> Answer:
        """POST /api/v1/case/{caseId}/execute.

        The status of the answer is not documented: 201, which the vendor's framework gives to every POST.
        """
        body, service = call.body, self._service
        service.refuse(check_case_execute(body), "execute", body, CASE_EXECUTE_FIELDS)
        case = service.find_job(call.argument)
        refused = service.execute(case, body["payload"], body.get("callbackUrl"))
        message = "Case execution has been started"
        return refused or service.started({"success": True, "message": message})

    def status(self, call: Call) -> Answer:
        """GET /api/v1/case/{caseId}/status."""
        return self._service.status(call.argument)

    def results(self, call: Call) -> Answer:
        """GET /api/v1/case/{caseId}/results.

        It is 202 until the case has ended. What a case answers that ended without results is not known: 400,
        as in the jobs API.
        """
        case = self._service.find_job(call.argument)
        status = case.status(self._world.clock())
        if status in UNFINISHED:
            case.early_result_reads += 1
            return not_yet(case.early_result_reads)
        if status != COMPLETED:
            raise Refusal(BAD_REQUEST, f"Case results are available after COMPLETED; the case is {status}")
        late = self._service.late_results(case)
        return late or to_json(shape(case, self._service.outputs(case), self._traits))

    def audit(self, call: Call) -> Answer:
        """GET /api/v1/case/{caseId}/audit."""
        case = self._service.find_job(call.argument)
        if instead := self._service.audit_instead():
            return instead
        service, now = self._service, self._world.clock()
        audit = case_audit_at(case, now, self._traits, lambda: service.outputs(case))
        if audit is None:
            raise Refusal(NOT_FOUND, NO_AUDIT)
        return to_json(audit)
