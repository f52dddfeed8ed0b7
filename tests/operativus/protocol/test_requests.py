"""What is sent to Operativus: the calls of the vendor's page, those of the source, and nothing doomed."""

from __future__ import annotations

import json

import pytest
from operativus_corpus import DESCRIPTION, NAME, RUN_ID, SESSION_ID, SOURCE_STEP, STEP_ID, STEPS, WORKFLOW_ID

from opus_async.errors import InvalidInputs
from opus_async.operativus.models import Step
from opus_async.operativus.protocol import requests

PRICES = Step("finance_agent", "Fetch current prices for NVDA, AAPL, and MSFT.")
BASE = "/api/v1/workflows"

VENDOR = {
    "list workflows": (
        requests.workflows(page=0, size=20),
        ("GET", f"{BASE}?page=0&size=20", None),
    ),
    "create a workflow": (
        requests.create_workflow(NAME, description=DESCRIPTION),
        ("POST", BASE, {"name": NAME, "description": DESCRIPTION}),
    ),
    "get a workflow": (requests.workflow(WORKFLOW_ID), ("GET", f"{BASE}/wf_abc123", None)),
    "update a workflow": (
        requests.update_workflow(WORKFLOW_ID, name="Daily Market Briefing v2"),
        ("PATCH", f"{BASE}/wf_abc123", {"name": "Daily Market Briefing v2"}),
    ),
    "delete a workflow": (requests.delete_workflow(WORKFLOW_ID), ("DELETE", f"{BASE}/wf_abc123", None)),
    "list workflow steps": (requests.steps(WORKFLOW_ID), ("GET", f"{BASE}/wf_abc123/steps", None)),
    "add a step": (
        requests.add_step(WORKFLOW_ID, PRICES, order=1),
        (
            "POST",
            f"{BASE}/wf_abc123/steps",
            {"agentId": "finance_agent", "action": PRICES.action, "stepOrder": 1},
        ),
    ),
    "remove a step": (
        requests.remove_step(WORKFLOW_ID, STEP_ID),
        ("DELETE", f"{BASE}/wf_abc123/steps/step_001", None),
    ),
    "clone a workflow": (requests.clone_workflow(WORKFLOW_ID), ("POST", f"{BASE}/wf_abc123/clone", None)),
    "execute a workflow": (
        requests.run(WORKFLOW_ID, "Generate today's market briefing.", session_id=SESSION_ID),
        (
            "POST",
            f"{BASE}/wf_abc123/run",
            {"input": "Generate today's market briefing.", "sessionId": SESSION_ID},
        ),
    ),
    "list workflow runs": (
        requests.runs(WORKFLOW_ID, page=0, size=10),
        ("GET", f"{BASE}/wf_abc123/runs?page=0&size=10", None),
    ),
    "resume a paused workflow run": (
        requests.resume(RUN_ID, "Approved. Proceed with the summarization step."),
        (
            "POST",
            f"{BASE}/runs/run_7f3a9c12/resume",
            {"output": "Approved. Proceed with the summarization step."},
        ),
    ),
}
SOURCE = {
    "update a step": (
        requests.update_step(WORKFLOW_ID, Step("a", "AGENT", 1, STEP_ID), order=2),
        (
            "PATCH",
            f"{BASE}/wf_abc123/steps/step_001",
            {"agentId": "a", "action": "AGENT", "stepOrder": 2},
        ),
    ),
    "continue at a router": (
        requests.continue_run(RUN_ID, "buy"),
        ("POST", f"{BASE}/runs/run_7f3a9c12/continue", {"choiceKey": "buy"}),
    ),
    "route options": (
        requests.route_options(RUN_ID),
        ("GET", f"{BASE}/runs/run_7f3a9c12/route-options", None),
    ),
    "cancel a run": (requests.cancel(RUN_ID), ("DELETE", f"{BASE}/runs/run_7f3a9c12", None)),
    "step results": (requests.node_runs(RUN_ID), ("GET", f"{BASE}/runs/run_7f3a9c12/node-runs", None)),
    "child results": (
        requests.child_node_runs(RUN_ID),
        ("GET", f"{BASE}/runs/run_7f3a9c12/child-node-runs", None),
    ),
    "runs of a session": (
        requests.session_runs(SESSION_ID),
        ("GET", f"/api/sessions/{SESSION_ID}/runs", None),
    ),
    "log in": (
        requests.login("ann", "synthetic"),
        ("POST", "/api/auth/login", {"username": "ann", "password": "synthetic"}),
    ),
}


@pytest.mark.parametrize(("call", "expected"), VENDOR.values(), ids=VENDOR)
def test_request_is_that_of_the_vendors_page(call, expected):
    assert (call.method, call.path, call.body) == expected


@pytest.mark.parametrize(("call", "expected"), SOURCE.values(), ids=SOURCE)
def test_request_is_what_the_source_of_the_server_reads(call, expected):
    assert (call.method, call.path, call.body) == expected


def test_requests_have_an_operation_name_each():
    calls = [call for call, _ in (*VENDOR.values(), *SOURCE.values())]
    assert {call.operation for call in calls} == {
        *("login", "workflows", "create_workflow", "workflow", "update_workflow", "delete_workflow"),
        *("clone_workflow", "steps", "add_step", "update_step", "remove_step", "run", "runs", "resume"),
        *("cancel", "node_runs", "child_node_runs", "session_runs", "route_options", "continue_run"),
    }
    assert len({call.operation for call in calls}) == len(calls)


def test_requests_that_would_do_it_twice_are_not_repeatable():
    own = Step("a", "b", 1, id="00000000-0000-4000-8000-000000000001")
    once = {
        "run",
        "resume",
        "continue_run",
        "clone_workflow",
        # without an id of our own
        "create_workflow",
        "add_step",
    }
    calls = [call for call, _ in (*VENDOR.values(), *SOURCE.values())]
    assert {call.operation for call in calls if not call.repeatable} == once
    assert requests.create_workflow("N", workflow_id="00000000-0000-4000-8000-000000000002").repeatable
    assert requests.add_step(WORKFLOW_ID, own).repeatable


def test_requests_name_what_they_are_about():
    def about(call):
        return call.workflow_id, call.job_id, call.subject_id

    assert about(requests.workflow(f" {WORKFLOW_ID}\n")) == (WORKFLOW_ID, None, None)
    assert about(requests.runs(WORKFLOW_ID)) == (WORKFLOW_ID, None, None)
    assert about(requests.run(WORKFLOW_ID, session_id=SESSION_ID)) == (WORKFLOW_ID, SESSION_ID, None)
    assert about(requests.session_runs(SESSION_ID)) == (None, SESSION_ID, None)
    assert about(requests.resume(RUN_ID, "yes")) == (None, None, RUN_ID)
    step = Step("a", "b", 1, STEP_ID)
    assert about(requests.update_step(WORKFLOW_ID, step, order=2)) == (WORKFLOW_ID, None, STEP_ID)
    assert about(requests.clone_workflow(WORKFLOW_ID)) == (None, None, None)  # the answer is about another


def test_create_request_sends_id_of_our_own_and_steps_in_their_places():
    call = requests.create_workflow("N", workflow_id="own", steps=[PRICES, Step("b", "c", 7, id="s")])
    assert call.body == {
        "id": "own",
        "name": "N",
        "steps": [
            {"agentId": "finance_agent", "action": PRICES.action, "stepOrder": 1},
            {"id": "s", "agentId": "b", "action": "c", "stepOrder": 7},
        ],
    }


def test_create_request_keeps_the_place_0_of_a_step():
    call = requests.create_workflow("N", steps=[Step("a", "b", 0)])
    assert call.body["steps"][0]["stepOrder"] == 0


def test_add_step_request_takes_a_step_without_agent_if_its_kind_needs_none():
    assert requests.add_step("w", Step("", "JOIN", 1)).body == {"action": "JOIN", "stepOrder": 1}
    for action in ("AGENT", "Summarise.", "join"):
        with pytest.raises(InvalidInputs, match="agent id is empty"):
            requests.add_step("w", Step("", action, 1))


def test_run_request_sends_an_empty_object_without_input():
    call = requests.run(WORKFLOW_ID)
    assert call.body == {}
    assert call.job_id is None


def test_run_request_sends_an_empty_input():
    assert requests.run(WORKFLOW_ID, "").body == {"input": ""}


def test_resume_request_sends_an_empty_output():
    assert requests.resume(RUN_ID, "").body == {"output": ""}


def test_login_request_keeps_the_password_out_of_its_repr():
    call = requests.login("ann", "synthetic-password")
    assert call.secret == "synthetic-password"
    assert "synthetic-password" not in repr(call)


def test_operativus_trap_6_update_of_a_step_sends_all_of_its_fields():
    step = Step("finance_agent", "CONDITION", 1, STEP_ID, SOURCE_STEP)
    call = requests.update_step(WORKFLOW_ID, step, agent_id="other_agent")
    assert call.body == {
        "stepOrder": 1,
        "agentId": "other_agent",
        "action": "CONDITION",
        "routerConfig": None,
        "onReject": "ELSE_BRANCH",
        "elseStepId": "step_002",
        "requiresConfirmation": True,
        "humanReview": {"requiresUserInput": True, "approvers": ["ann"]},
    }
    moved = requests.update_step(WORKFLOW_ID, step, order=3).body
    assert (moved["stepOrder"], moved["agentId"]) == (3, "finance_agent")


def test_update_step_request_keeps_a_missing_agent_missing():
    step = Step("", "JOIN", 1, STEP_ID, {"id": STEP_ID, "agentId": None, "action": "JOIN", "stepOrder": 1})
    assert requests.update_step(WORKFLOW_ID, step, order=2).body["agentId"] is None
    assert requests.update_step(WORKFLOW_ID, Step("", "JOIN", 1, STEP_ID), order=2).body["agentId"] is None


@pytest.mark.parametrize(
    ("identifier", "segment"),
    [
        ("a/b", "a%2Fb"),
        ("a?b=c", "a%3Fb%3Dc"),
        ("a b", "a%20b"),
        ("a#b", "a%23b"),
        ("..", "%2E%2E"),
        (".", "%2E"),
        ("../x", "%2E%2E%2Fx"),
        ("a.b", "a.b"),
        ("%2e%2e", "%252e%252e"),
        ("jöb", "j%C3%B6b"),
        ("1\r\nX-Evil: y", "1%0D%0AX-Evil%3A%20y"),
        (" wf ", "wf"),
        (17, "17"),
    ],
)
def test_ids_cannot_leave_their_path_segment(identifier, segment):
    assert requests.workflow(identifier).path == f"{BASE}/{segment}"
    assert requests.runs(identifier).path == f"{BASE}/{segment}/runs?page=0&size=20"
    assert requests.resume(identifier, "yes").path == f"{BASE}/runs/{segment}/resume"
    assert requests.remove_step("w", identifier).path == f"{BASE}/w/steps/{segment}"
    assert requests.session_runs(identifier).path == f"/api/sessions/{segment}/runs"


BAD_IDS = ["", "  ", None, True, 1.5, b"wf", ["wf"], "\ud800"]


@pytest.mark.parametrize("bad", BAD_IDS, ids=repr)
@pytest.mark.parametrize(
    "build",
    [
        requests.workflow,
        requests.delete_workflow,
        requests.clone_workflow,
        requests.steps,
        requests.runs,
        requests.run,
        requests.cancel,
        requests.node_runs,
        requests.child_node_runs,
        requests.session_runs,
        requests.route_options,
        lambda bad: requests.resume(bad, "yes"),
        lambda bad: requests.continue_run(bad, "yes"),
        lambda bad: requests.remove_step("w", bad),
        lambda bad: requests.add_step("w", Step(bad, "b", 1)),
        lambda bad: requests.update_step("w", Step("a", "b", 1, "s"), agent_id="" if bad is None else bad),
    ],
)
def test_requests_refuse_what_is_no_id(build, bad):
    with pytest.raises(InvalidInputs, match="id"):
        build(bad)


@pytest.mark.parametrize("bad", ["", " \n", None, 7, b"x", "half \udcff a character"], ids=repr)
@pytest.mark.parametrize(
    "build",
    [
        requests.create_workflow,
        lambda bad: requests.continue_run("r", bad),
        lambda bad: requests.login(bad, "p"),
        lambda bad: requests.login("u", bad),
        lambda bad: requests.add_step("w", Step("a", bad, 1)),
    ],
)
def test_requests_refuse_what_is_no_text(build, bad):
    with pytest.raises(InvalidInputs):
        build(bad)


@pytest.mark.parametrize("bad", [7, b"x", ["x"], "half \udcff a character"], ids=repr)
@pytest.mark.parametrize(
    "build",
    [
        lambda bad: requests.run("w", bad),
        lambda bad: requests.resume("r", bad),
        lambda bad: requests.create_workflow("N", description=bad),
        lambda bad: requests.update_workflow("w", description=bad),
        lambda bad: requests.update_workflow("w", name=bad),
    ],
)
def test_requests_refuse_optional_text_that_is_none(build, bad):
    with pytest.raises(InvalidInputs, match=r"text|Unicode"):
        build(bad)


def test_resume_request_refuses_a_missing_output():
    with pytest.raises(InvalidInputs, match="output"):
        requests.resume(RUN_ID, None)


@pytest.mark.parametrize(
    ("page", "size"), [(0, 0), (0, -1), (-1, 20), (0, 1.5), (True, 20), (0, True), ("0", 20)]
)
@pytest.mark.parametrize(
    "build",
    [requests.workflows, lambda **paging: requests.runs("w", **paging)],
)
def test_page_requests_refuse_pages_that_cannot_be(build, page, size):
    with pytest.raises(InvalidInputs, match="page"):
        build(page=page, size=size)


@pytest.mark.parametrize(
    ("sort", "sent"), [("createdAt,desc", "createdAt%2Cdesc"), ("name", "name"), ("name,ASC", "name%2CASC")]
)
def test_workflows_request_sorts(sort, sent):
    assert requests.workflows(sort=sort).path == f"{BASE}?page=0&size=20&sort={sent}"


@pytest.mark.parametrize("sort", ["", "name,", "name,up", "a b", "a,asc,b", "1", "a&b=c"])
def test_workflows_request_refuses_a_sort_that_cannot_be(sort):
    with pytest.raises(InvalidInputs, match="sort"):
        requests.workflows(sort=sort)


@pytest.mark.parametrize("order", [None, -1, 1.0, True, "1"])
def test_add_step_request_refuses_a_place_that_cannot_be(order):
    with pytest.raises(InvalidInputs, match="order"):
        requests.add_step("w", Step("a", "b", order))


def test_update_requests_refuse_to_change_nothing():
    with pytest.raises(InvalidInputs, match="name or description"):
        requests.update_workflow(WORKFLOW_ID)
    with pytest.raises(InvalidInputs, match="agent_id or order"):
        requests.update_step(WORKFLOW_ID, Step("a", "b", 1, STEP_ID))


def test_update_workflow_request_can_empty_the_description_and_not_the_name():
    assert requests.update_workflow(WORKFLOW_ID, description="").body == {"description": ""}
    with pytest.raises(InvalidInputs, match="name"):
        requests.update_workflow(WORKFLOW_ID, name=" ")


def test_update_step_request_refuses_a_step_that_was_not_read():
    with pytest.raises(InvalidInputs, match="no id"):
        requests.update_step(WORKFLOW_ID, PRICES, order=2)


def test_requests_are_json():
    for call, _ in (*VENDOR.values(), *SOURCE.values()):
        json.dumps(call.body, allow_nan=False, ensure_ascii=False).encode()
        assert call.path.isascii()


def test_vendor_steps_are_sent_back_as_they_came():
    for sent in STEPS:
        step = Step(sent["agentId"], sent["action"], sent["stepOrder"], sent["id"], sent)
        body = requests.add_step(WORKFLOW_ID, step).body
        assert body == sent
