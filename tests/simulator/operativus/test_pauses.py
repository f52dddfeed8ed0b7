"""Runs that wait for a person: how they go on, and when they do not."""

from __future__ import annotations

import pytest

WORKFLOWS = "/api/v1/workflows"


async def pause(api, clock, *agents, **order):
    """Let a run pause; return its workflow, its session and its row."""
    workflow_id = await api.create(*(agents or ("finance_agent", "approval_agent", "writer_agent")))
    session = await api.order(workflow_id, **order)
    clock.forward(1)
    (run,) = await api.runs(workflow_id)
    return workflow_id, session, run


async def test_operativus_paused_run_goes_on_with_the_text_in_its_next_step(api, clock):
    workflow_id, session, run = await pause(api, clock)
    assert (run["status"], run["lastStepOrder"]) == ("PAUSED", 2)
    assert (await api.answer(run["id"], "Take it.")).status == 202
    assert await api.statuses(workflow_id) == ["PAUSED"]  # until the queue takes the job
    clock.forward(0.7)
    (after,) = await api.runs(workflow_id)
    assert (after["id"], after["status"]) == (run["id"], "COMPLETED")
    assert await api.outputs(session) == ["[finance_agent] prices", None, "[writer_agent] Take it."]
    assert api.server.stats()["answers_to_pauses"] == {"accepted": 1, "applied": 1, "ignored": 0}


async def test_operativus_resume_without_text_goes_on_with_what_the_paused_step_was_given(api, clock):
    _, session, run = await pause(api, clock)
    assert (await api.post(f"{WORKFLOWS}/runs/{run['id']}/resume", {})).status == 202
    clock.forward(0.7)
    assert (await api.outputs(session))[-1] == "[writer_agent] [finance_agent] prices"


async def test_operativus_resume_of_a_pause_at_the_last_step_completes_the_run(api, clock):
    workflow_id, _, run = await pause(api, clock, "approval_agent")
    await api.answer(run["id"])
    clock.forward(0.7)
    assert await api.statuses(workflow_id) == ["COMPLETED"]


async def test_operativus_run_can_pause_again(api, clock):
    workflow_id, session, run = await pause(api, clock, "approval_agent", "approval_agent", "assistant")
    for text in ("one", "two"):
        await api.answer(run["id"], text)
        clock.forward(0.7)
    assert await api.statuses(workflow_id) == ["COMPLETED"]
    assert (await api.outputs(session))[-1] == "[assistant] two"


async def test_operativus_answer_that_is_sent_twice_answers_the_next_pause_too(serve, clock):
    api = await serve(clock=clock, queue_jobs=1)
    workflow_id, session, run = await pause(api, clock, "approval_agent", "approval_agent", "assistant")
    for _ in range(2):
        await api.answer(run["id"], "once")
    clock.forward(1.3)
    assert await api.statuses(workflow_id) == ["COMPLETED"]
    assert (await api.outputs(session))[-1] == "[assistant] once"


async def test_operativus_resume_is_accepted_for_unknown_runs_and_leaves_others_alone(api, clock):
    workflow_id = await api.create("finance_agent")
    await api.order(workflow_id)
    clock.forward(1)
    (run,) = await api.runs(workflow_id)
    for run_id in (run["id"], "unknown"):
        reply = await api.answer(run_id)
        assert (reply.status, reply.json["runId"]) == (202, run_id)
    clock.forward(1)
    assert await api.runs(workflow_id) == [run]
    assert api.server.stats()["answers_to_pauses"] == {"accepted": 2, "applied": 0, "ignored": 1}
    failed = (await api.get("/api/v1/observability/background-jobs?status=DLQ")).json["content"]
    assert [job["errorMessage"] for job in failed] == ["WorkflowRun not found: unknown"]


@pytest.mark.parametrize("what", ["resume", "continue"])
async def test_operativus_answer_to_a_foreign_run_is_not_found(api, clock, what):
    _, _, run = await pause(api, clock)
    reply = await api.post(
        f"{WORKFLOWS}/runs/{run['id']}/{what}",
        {"output": "x", "choiceKey": "x"},
        token=await api.token_of("stranger"),
    )
    assert (reply.status, reply.raw) == (404, b"")


async def test_operativus_paused_run_is_cancelled_a_day_after_its_creation(serve, clock):
    api = await serve(clock=clock, token_life=1e6)
    workflow_id, _, run = await pause(api, clock)
    clock.forward(86_400 - 5)
    assert await api.statuses(workflow_id) == ["PAUSED"]
    clock.forward(5)
    (after,) = await api.runs(workflow_id)
    assert after["status"] == "CANCELLED"
    assert after["durationMs"] == 86_400_000
    await api.answer(run["id"])
    clock.forward(1)
    assert await api.statuses(workflow_id) == ["CANCELLED"]


async def test_operativus_paused_run_can_be_cancelled(api, clock):
    workflow_id, _, run = await pause(api, clock)
    assert (await api.call("DELETE", f"{WORKFLOWS}/runs/{run['id']}")).status == 204
    assert await api.statuses(workflow_id) == ["CANCELLED"]


async def test_operativus_condition_that_wants_confirmation_pauses(api, clock):
    workflow_id = await api.create("finance_agent")
    await api.add(workflow_id, action="CONDITION", agentId="x > 1", stepOrder=2, requiresConfirmation=True)
    await api.add(workflow_id, agentId="assistant", stepOrder=3)
    session = await api.order(workflow_id)
    clock.forward(1)
    (run,) = await api.runs(workflow_id)
    assert run["status"] == "PAUSED"
    await api.answer(run["id"], "")
    clock.forward(1)
    assert (await api.outputs(session))[-1] == "[assistant] [finance_agent] prices"


async def with_router(api, clock):
    workflow_id = await api.create("finance_agent")
    for agent, order in (("assistant", 3), ("writer_agent", 4)):
        await api.add(workflow_id, agentId=agent, stepOrder=order)
    _, left, right = [step["id"] for step in await api.steps(workflow_id)]
    config = {"selectorType": "HITL", "choices": {"long": left, "brief": right}, "defaultChoice": "brief"}
    await api.add(workflow_id, action="ROUTER", stepOrder=2, routerConfig=config)
    session = await api.order(workflow_id)
    clock.forward(1)
    (run,) = await api.runs(workflow_id)
    return workflow_id, session, run


async def test_operativus_router_pauses_for_a_choice_and_goes_on_where_it_leads(serve, clock):
    api = await serve("routers_on", clock=clock)
    workflow_id, session, run = await with_router(api, clock)
    assert (run["status"], run["lastStepOrder"]) == ("AWAITING_ROUTE_SELECTION", 2)
    options = f"{WORKFLOWS}/runs/{run['id']}/route-options"
    assert (await api.get(options)).json == {
        "runId": run["id"],
        "status": "AWAITING_ROUTE_SELECTION",
        "awaitingRouteSelection": True,
        "choiceKeys": ["brief", "long"],
        "defaultChoice": "brief",
    }
    go_on = f"{WORKFLOWS}/runs/{run['id']}/continue"
    refused = await api.post(go_on, {"choiceKey": " "})
    assert (refused.status, refused.json["invalidParams"][0]["field"]) == (400, "choiceKey")
    assert (await api.post(go_on, {"choiceKey": "no such"})).status == 202
    clock.forward(1)
    assert await api.statuses(workflow_id) == ["AWAITING_ROUTE_SELECTION"]
    reply = await api.post(go_on, {"choiceKey": "brief"})
    assert (reply.status, set(reply.json)) == (202, {"jobId", "runId"})
    clock.forward(1)
    assert await api.statuses(workflow_id) == ["COMPLETED"]
    assert await api.outputs(session) == ["[finance_agent] prices", "[writer_agent] [finance_agent] prices"]
    after = (await api.get(options)).json
    assert (after["awaitingRouteSelection"], after["choiceKeys"], after["defaultChoice"]) == (False, [], None)


async def test_operativus_resume_of_a_route_pause_simply_goes_on(serve, clock):
    api = await serve("routers_on", clock=clock)
    workflow_id, session, run = await with_router(api, clock)
    await api.answer(run["id"], "text")
    clock.forward(1)
    assert await api.statuses(workflow_id) == ["COMPLETED"]
    assert await api.outputs(session) == [
        "[finance_agent] prices",
        "[assistant] text",
        "[writer_agent] [assistant] text",
    ]


async def test_operativus_routers_are_off_unless_a_trait_says_otherwise(api, clock):
    workflow_id, session, _ = await with_router(api, clock)
    assert await api.statuses(workflow_id) == ["COMPLETED"]
    assert len(await api.outputs(session)) == 3


async def test_operativus_continue_leaves_a_run_alone_that_waits_for_a_text(api, clock):
    workflow_id, _, run = await pause(api, clock)
    assert (await api.post(f"{WORKFLOWS}/runs/{run['id']}/continue", {"choiceKey": "x"})).status == 202
    clock.forward(1)
    assert await api.statuses(workflow_id) == ["PAUSED"]
    for path in (f"runs/{run['id']}/route-options", "runs/unknown/route-options"):
        assert (await api.get(f"{WORKFLOWS}/{path}")).status == (404 if "unknown" in path else 200)


async def test_operativus_pause_in_a_graph_hands_the_approved_text_along_its_edges(api, clock):
    workflow_id = await api.create("approval_agent", "assistant")
    first, second = [step["id"] for step in await api.steps(workflow_id)]
    await api.post(f"{WORKFLOWS}/{workflow_id}/edges", {"fromStepId": first, "toStepId": second})
    await api.order(workflow_id)
    clock.forward(1)
    (run,) = await api.runs(workflow_id)
    node = (await api.get(f"{WORKFLOWS}/runs/{run['id']}/node-runs")).json[0]
    assert (node["paused"], node["success"], node["content"]) == (True, False, None)
    await api.answer(run["id"], "approved")
    clock.forward(1)
    nodes = (await api.get(f"{WORKFLOWS}/runs/{run['id']}/node-runs")).json
    assert nodes[-1]["content"] == "[assistant] approved"


async def test_operativus_scripts_fail_pause_and_delay_the_next_runs(serve, clock):
    api = await serve(clock=clock, queue_tick=0, run_time=1)
    workflow_id = await api.create("finance_agent", "assistant", "writer_agent")
    api.server.fail_next(workflow_id, step=1, error="no more paper")
    failed = await api.order(workflow_id, "1")
    api.server.pause_next(workflow_id, step=-2)
    await api.order(workflow_id, "2")
    api.server.delay_next(workflow_id, 10)
    await api.order(workflow_id, "3")
    await api.order(workflow_id, "4")
    api.server.fail_next(workflow_id, times=5)
    api.server.reset()
    await api.order(workflow_id, "5")
    clock.forward(2)
    assert (await api.statuses(workflow_id))[::-1] == [
        "FAILED",
        "PAUSED",
        "RUNNING",
        "COMPLETED",
        "COMPLETED",
    ]
    clock.forward(10)
    assert (await api.statuses(workflow_id))[2] == "COMPLETED"
    assert (await api.get(f"/api/sessions/{failed}/runs")).json[-1]["errorMessage"] == "no more paper"
