"""The operations behind both generations of the API.

The generations (`v0`, `v1`) know paths, the fields of a request and the form of an answer; what happens
behind them is here, once: what is found, what is refused whatever it is called, and above all the one place
where an execution is accepted.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from opus_async.simulator import traits
from opus_async.simulator.answers import Answer, Refusal, to_json
from opus_async.simulator.fault_injection import html_error
from opus_async.simulator.faults import EXPIRED_SLOT
from opus_async.simulator.payload import check_payload
from opus_async.simulator.results import compute_outputs
from opus_async.simulator.runs import PENDING
from opus_async.simulator.schemas import Shape
from opus_async.simulator.status_bodies import QUEUED, status_bodies
from opus_async.simulator.validation import unknown_fields
from opus_async.simulator.workflows import is_uuid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opus_async.simulator.operations import Call
    from opus_async.simulator.runs import Generation, Job
    from opus_async.simulator.schemas import Form
    from opus_async.simulator.workflows import Workflow
    from opus_async.simulator.world import SimulatorState

OK, CREATED, ACCEPTED, PERMANENT_REDIRECT = 200, 201, 202, 308
BAD_REQUEST, NOT_FOUND, CONFLICT, SERVER_ERROR = 400, 404, 409, 500
# Results under `results_late` come with the third question.
LATE_ANSWERS = 2
NO_AUDIT = "Audit not found"
# How far in the past a slot has expired that was handed out expired.
_STALE = 60
_NOUNS: dict[Generation, str] = {"v0": "Job", "v1": "Case"}


class Service:
    """The operations of one generation of the API.

    Args:
        world: What the simulator knows.
        generation: Which jobs can be seen: those of the other generation do not exist here.
    """

    def __init__(self, world: SimulatorState, generation: Generation) -> None:
        self._world = world
        self._traits = world.config.traits
        self._status_bodies = status_bodies(self._traits)
        self._generation: Generation = generation
        self.noun = _NOUNS[generation]
        """What a job is called in messages, with a capital."""

    def find_workflow(self, workflow_id: str) -> Workflow:
        """Return the workflow with this id or UUID; refuse with 404 if there is none."""
        workflow = self._world.workflows.find(workflow_id)
        if workflow is None:
            raise Refusal(NOT_FOUND, "Workflow not found")
        return workflow

    def find_job(self, job_id: str) -> Job:
        """Return the job with this id.

        Whether an id of one generation is good on the paths of the other is not known. Here it is not, so
        that a client that mixes them is caught.

        Raises:
            Refusal: With 404, if this generation made no such job.
        """
        job = self._world.jobs.find(job_id)
        if job is None or job.generation != self._generation:
            raise Refusal(NOT_FOUND, f"{self.noun} not found")
        return job

    def workflow(self, call: Call, default: Form) -> Answer:
        """Answer with the details of a workflow.

        Args:
            call: The workflow's id as argument, the version in its query.
            default: The form of this generation when no trait names one.
        """
        if traits.SCHEMA_RETIRED in self._traits:
            raise Refusal(SERVER_ERROR, "V1 workflow details are no longer supported")
        workflow = self.find_workflow(call.argument)
        version = asked_version(workflow, call)
        shape = Shape.of(self._traits, default)
        return Answer(OK, self._world.workflows.details(workflow, version, shape))

    def open_job(self, workflow: Workflow, body: Mapping[str, Any]) -> Job:
        """Make the shell of a job from a good request; refuse a version that does not exist."""
        pick_version(workflow, body.get("workflowVersionId"), body.get("workflowVersionNumber"))
        return self._world.jobs.open(workflow, body, self._world.clock(), self._generation)

    def presign(self, call: Call) -> Answer:
        """Hand out an upload slot for a good request; refuse an unknown workflow."""
        body, world = call.body, self._world
        if body.get("workflowId") is not None:
            self.find_workflow(body["workflowId"])
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

    def execute(self, job: Job, payload: Mapping[str, Any], callback_url: str | None) -> Answer | None:
        """Judge an execute request and accept it.

        Args:
            job: The job it names.
            payload: Variable name to variable object, not yet judged.
            callback_url: The callbackUrl, known to be one.

        Returns:
            None if the run was started; otherwise the answer, of HTTP 200, that says that it was not.

        Raises:
            Refusal: If the payload is bad, or a second execute is not allowed.
        """
        job.execute_requests += 1
        if problems := check_payload(job.workflow, payload, self._world.uploads.behind):
            raise Refusal(BAD_REQUEST, problems)
        if job.execute_requests == 1 and (answer := self._first_attempt()):
            return answer
        if traits.EXECUTE_REPEAT_REFUSED in self._traits and job.executions:
            raise Refusal(CONFLICT, f"{self.noun} execution has already been started")
        self.accept(job, payload, callback_url)
        return None

    def accept(self, job: Job, payload: Mapping[str, Any], callback_url: str | None) -> None:
        """Start a run: the one place where an execution begins, in either generation.

        Whether the vendor refuses a second execute is not known: it is accepted, and seen in the state.
        """
        world, now = self._world, self._world.clock()
        job.receive(payload, callback_url)
        plan = world.scripts.plan_next(job.workflow)
        world.jobs.start(job, now, plan)
        if plan.asks:
            world.scripts.ask_about(job, lambda: world.callback_sender.expect(job))
        else:
            world.callback_sender.expect(job)

    def started(self, answer: Mapping[str, Any]) -> Answer:
        """Answer an accepted execute: as the generation says it, or as a trait does."""
        if traits.EXECUTE_200 in self._traits:
            return to_json({"statusCode": OK, "message": "Job Started"})
        return to_json(answer, CREATED)

    def _first_attempt(self) -> Answer | None:
        """Return what a trait answers to the first execute of a job instead of starting it, or None."""
        if traits.EXECUTE_INNER_ERROR in self._traits:
            return to_json({"statusCode": 500, "message": "Request failed with status code 422"})
        if traits.EXECUTE_ERROR_OBJECT in self._traits:
            reason = {"reason": "The workflow engine did not take the payload"}
            return to_json({"success": False, "message": "Execution was not started", "error": reason})
        return None

    def status(self, job_id: str) -> Answer:
        """Answer with the status of a job."""
        job = self.find_job(job_id)
        status = job.status(self._world.clock())
        return Answer(OK, self._status_bodies[QUEUED if status == PENDING and job.run else status])

    def late_results(self, job: Job) -> Answer | None:
        """Count a request for the results of a completed job; return 202 while a trait delays them.

        Raises:
            Refusal: With 500, if a trait lets the first question fail.
        """
        job.result_reads += 1
        if traits.RESULTS_FAIL_ONCE in self._traits and job.result_reads == 1:
            raise Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal server error")
        if traits.RESULTS_LATE in self._traits and job.result_reads <= LATE_ANSWERS:
            return not_yet(job.result_reads)
        return None

    def audit_instead(self) -> Answer | None:
        """Return what a trait answers to a question for an audit that exists, or None for the audit.

        Raises:
            Refusal: With 404, if a trait says that there are no audits.
        """
        if traits.AUDIT_MISSING in self._traits:
            raise Refusal(NOT_FOUND, NO_AUDIT)
        return html_error(HTTPStatus.BAD_GATEWAY) if traits.AUDIT_HTML in self._traits else None

    def outputs(self, job: Job) -> dict[str, dict[str, Any]]:
        """Return the outputs of a job: variable name to value, type and displayName."""
        return compute_outputs(job, self._world.uploads.behind)

    def refuse(
        self, problems: list[str], operation: str, body: Mapping[str, Any], known: frozenset[str]
    ) -> None:
        """Refuse a bad body with 400; count its fields that the documentation does not name.

        Args:
            problems: What validation found.
            operation: Its name, for the count.
            body: The body.
            known: The fields that the documentation names.
        """
        if strange := unknown_fields(body, known):
            self._world.strange_fields.update(f"{operation}.{name}" for name in strange)
            if traits.UNKNOWN_FIELDS_REFUSED in self._traits:
                problems = problems + [f"property {name} should not exist" for name in strange]
        if problems:
            raise Refusal(BAD_REQUEST, problems)

    def by_job(self, row: str, *, field: str = "", unstarted: str = "") -> Callable[[Call], tuple[str, str]]:
        """Identify calls by their job's identity, which does not depend on the order in which jobs were made.

        Args:
            row: The row of the fault table.
            field: The field of the body with the id; empty if the id is in the path.
            unstarted: The row for a job that was never executed, if it has one of its own.
        """

        def identify(call: Call) -> tuple[str, str]:
            job_id = call.body.get(field) if field else call.argument
            job = self._world.jobs.find(job_id) if isinstance(job_id, str) else None
            if job is None:
                return row, str(job_id)
            return (unstarted if unstarted and not job.executions else row), job.identity

        return identify

    def shown_id(self, job: Job) -> str | int:
        """Return a job's id as answers show it."""
        numeric = {traits.NUMERIC_IDS, traits.HUGE_IDS} & self._traits
        return int(job.job_id) if numeric else job.job_id


def pick_version(workflow: Workflow, version_id: str | None, number: float | None) -> int:
    """Return the version that is asked for; the id wins over the number, as the documentation says.

    Raises:
        Refusal: With 404, if there is no such version.
    """
    known = workflow.version_ids
    if version_id is not None:
        found = known.get(version_id.lower())
    else:
        wanted = workflow.version if number is None else number
        found = next((version for version in known.values() if version == wanted), None)
    if found is None:
        raise Refusal(NOT_FOUND, "Workflow version not found")
    return found


def asked_version(workflow: Workflow, call: Call) -> int:
    """Return the version that a query asks for by `workflowVersionId` or `version`, or the newest.

    Raises:
        Refusal: If the query makes no sense, or there is no such version.
    """
    query = parse_qs(call.query, keep_blank_values=True)
    version_id, number = (query.get(name, [None])[-1] for name in ("workflowVersionId", "version"))
    if version_id is not None and not is_uuid(version_id):
        raise Refusal(BAD_REQUEST, ["workflowVersionId must be a UUID"])
    if number is not None and not number.isdecimal():
        raise Refusal(BAD_REQUEST, ["version must be a number conforming to the specified constraints"])
    return pick_version(workflow, version_id, None if number is None else int(number))


def not_yet(nth: int) -> Answer:
    """Return the `nth` (from 1) answer to a question for results that came too early: both forms in turn."""
    return Answer(ACCEPTED, b"" if nth % 2 else b'{"status": "IN_PROGRESS"}')
