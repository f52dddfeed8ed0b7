"""What Operativus answers, in the documented form, in the form of its source, and with gaps."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime

import pytest
from operativus_corpus import (
    CLONE,
    DESCRIPTION,
    LOGIN,
    NAME,
    RESUMED,
    ROUTE_OPTIONS,
    RUN,
    RUN_ID,
    RUN_PAGE,
    SESSION_ID,
    SOURCE_RUN,
    SOURCE_RUN_PAGE,
    SOURCE_STEP,
    SOURCE_WORKFLOW,
    STARTED,
    STEP_ID,
    STEPS,
    TOKEN,
    UNAUTHORIZED,
    WORKFLOW,
    WORKFLOW_ID,
    WORKFLOW_PAGE,
)

from opus_async.errors import AuthenticationError, NotFound, ProtocolError, ServerError
from opus_async.models import JobStatus
from opus_async.operativus.models import ResumedRun, Run, StartedRun, Step, Workflow
from opus_async.operativus.protocol import readers
from opus_async.operativus.protocol.api_messages import RouteOptions

# -- workflows ---------------------------------------------------------------------------------------------


def test_workflow_is_read_in_the_documented_form(answer):
    for status in (200, 201):
        found = readers.read_workflow(answer(WORKFLOW, status))
        assert found == Workflow(WORKFLOW_ID, NAME, DESCRIPTION, ())
        assert found.raw == WORKFLOW


def test_workflow_without_steps_in_the_answer_does_not_say_that_it_has_none(answer):
    found = readers.read_workflow(answer(SOURCE_WORKFLOW))
    assert found == Workflow(WORKFLOW_ID, NAME, None, None)
    assert found.raw["stepCount"] == 2


def test_workflow_with_steps_in_the_answer_has_them_in_order(answer):
    found = readers.read_workflow(answer({**WORKFLOW, "steps": [STEPS[1], "x", STEPS[0]]}))
    assert [step.order for step in found.steps] == [1, 2]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"id": 7}, Workflow("7", "")),
        ({"id": " wf ", "name": None, "description": 5, "steps": {}}, Workflow("wf", "")),
        ({"id": "w", "name": " N ", "description": ""}, Workflow("w", "N", "")),
    ],
)
def test_workflow_fields_without_sense_are_empty(answer, body, expected):
    assert readers.read_workflow(answer(body)) == expected


@pytest.mark.parametrize(
    "body", [{}, {"id": None}, {"id": ""}, {"id": {}}, {"id": "\u202ex"}, [], "w", 7, None]
)
def test_workflow_without_id_is_refused(answer, body):
    with pytest.raises(ProtocolError):
        readers.read_workflow(answer(body))


def test_page_of_workflows_leaves_out_what_is_none(answer):
    page = readers.read_workflows(answer({**WORKFLOW_PAGE, "content": [WORKFLOW, {}, "x", {"id": "b"}]}))
    assert [each.id for each in page.items] == [WORKFLOW_ID, "b"]
    assert page.entries == 4


def test_clone_is_another_workflow(answer):
    clone = {**CLONE, "steps": [{**STEPS[0], "id": "step_101"}]}
    found = readers.read_clone(answer(clone, 201), of=WORKFLOW_ID)
    assert (found.id, found.name, len(found.steps)) == ("wf_def456", f"{NAME} (Copy)", 1)
    with pytest.raises(ProtocolError, match="itself") as caught:
        readers.read_clone(answer(WORKFLOW, 201), of=WORKFLOW_ID)
    assert not caught.value.retryable  # it would make one more


# -- steps -------------------------------------------------------------------------------------------------


def test_steps_are_read_in_the_documented_form(answer):
    found = readers.read_steps(answer(STEPS))
    assert found == (
        Step("finance_agent", STEPS[0]["action"], 1, STEP_ID),
        Step("procurator_assistant", STEPS[1]["action"], 2, "step_002"),
    )


def test_step_keeps_what_has_no_field(answer):
    for found in (readers.read_step(answer(SOURCE_STEP, 201)), readers.read_steps(answer([SOURCE_STEP]))[0]):
        assert found == Step("finance_agent", "CONDITION", 1, STEP_ID)
        assert found.raw == SOURCE_STEP
        assert "ELSE_BRANCH" not in repr(found)


def test_steps_are_sorted_by_their_place_those_without_last(answer):
    rows = [{"id": name, "stepOrder": order} for name, order in [("d", None), ("c", 3), ("a", 0), ("b", 2.0)]]
    found = readers.read_steps(answer([*rows, "no step", None]))
    assert [(step.id, step.order) for step in found] == [("a", 0), ("b", 2), ("c", 3), ("d", None)]
    assert found[0] == Step("", "", 0, "a")


def test_steps_of_an_unknown_workflow_are_none(answer):
    assert readers.read_steps(answer([])) == ()


@pytest.mark.parametrize("body", [{}, {"steps": []}, None, "x"])
def test_steps_that_are_no_list_are_refused(answer, body):
    with pytest.raises(ProtocolError, match="no list of steps"):
        readers.read_steps(answer(body))


@pytest.mark.parametrize("body", [{}, {"stepOrder": 1}, [], None])
def test_step_without_id_is_refused(answer, body):
    with pytest.raises(ProtocolError):
        readers.read_step(answer(body, 201))


# -- starts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 202])
def test_started_run_is_read_whatever_the_success(answer, status):
    expected = StartedRun(STARTED["jobId"], WORKFLOW_ID, SESSION_ID)
    assert readers.read_started(answer(STARTED, status)) == expected
    asked = answer(STARTED, status, workflow_id=WORKFLOW_ID, job_id=SESSION_ID)
    assert readers.read_started(asked) == expected


def test_started_run_is_under_the_ids_that_were_sent(answer):
    body = {"jobId": 17, "sessionId": SESSION_ID.upper()}
    found = readers.read_started(answer(body, 202, workflow_id=WORKFLOW_ID, job_id=SESSION_ID))
    assert found == StartedRun("17", WORKFLOW_ID, SESSION_ID)


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        "accepted",
        None,
        {"workflowId": WORKFLOW_ID, "sessionId": SESSION_ID},
        {"jobId": "", "workflowId": WORKFLOW_ID},
        {"jobId": "j", "sessionId": SESSION_ID},
        {"jobId": "j", "workflowId": WORKFLOW_ID},
        {"status": "ok"},
    ],
)
def test_started_run_without_sign_of_acceptance_is_not_worth_asking_again(answer, body):
    with pytest.raises(ProtocolError) as caught:
        readers.read_started(answer(body, 202))
    assert caught.value.retryable is isinstance(body, list | str | None)


def test_started_run_of_a_page_in_between_is_refused(answer):
    with pytest.raises(ProtocolError, match="HTML"):
        readers.read_started(answer(b"<html><title>Log in</title></html>", 200))


@pytest.mark.parametrize("status", [200, 202])
def test_resumed_run_is_read_whatever_the_success(answer, status):
    expected = ResumedRun(RESUMED["jobId"], RUN_ID)
    assert readers.read_resumed(answer(RESUMED, status)) == expected
    assert readers.read_resumed(answer({"jobId": RESUMED["jobId"]}, status, subject_id=RUN_ID)) == expected


@pytest.mark.parametrize("body", [{}, {"runId": RUN_ID}, {"jobId": "j"}])
def test_resumed_run_without_sign_of_acceptance_is_not_worth_asking_again(answer, body):
    with pytest.raises(ProtocolError) as caught:
        readers.read_resumed(answer(body, 202))
    assert not caught.value.retryable


# -- runs --------------------------------------------------------------------------------------------------


def one_run(answer, row, **more):
    (found,) = readers.read_runs(answer({"content": [row]}, **more)).items
    return found


def test_run_is_read_in_the_documented_form(answer):
    (found,) = readers.read_runs(answer(RUN_PAGE)).items
    assert found == Run(
        RUN_ID,
        WORKFLOW_ID,
        SESSION_ID,
        JobStatus.COMPLETED,
        step_order=None,
        duration_ms=8450,
        created_at=datetime(2026, 5, 6, 9, 0, 0, tzinfo=UTC),
        updated_at=datetime(2026, 5, 6, 9, 0, 8, tzinfo=UTC),
    )
    assert found.status.raw == "COMPLETED"
    assert found.raw == RUN


def test_run_is_read_in_the_form_of_the_source(answer):
    (found,) = readers.read_runs(answer(SOURCE_RUN_PAGE)).items
    assert (found.status, found.status.raw) == (JobStatus.WAITING, "AWAITING_ROUTE_SELECTION")
    assert (found.step_order, found.duration_ms) == (2, 3100)
    assert found.created_at == datetime(2026, 5, 6, 9, 0, 0, 500000, tzinfo=UTC)
    assert found.updated_at == datetime(2026, 5, 6, 9, 0, 3, 123456, tzinfo=UTC)
    assert pickle.loads(pickle.dumps(found)) == found
    assert "lastStepOrder" not in repr(found)


@pytest.mark.parametrize(
    ("fields", "order"),
    [
        ({"currentStepOrder": 3}, 3),
        ({"lastStepOrder": 3}, 3),
        ({"currentStepOrder": None, "lastStepOrder": 4}, 4),
        ({"currentStepOrder": 5, "lastStepOrder": 4}, 5),
        ({"currentStepOrder": "3"}, None),
        ({}, None),
    ],
)
def test_operativus_trap_5_step_of_a_run_has_two_names(answer, fields, order):
    assert one_run(answer, {"id": "r", "workflowId": "w", **fields}).step_order == order


@pytest.mark.parametrize(
    ("written", "microsecond"),
    [
        ("2026-05-06T09:00:00Z", 0),
        ("2026-05-06T09:00:00", 0),
        ("2026-05-06T09:00", 0),
        ("2026-05-06T09:00:00.1", 100000),
        ("2026-05-06T09:00:00.123", 123000),
        ("2026-05-06T09:00:00.123456", 123456),
        ("2026-05-06T09:00:00.123456789", 123456),
        ("2026-05-06T09:00:00.123456789Z", 123456),
        ("2026-05-06T11:00:00.5+02:00", 500000),
    ],
)
def test_operativus_trap_5_times_are_read_in_every_form(answer, written, microsecond):
    found = one_run(answer, {"id": "r", "workflowId": "w", "createdAt": written, "updatedAt": written})
    assert found.created_at == found.updated_at == datetime(2026, 5, 6, 9, 0, 0, microsecond, tzinfo=UTC)


@pytest.mark.parametrize(
    "written",
    [None, "", "yesterday", "2026-13-40", "0001-01-01T00:00:00+23:59", [2026, 5, 6], True, 1e300, {}],
)
def test_times_without_sense_are_none(answer, written):
    assert one_run(answer, {"id": "r", "workflowId": "w", "createdAt": written}).created_at is None


@pytest.mark.parametrize(
    ("status", "raw"),
    [(None, ""), (7, "7"), ({"a": "b"}, '{"a": "b"}'), ("x" * 5000, "x" * 200), ("BRAND_NEW", "BRAND_NEW")],
)
def test_operativus_trap_4_unknown_status_is_kept(answer, status, raw):
    found = one_run(answer, {"id": "r", "workflowId": "w", "status": status})
    assert (found.status, found.status.raw) == (JobStatus.UNKNOWN, raw)


@pytest.mark.parametrize("number", [-1, 1.5, "8450", True, 10**30, 1e300, [], None])
def test_durations_without_sense_are_none(answer, number):
    assert one_run(answer, {"id": "r", "workflowId": "w", "durationMs": number}).duration_ms is None


def test_run_is_of_the_workflow_that_was_asked_for(answer):
    found = one_run(answer, {"id": "r"}, workflow_id="w")
    assert (found.workflow_id, found.session_id) == ("w", None)


def test_runs_without_id_or_workflow_are_left_out(answer):
    rows = [{"id": "a", "workflowId": "w"}, {"id": "b"}, {"workflowId": "w"}, "c", None, {"id": ["d"]}]
    page = readers.read_runs(answer({"content": rows}))
    assert [run.id for run in page.items] == ["a"]
    assert page.entries == 6


@pytest.mark.parametrize("word", ["QUEUED", "RUNNING", "COMPLETED", "FAILED", "PAUSED"])
def test_run_has_every_documented_status(answer, word):
    found = one_run(answer, {**RUN, "status": word, "durationMs": None, "currentStepOrder": 1})
    assert found.status.raw == word
    assert found.status != JobStatus.UNKNOWN


# -- the rest ----------------------------------------------------------------------------------------------


def test_route_options_are_read(answer):
    found = readers.read_route_options(answer(ROUTE_OPTIONS, subject_id=RUN_ID))
    assert found.status == JobStatus.WAITING
    assert found == RouteOptions(
        run_id=RUN_ID, status=found.status, awaiting=True, choices=("buy", "sell"), default="sell"
    )


@pytest.mark.parametrize("keys", [None, "buy", {"buy": 1}, [None, 7, " "]])
def test_route_options_without_sense_are_none(answer, keys):
    body = {"status": "RUNNING", "choiceKeys": keys, "awaitingRouteSelection": "true", "defaultChoice": 7}
    found = readers.read_route_options(answer(body, subject_id="r"))
    assert (found.run_id, found.awaiting, found.choices, found.default) == ("r", False, (), None)


@pytest.mark.parametrize("body", [{}, {"runId": RUN_ID}, {"status": "RUNNING"}, []])
def test_route_options_without_run_or_status_are_refused(answer, body):
    with pytest.raises(ProtocolError):
        readers.read_route_options(answer(body))


@pytest.mark.parametrize(
    ("body", "status"), [(b"", 204), (b"", 200), (b" \n", 202), ({"message": "deleted"}, 200), ([], 200)]
)
def test_done_is_any_success(answer, body, status):
    assert readers.read_done(answer(body, status)) is None


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"", 404, NotFound),
        (b"", 500, ServerError),
        (b"<html>Log in</html>", 200, ProtocolError),
        ({"status": 500, "title": "Internal Server Error"}, 200, ProtocolError),
    ],
)
def test_done_is_not_what_refuses_or_is_no_answer(answer, body, status, kind):
    with pytest.raises(kind):
        readers.read_done(answer(body, status))


# -- tokens ------------------------------------------------------------------------------------------------


def test_token_is_read(answer):
    assert readers.read_token(answer(LOGIN)) == TOKEN
    assert readers.read_token(answer({"token": f" {TOKEN}\n"})) == TOKEN


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"token": None},
        {"token": ""},
        {"token": 7},
        {"token": "two words"},
        {"token": "x\r\nX-Evil: y"},
        {"token": "ünicode"},
        {"accessToken": TOKEN},
        {"data": {"token": TOKEN}},
        (b'{"token": "' + TOKEN.encode() + b'", "cut'),
        TOKEN.encode(),
        f"<html>{TOKEN}</html>".encode(),
    ],
)
def test_token_that_cannot_be_read_is_in_no_error(answer, body):
    with pytest.raises(ProtocolError, match="usable token") as caught:
        readers.read_token(answer(body))
    assert TOKEN[:20] not in f"{caught.value!r} {caught.value} {caught.value.body} {vars(caught.value)}"


def test_token_refused_raises_authentication_error(answer):
    with pytest.raises(AuthenticationError, match="user name or the password") as caught:
        readers.read_token(
            answer(UNAUTHORIZED, 401, method="POST", url="http://localhost:8080/api/auth/login")
        )
    assert caught.value.status == 401


def test_source_run_is_not_the_documented_one():
    assert {*RUN} ^ {*SOURCE_RUN} == {"currentStepOrder", "lastStepOrder"}
