"""Every request and example of the vendor's page, in the documented form and in that of real servers."""

from __future__ import annotations

import re

import pytest

WORKFLOWS = "/api/v1/workflows"
NAME = "Daily Market Briefing"
DESCRIPTION = "Fetches stock prices and generates a daily summary report."
SESSION = "550e8400-e29b-41d4-a716-446655440000"
FIRST = {
    "agentId": "finance_agent",
    "action": "Fetch current prices for NVDA, AAPL, and MSFT.",
    "stepOrder": 1,
}
SECOND = {
    "agentId": "procurator_assistant",
    "action": "Summarize the price data into a 3-paragraph executive briefing.",
    "stepOrder": 2,
}
APPROVED = "Approved. Proceed with the summarization step."
UUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")
REAL_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?")
DOCUMENTED_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
STEP_EXTRAS = {
    *("workflowId", "routerConfig", "onReject", "elseStepId", "requiresConfirmation"),
    *("humanReview", "createdAt", "updatedAt"),
}


@pytest.fixture
async def page(serve, clock, form):
    """The server in one form; runs take 8.45 seconds, as in the example."""
    return await serve(clock=clock, form=form, run_time=8.45, queue_tick=30)


def is_id(text, kind, form):
    return bool(re.fullmatch(rf"{kind}_\w+", text) if form == "documented" else UUID.fullmatch(text))


def check_workflow(told, form, *, name=NAME, steps=0):
    assert is_id(told["id"], "wf", form)
    assert (told["name"], told["description"]) == (name, DESCRIPTION)
    if form == "documented":
        assert set(told) == {"id", "name", "description", "steps"}
        assert len(told["steps"]) == steps
        return
    assert set(told) == {"id", "name", "description", "stepCount", "createdAt", "updatedAt"}
    assert told["stepCount"] == steps
    assert REAL_TIME.fullmatch(told["createdAt"])


def check_page(told, form, *, total, size):
    assert len(told["content"]) == min(total, size)
    about = {"totalElements": total, "totalPages": -(-total // size), "number": 0}
    if form == "documented":
        assert {name: told[name] for name in told if name != "content"} == about
    else:
        assert told["page"] == {"size": size, **about}


async def test_operativus_page_list_workflows(page, form):
    check_page((await page.get(f"{WORKFLOWS}?page=0&size=20")).json, form, total=0, size=20)
    await page.create(description=DESCRIPTION)
    told = (await page.get(f"{WORKFLOWS}?page=0&size=20&sort=createdAt,desc")).json
    check_page(told, form, total=1, size=20)
    check_workflow(told["content"][0], form)


async def test_operativus_page_create_a_workflow(page, form):
    reply = await page.post(WORKFLOWS, {"name": NAME, "description": DESCRIPTION, "steps": []})
    assert reply.status == 201
    check_workflow(reply.json, form)


async def test_operativus_page_create_stores_initial_steps_in_the_documented_form_only(page, form):
    reply = await page.post(WORKFLOWS, {"name": NAME, "description": DESCRIPTION, "steps": [FIRST, SECOND]})
    stored = 2 if form == "documented" else 0
    check_workflow(reply.json, form, steps=stored)
    assert len(await page.steps(reply.json["id"])) == stored


async def test_operativus_page_get_a_workflow(page, form):
    workflow_id = await page.create(description=DESCRIPTION)
    reply = await page.get(f"{WORKFLOWS}/{workflow_id}")
    assert reply.status == 200
    check_workflow(reply.json, form)
    missing = await page.get(f"{WORKFLOWS}/wf_unknown")
    assert (missing.status, missing.raw) == (404, b"")


async def test_operativus_page_update_a_workflow(page, form):
    workflow_id = await page.create(description=DESCRIPTION)
    reply = await page.call("PATCH", f"{WORKFLOWS}/{workflow_id}", {"name": f"{NAME} v2"})
    assert reply.status == 200
    check_workflow(reply.json, form, name=f"{NAME} v2")


async def test_operativus_page_delete_a_workflow(page):
    workflow_id = await page.create("finance_agent")
    reply = await page.call("DELETE", f"{WORKFLOWS}/{workflow_id}")
    assert (reply.status, reply.raw) == (204, b"")
    assert (await page.get(f"{WORKFLOWS}/{workflow_id}")).status == 404
    assert await page.steps(workflow_id) == []


async def test_operativus_page_add_and_list_steps(page, form):
    workflow_id = await page.create()
    for step in (SECOND, FIRST):
        reply = await page.post(f"{WORKFLOWS}/{workflow_id}/steps", step)
        assert reply.status == 201
        assert is_id(reply.json["id"], "step", form)
        assert {name: reply.json[name] for name in step} == step
    listed = await page.steps(workflow_id)
    assert [{name: step[name] for name in FIRST} for step in listed] == [FIRST, SECOND]
    extras = set() if form == "documented" else STEP_EXTRAS
    assert all(set(step) == {"id", *FIRST} | extras for step in listed)


async def test_operativus_page_remove_a_step(page):
    workflow_id = await page.create("finance_agent", "procurator_assistant")
    first, second = await page.steps(workflow_id)
    reply = await page.call("DELETE", f"{WORKFLOWS}/{workflow_id}/steps/{first['id']}")
    assert (reply.status, reply.raw) == (204, b"")
    assert [step["id"] for step in await page.steps(workflow_id)] == [second["id"]]


async def test_operativus_page_clone_a_workflow(page, form):
    workflow_id = await page.create("finance_agent", "procurator_assistant", description=DESCRIPTION)
    reply = await page.post(f"{WORKFLOWS}/{workflow_id}/clone")
    assert reply.status == 201
    check_workflow(reply.json, form, name=f"{NAME} (Copy)", steps=2)
    copied = await page.steps(reply.json["id"])
    assert [(step["agentId"], step["stepOrder"]) for step in copied] == [
        ("finance_agent", 1),
        ("procurator_assistant", 2),
    ]
    assert not {step["id"] for step in copied} & {step["id"] for step in await page.steps(workflow_id)}


async def test_operativus_page_execute_a_workflow(page, form):
    workflow_id = await page.create("finance_agent")
    reply = await page.post(
        f"{WORKFLOWS}/{workflow_id}/run",
        {"input": "Generate today's market briefing.", "sessionId": SESSION},
    )
    assert reply.status == (200 if form == "documented" else 202)
    assert set(reply.json) == {"jobId", "workflowId", "sessionId"}
    assert is_id(reply.json["jobId"], "job", form)
    assert (reply.json["workflowId"], reply.json["sessionId"]) == (workflow_id, SESSION)


async def test_operativus_page_execute_makes_a_session_if_none_is_given(page):
    workflow_id = await page.create("finance_agent")
    sessions = {(await page.post(f"{WORKFLOWS}/{workflow_id}/run", {})).json["sessionId"] for _ in range(2)}
    assert len(sessions) == 2
    assert all(UUID.fullmatch(session) for session in sessions)


async def test_operativus_page_list_workflow_runs(page, form, clock):
    workflow_id = await page.create("finance_agent", "procurator_assistant")
    runs = f"{WORKFLOWS}/{workflow_id}/runs?page=0&size=10"
    check_page((await page.get(runs)).json, form, total=0, size=10)
    await page.order(workflow_id, sessionId=SESSION)
    clock.forward(30)
    flight = (await page.get(runs)).json["content"][0]
    clock.forward(4.3)
    second_step = (await page.get(runs)).json["content"][0]
    clock.forward(10)
    told = (await page.get(runs)).json
    check_page(told, form, total=1, size=10)
    over = told["content"][0]
    assert (flight["status"], second_step["status"], over["status"]) == ("RUNNING", "RUNNING", "COMPLETED")
    assert (over["workflowId"], over["sessionId"]) == (workflow_id, SESSION)
    assert is_id(over["id"], "run", form)
    assert over["id"] == flight["id"]
    if form == "documented":
        places = [run["currentStepOrder"] for run in (flight, second_step, over)]
        assert places == [1, 2, None]
        assert [run["durationMs"] for run in (flight, second_step, over)] == [None, None, 8450]
        assert DOCUMENTED_TIME.fullmatch(over["updatedAt"])
        assert over["updatedAt"] > over["createdAt"]
    else:
        assert [run["lastStepOrder"] for run in (flight, second_step, over)] == [1, 2, 2]
        assert [run["durationMs"] for run in (flight, second_step, over)] == [0, 0, 0]
        assert REAL_TIME.fullmatch(over["updatedAt"])
        assert over["updatedAt"] == over["createdAt"]
    assert set(over) == {
        *("id", "workflowId", "sessionId", "status", "durationMs", "createdAt", "updatedAt"),
        "currentStepOrder" if form == "documented" else "lastStepOrder",
    }


async def test_operativus_page_lists_runs_newest_first(page, clock):
    workflow_id = await page.create("finance_agent")
    sessions = [await page.order(workflow_id, f"text {number}") for number in range(3)]
    clock.forward(60)
    assert [run["sessionId"] for run in await page.runs(workflow_id)] == sessions[::-1]


async def test_operativus_page_resume_a_paused_run(page, form, clock):
    workflow_id = await page.create("approval_agent", "procurator_assistant")
    session = await page.order(workflow_id)
    clock.forward(40)
    paused = (await page.runs(workflow_id))[0]
    assert paused["status"] == "PAUSED"
    reply = await page.post(f"{WORKFLOWS}/runs/{paused['id']}/resume", {"output": APPROVED})
    assert reply.status == (200 if form == "documented" else 202)
    assert set(reply.json) == {"jobId", "runId"}
    assert is_id(reply.json["jobId"], "job", form)
    assert reply.json["runId"] == paused["id"]
    clock.forward(40)
    (over,) = await page.runs(workflow_id)
    assert (over["id"], over["status"]) == (paused["id"], "COMPLETED")
    assert (await page.outputs(session))[-1] == f"[procurator_assistant] {APPROVED}"
