"""An answer about another workflow, session, run or step than was asked about is never believed."""

from __future__ import annotations

import pytest
from operativus_corpus import (
    NODE_RUN,
    RESUMED,
    ROUTE_OPTIONS,
    RUN_ID,
    RUN_PAGE,
    SESSION_ID,
    SESSION_RUN,
    SOURCE_RUN,
    SOURCE_RUN_PAGE,
    SOURCE_STEP,
    STARTED,
    STEP_ID,
    WORKFLOW,
    WORKFLOW_ID,
)

from opus_async.errors import MixedUpAnswer, NotFound
from opus_async.operativus.protocol import readers, step_readers

ASKED = {"workflow_id": WORKFLOW_ID, "job_id": SESSION_ID, "subject_id": RUN_ID}
OTHER_SESSION = "550e8400-e29b-41d4-a716-446655440001"

CASES = {
    "workflow": (readers.read_workflow, WORKFLOW, {**WORKFLOW, "id": "wf_other"}, "wf_other"),
    "steps": (readers.read_steps, [SOURCE_STEP], [{**SOURCE_STEP, "workflowId": "wf_other"}], "wf_other"),
    "run's workflow": (readers.read_started, STARTED, {**STARTED, "workflowId": "wf_other"}, "wf_other"),
    "run's session": (readers.read_started, STARTED, {**STARTED, "sessionId": OTHER_SESSION}, OTHER_SESSION),
    "runs": (
        readers.read_runs,
        RUN_PAGE,
        {**RUN_PAGE, "content": [SOURCE_RUN, {**SOURCE_RUN, "workflowId": "wf_other"}]},
        "wf_other",
    ),
    "runs of the source": (
        readers.read_runs,
        SOURCE_RUN_PAGE,
        {**SOURCE_RUN_PAGE, "content": [{**SOURCE_RUN, "workflowId": 7}]},
        "7",
    ),
    "resume": (readers.read_resumed, RESUMED, {**RESUMED, "runId": "run_other"}, "run_other"),
    "route options": (
        readers.read_route_options,
        ROUTE_OPTIONS,
        {**ROUTE_OPTIONS, "runId": "run_other"},
        "run_other",
    ),
    "node runs": (
        step_readers.read_node_runs,
        [NODE_RUN],
        [NODE_RUN, {**NODE_RUN, "runId": "run_other"}],
        "run_other",
    ),
    "session runs": (
        step_readers.read_session_runs,
        [SESSION_RUN],
        [{**SESSION_RUN, "sessionId": OTHER_SESSION}],
        OTHER_SESSION,
    ),
}


@pytest.mark.parametrize(("read", "own", "other", "named"), CASES.values(), ids=CASES)
def test_identity_check_refuses_an_answer_about_something_else(answer, read, own, other, named):
    read(answer(own, **ASKED))
    with pytest.raises(MixedUpAnswer) as caught:
        read(answer(other, **ASKED))
    assert caught.value.named == named
    assert caught.value.asked in ASKED.values()
    read(answer(other))  # nothing was asked for by id


@pytest.mark.parametrize(
    ("field", "value"), [("id", "step_other"), ("workflowId", "wf_other"), ("workflowId", 0)]
)
def test_identity_check_refuses_another_step(answer, field, value):
    asked = {"workflow_id": WORKFLOW_ID, "subject_id": STEP_ID}
    readers.read_step(answer(SOURCE_STEP, **asked))
    with pytest.raises(MixedUpAnswer):
        readers.read_step(answer({**SOURCE_STEP, field: value}, **asked))


def test_identity_check_lets_an_added_step_have_the_id_that_the_server_gives_it(answer):
    assert readers.read_step(answer({**SOURCE_STEP, "id": "new"}, 201, workflow_id=WORKFLOW_ID)).id == "new"


@pytest.mark.parametrize("session", [SESSION_ID, SESSION_ID.upper(), f" {SESSION_ID} ", SESSION_ID.title()])
def test_identity_check_equates_spellings_of_one_session(answer, session):
    body = {**STARTED, "sessionId": session}
    assert readers.read_started(answer(body, 202, **ASKED)).session_id == SESSION_ID


def test_identity_check_tells_ids_apart_that_are_no_uuids(answer):
    with pytest.raises(MixedUpAnswer):
        readers.read_workflow(answer({**WORKFLOW, "id": WORKFLOW_ID.upper()}, **ASKED))


@pytest.mark.parametrize(
    ("path", "is_other"),
    [
        ("/api/v1/workflows/wf_other", True),
        ("/api/v1/workflows/wf_other/steps/step_001", True),
        ("/api/v1/workflows/wf%5Fother/run", True),
        ("/gateway/api/v1/workflows/wf_other/runs?page=0", True),
        ("/api/v1/workflows/runs/run_other/resume", True),
        (f"/api/sessions/{OTHER_SESSION}/runs", True),
        ("http://h:8080/api/v1/workflows/wf_other", True),
        ("/api/v1/workflows/wf_abc123", False),
        ("/api/v1/workflows/wf%5Fabc123/run", False),
        ("/api/v1/workflows", False),
        ("/api/v1/workflows/", False),
        ("/api/v1/workflows/runs", True),
        (f"/api/v1/workflows/runs/{RUN_ID}/resume", False),
        (f"/api/sessions/{SESSION_ID}/runs", False),
        ("/error", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("name", ["instance", "path"])
def test_identity_check_reads_the_path_of_a_refusal(answer, path, is_other, name):
    body = {"title": "Not Found", "status": 404, name: path}
    with pytest.raises(MixedUpAnswer if is_other else NotFound):
        readers.read_workflow(answer(body, 404, **ASKED))


@pytest.mark.parametrize("path", [None, 7, {}, ["/api/v1/workflows/wf_other"]])
def test_identity_check_ignores_a_path_that_is_none(answer, path):
    with pytest.raises(NotFound):
        readers.read_workflow(answer({"instance": path}, 404, **ASKED))


def test_identity_check_quotes_no_secret(answer):
    def mask(text):
        return text.replace("synthetic-token", "<token>")

    with pytest.raises(MixedUpAnswer) as caught:
        readers.read_workflow(answer({"id": "synthetic-token"}, workflow_id="w", mask=mask))
    assert "synthetic-token" not in f"{caught.value} {vars(caught.value)}"
