"""schemathesis, which knows the description and nothing of us, sends what it thinks of to the simulator.

Every operation gets the examples of the description, its edge cases one by one, and random data, good and
bad; each answer must be described. The description is shipped open, as the service is; here it is told the
ids of things that exist, so that not everything is 404.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from http import HTTPStatus

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from opus_async.simulator import SimulatorConfig, SimulatorProcess
from opus_async.simulator.builtin import BUILTIN, TEXT_ID
from opus_async.simulator.openapi import document

[REFERENCE] = [workflow.reference_entity_id for workflow in BUILTIN if workflow.workflow_id == TEXT_ID]
PAYLOAD = {"workflow_input_t3xtinput": {"value": "hello", "type": "str", "displayName": "Text"}}
# What exists is known when the simulator runs, after the cases were made: names stand for it until then.
JOBS, CASES, DOOMED = ([f"{kind}-{number}" for number in range(12)] for kind in ("job", "case", "doomed"))
FILE = "https://files.opus.com/a-file"
CALLBACK = "https://callback.invalid/"
EXAMPLES = {
    "A1b2C3d4E5f6G7h8": TEXT_ID,
    "00000000-0000-4000-8000-000000000001": REFERENCE,
    "workflow_input_abc123def": "workflow_input_t3xtinput",
    "https://files.opus.com/media/private/generated/output_00aa.pdf": FILE,
}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def told():
    """The description with the ids of things that exist in the places where one belongs."""
    text = json.dumps(document())
    for example, existing in EXAMPLES.items():
        assert example in text
        text = text.replace(example, existing)
    description = json.loads(text)
    parameters, schemas = (description["components"][name] for name in ("parameters", "schemas"))

    def prefer(owner, name, *values):
        owner[name] = {"anyOf": [{"enum": list(values)}, owner[name]]}

    prefer(parameters["WorkflowId"], "schema", TEXT_ID, REFERENCE)
    prefer(parameters["WorkflowUuid"], "schema", REFERENCE)
    prefer(parameters["JobExecutionId"], "schema", *JOBS)
    prefer(parameters["CaseId"], "schema", *CASES)
    for request in ("InitiateRequest", "UploadUrlRequest", "CaseUploadUrlRequest", "CreateCaseRequest"):
        prefer(schemas[request]["properties"], "workflowId", TEXT_ID, REFERENCE)
    prefer(schemas["InitiateRequest"]["properties"], "referenceEntityId", REFERENCE)
    prefer(schemas["ExecuteRequest"]["properties"], "jobExecutionId", *JOBS)
    prefer(schemas, "Payload", PAYLOAD)
    prefer(schemas["DownloadUrlRequest"]["properties"], "fileUrl", FILE)
    parameters["JobExecutionId"]["example"] = JOBS[0]
    parameters["CaseId"]["example"] = CASES[0]
    # The examples of execute are for other workflows: with them hardly a request would be accepted.
    execute = description["paths"]["/job/execute"]["post"]["requestBody"]["content"]["application/json"]
    asked = {"jobExecutionId": JOBS[0], "jobPayloadSchemaInstance": PAYLOAD, "callbackUrl": CALLBACK}
    execute["examples"] = {"good": {"value": asked}}
    # What one operation deletes must not be gone for the others, which come in any order.
    doomed = {**parameters["JobExecutionId"], "example": DOOMED[0], "schema": {"type": "string"}}
    prefer(doomed, "schema", *DOOMED)
    description["paths"]["/job/{jobExecutionId}/delete"]["delete"]["parameters"] = [doomed]
    return description


schema = schemathesis.openapi.from_dict(told(), config=schemathesis.Config())


class Opus:
    """A simulator with jobs and cases in many states, and one file."""

    def __init__(self, simulator):
        self.simulator = simulator
        self.headers = {"x-service-key": simulator.service_key}
        self.existing = {}  # what each name stands for

    def fill(self, session):
        about = {"workflowId": TEXT_ID, "description": "about"}
        for name in (*JOBS, *DOOMED):
            made = self._post(session, "/job/initiate", title=name, **about)
            self.existing[name] = made["jobExecutionId"]
        for name in CASES:
            self.existing[name] = self._post(session, "/api/v1/case", title=name, **about)["caseId"]
        # The last two of each stay shells.
        for name in JOBS[:-2]:
            asked = {"jobExecutionId": self.existing[name], "callbackUrl": CALLBACK}
            self._post(session, "/job/execute", jobPayloadSchemaInstance=PAYLOAD, **asked)
        for name in CASES[:-2]:
            self._post(session, f"/api/v1/case/{self.existing[name]}/execute", payload=PAYLOAD)
        slot = self._post(session, "/job/file/upload", fileExtension=".txt", workflowId=TEXT_ID)
        assert session.put(slot["presignedUrl"], data=b"text").status_code == HTTPStatus.OK
        self.existing[FILE] = slot["fileUrl"]

    def send(self, session, case):
        for values in (case.path_parameters, case.body):
            for name, value in values.items() if isinstance(values, dict) else ():
                if isinstance(value, str):
                    values[name] = self.existing.get(value, value)
        if "x-service-key" in case.headers:  # absent where its absence is what is tried
            case.headers.update(self.headers)
        return case.call(base_url=self.simulator.base_url, session=session, allow_redirects=False)

    def _post(self, session, path, **body):
        answer = session.post(self.simulator.base_url + path, json=body, headers=self.headers)
        assert answer.ok, answer.text
        return answer.json()


def new_session():
    session = requests.Session()
    session.trust_env = False  # no proxy for loopback
    return session


@pytest.fixture(scope="module")
def opus(tmp_path_factory):
    config = SimulatorConfig(
        run_time=0,
        queue_time=0,
        fail_share=0.3,
        waiting_share=0.3,
        waiting_time=3600,
        callback_required=True,  # as the newer pages have it, and so the description
        keep_files=tmp_path_factory.mktemp("files"),
    )
    with SimulatorProcess(config) as simulator, new_session() as session:
        opus = Opus(simulator)
        opus.fill(session)
        statuses = {status for _, _, status in simulator.state(jobs="compact")["jobs"]}
        assert statuses == {"PENDING", "WAITING", "COMPLETED", "FAILED"}
        session.close()
        yield opus


@pytest.fixture
def session():
    with new_session() as session:
        yield session


@pytest.fixture
def statuses():
    """The statuses of an operation's answers; success and refusal must both be among them."""
    statuses = Counter()
    yield statuses
    assert any(status < HTTPStatus.BAD_REQUEST for status in statuses), statuses
    assert statuses[HTTPStatus.UNAUTHORIZED], statuses
    assert statuses.keys() & {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND}, statuses


def must_refuse(case, status):
    """Whether bad data must be refused.

    Null for a field that may be left out is taken for its absence: no source says what the vendor does. An
    object or a list in a query is other parameters on the wire, or none. And a redirect does not read what
    it redirects.
    """
    nulls = isinstance(case.body, dict) and None in case.body.values()
    asked = case.query if isinstance(case.query, dict) else {}
    nested = any(isinstance(value, dict | list) for value in asked.values())
    return not nulls and not nested and status != HTTPStatus.PERMANENT_REDIRECT


@schema.parametrize()
@settings(
    max_examples=30 if os.environ.get("OPUS_ASYNC_TEST_LONG") else 10,
    derandomize=True,  # the same cases on every machine and in every run
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # they serve all cases of one operation
)
def test_openapi_describes_every_response_to_schemathesis_requests(case, opus, session, statuses):
    answer = opus.send(session, case)
    statuses[answer.status_code] += 1
    more = [negative_data_rejection] if must_refuse(case, answer.status_code) else []
    case.validate_response(answer, checks=[*CHECKS, *more])
