"""Runs: the queue before their rows, their texts, the server's own restarts, and what is not told."""

from __future__ import annotations

import asyncio

import pytest

WORKFLOWS = "/api/v1/workflows"


async def test_operativus_run_refuses_an_unknown_foreign_or_empty_workflow(api):
    workflow_id, empty = await api.create("finance_agent"), await api.create()
    stranger = await api.token_of("stranger")
    for path, token in (("unknown", api.server.token), (workflow_id, stranger)):
        reply = await api.post(f"{WORKFLOWS}/{path}/run", {}, token=token)
        assert (reply.status, reply.raw) == (404, b"")
    reply = await api.post(f"{WORKFLOWS}/{empty}/run", {})
    assert (reply.status, reply.json["title"]) == (400, "Business Validation Error")
    assert "no steps" in reply.json["detail"]
    assert api.server.stats()["starts"] == 0


async def test_operativus_run_needs_a_body_if_only_an_empty_one(api):
    workflow_id = await api.create("finance_agent")
    run = f"{WORKFLOWS}/{workflow_id}/run"
    assert (await api.post(run, headers={"Content-Type": "application/json"})).status == 400
    assert (await api.post(run, {})).status == 202
    assert (await api.post(run, {"input": None, "sessionId": None})).status == 202
    assert (await api.post(run, {"input": 7})).status == 400


async def test_operativus_steps_run_in_order_each_on_the_text_of_the_one_before(api, clock):
    workflow_id = await api.create()
    for order, agent in ((3, "writer_agent"), (1, "finance_agent"), (2, "assistant")):
        await api.add(workflow_id, agentId=agent, stepOrder=order)
    session = await api.order(workflow_id, "NVDA")
    clock.forward(1)
    told = (await api.get(f"/api/sessions/{session}/runs")).json
    assert [(step["input"], step["output"]) for step in told] == [
        ("NVDA", "[finance_agent] NVDA"),
        ("[finance_agent] NVDA", "[assistant] [finance_agent] NVDA"),
        ("[assistant] [finance_agent] NVDA", "[writer_agent] [assistant] [finance_agent] NVDA"),
    ]
    assert [step["status"] for step in told] == ["COMPLETED"] * 3


async def test_operativus_structural_steps_hand_their_text_on_and_call_no_agent(api, clock):
    workflow_id = await api.create("finance_agent")
    await api.add(workflow_id, action="WEBHOOK", agentId="https://example.org", stepOrder=2)
    await api.add(workflow_id, action="any other text", agentId="assistant", stepOrder=3)
    session = await api.order(workflow_id, "x")
    clock.forward(1)
    assert await api.outputs(session) == ["[finance_agent] x", "[assistant] [finance_agent] x"]


async def test_operativus_edges_decide_the_order_and_join_texts(api, clock):
    workflow_id = await api.create("assistant", "finance_agent", "writer_agent", "review_agent")
    last, first, second, alone = [step["id"] for step in await api.steps(workflow_id)]
    for start, end in ((first, second), (first, last), (second, last)):
        await api.post(f"{WORKFLOWS}/{workflow_id}/edges", {"fromStepId": start, "toStepId": end})
    await api.order(workflow_id, "x")
    clock.forward(1)
    (run,) = await api.runs(workflow_id)
    nodes = (await api.get(f"{WORKFLOWS}/runs/{run['id']}/node-runs")).json
    assert [node["nodeId"] for node in nodes] == [first, second, last]
    assert alone not in {node["nodeId"] for node in nodes}
    assert nodes[-1]["content"] == "[assistant] [finance_agent] x\n---\n[writer_agent] [finance_agent] x"


async def test_operativus_node_runs_are_empty_for_a_workflow_without_edges(api, clock):
    workflow_id = await api.create("finance_agent")
    await api.order(workflow_id)
    clock.forward(1)
    (run,) = await api.runs(workflow_id)
    for what in ("node-runs", "child-node-runs"):
        reply = await api.get(f"{WORKFLOWS}/runs/{run['id']}/{what}")
        assert (reply.status, reply.json) == (200, [])
        assert (await api.get(f"{WORKFLOWS}/runs/unknown/{what}")).status == 404


async def test_operativus_rows_appear_when_the_queue_takes_their_jobs(serve, clock):
    api = await serve("real_queue", clock=clock, run_time=3600)
    workflow_id = await api.create("finance_agent")
    sessions = [await api.order(workflow_id, f"text {number}") for number in range(12)]
    assert await api.runs(workflow_id) == []
    seen = []
    for _ in range(4):
        clock.forward(30.01)
        seen.append([run["sessionId"] for run in await api.runs(workflow_id)])
    assert [len(rows) for rows in seen] == [5, 10, 12, 12]
    assert seen[-1] == sessions[::-1]


async def test_operativus_rows_keep_the_order_of_their_jobs_however_quick_the_queue_is(serve, clock):
    api = await serve(clock=clock, queue_jobs=60, queue_tick=0.001)
    workflow_id = await api.create("finance_agent")
    sessions = []
    for number in range(120):
        sessions.append(await api.order(workflow_id, str(number)))
        clock.forward(0.00001)
    clock.forward(1)
    assert [run["sessionId"] for run in await api.runs(workflow_id, "?size=200")] == sessions[::-1]


async def test_operativus_queue_serves_all_organizations_oldest_first(serve, clock):
    api = await serve(clock=clock, queue_jobs=1)
    stranger = await api.token_of("stranger")
    theirs = (await api.post(WORKFLOWS, {"name": "theirs"}, token=stranger)).json["id"]
    await api.post(f"{WORKFLOWS}/{theirs}/steps", {"agentId": "assistant", "stepOrder": 1}, token=stranger)
    mine = await api.create("finance_agent")
    await api.post(f"{WORKFLOWS}/{theirs}/run", {}, token=stranger)
    await api.order(mine)
    clock.forward(0.31)
    assert await api.runs(mine) == []
    assert len(await api.runs(theirs, token=stranger)) == 1
    clock.forward(0.3)
    assert len(await api.runs(mine)) == 1


async def test_operativus_job_of_a_workflow_is_not_found(api):
    workflow_id = await api.create("finance_agent")
    job = (await api.post(f"{WORKFLOWS}/{workflow_id}/run", {})).json["jobId"]
    reply = await api.get(f"/api/jobs/{job}")
    assert (reply.status, reply.raw) == (404, b"")


async def test_operativus_background_jobs_show_the_queue_to_admins(api, clock):
    workflow_id = await api.create("finance_agent")
    broken = await api.create("failing_agent")
    jobs = "/api/v1/observability/background-jobs"
    for _ in range(6):
        await api.order(workflow_id)
    await api.order(broken)
    clock.forward(0.31)
    told = (await api.get(f"{jobs}?size=1")).json
    assert told["page"]["totalElements"] == 7
    assert (told["content"][0]["status"], told["content"][0]["agentId"]) == ("QUEUED", None)
    summary = (await api.get(f"{jobs}/status-summary")).json
    assert (summary["QUEUED"], summary["COMPLETED"], summary["DLQ"]) == (2, 5, 0)
    clock.forward(0.3)
    assert (await api.get(f"{jobs}/status-summary")).json["DLQ"] == 1
    assert len((await api.get(f"{jobs}?status=DLQ")).json["content"]) == 1
    user = await api.token_of("user")
    assert (await api.get(jobs, token=user)).status == 403


async def test_operativus_runs_are_an_empty_page_for_an_unknown_or_foreign_workflow(api, clock):
    workflow_id = await api.create("finance_agent")
    await api.order(workflow_id)
    clock.forward(1)
    assert await api.runs("unknown") == []
    assert await api.runs(workflow_id, token=await api.token_of("stranger")) == []


async def test_operativus_runs_are_paged_and_cut_to_200(serve, clock):
    api = await serve(clock=clock, queue_tick=0)
    workflow_id = await api.create("finance_agent")
    sessions = [await api.order(workflow_id, str(number)) for number in range(7)]
    seen = [
        run["sessionId"] for page in range(4) for run in await api.runs(workflow_id, f"?page={page}&size=2")
    ]
    assert seen == sessions[::-1]
    about = (await api.get(f"{WORKFLOWS}/{workflow_id}/runs?page=4&size=1000")).json
    assert (about["content"], about["page"]) == (
        [],
        {"size": 200, "number": 4, "totalElements": 7, "totalPages": 1},
    )
    listing = api.server.stats()["listing"]
    assert listing == {"pages": 5, "first_pages": 1, "rows": 7, "deepest": 4}


@pytest.mark.parametrize(
    ("query", "status"),
    [("size=0", 400), ("page=-1", 400), ("page=x", 500), ("size=x", 500), ("sort=x", 200)],
)
async def test_operativus_runs_refuse_other_pages_than_workflows_do(api, query, status):
    workflow_id = await api.create("finance_agent")
    assert (await api.get(f"{WORKFLOWS}/{workflow_id}/runs?{query}")).status == status


async def test_operativus_old_runs_follow_the_new_ones_and_are_always_the_same(serve, clock):
    api = await serve(clock=clock, old_runs=450, queue_tick=0)
    workflow_id = await api.create("finance_agent")
    new = [await api.order(workflow_id, str(number)) for number in range(3)]
    rows = [row for page in range(4) for row in await api.runs(workflow_id, f"?page={page}&size=200")]
    assert [row["sessionId"] for row in rows[:3]] == new[::-1]
    assert len({row["id"] for row in rows}) == len(rows) == 453
    assert {row["status"] for row in rows[3:]} == {"COMPLETED"}
    assert [row["createdAt"] for row in rows] == sorted((row["createdAt"] for row in rows), reverse=True)
    assert rows[200:400] == await api.runs(workflow_id, "?page=1&size=200")
    assert await api.runs("unknown") == []


async def test_operativus_failed_run_tells_its_step_and_its_error(api, clock):
    workflow_id = await api.create("finance_agent", "failing_agent", "assistant")
    session = await api.order(workflow_id)
    clock.forward(1)
    (run,) = await api.runs(workflow_id)
    assert (run["status"], run["lastStepOrder"]) == ("FAILED", 2)
    told = (await api.get(f"/api/sessions/{session}/runs")).json
    assert [(step["status"], step["errorMessage"]) for step in told] == [
        ("COMPLETED", None),
        ("FAILED", "agent failing_agent failed"),
    ]


async def test_operativus_shares_of_failing_and_waiting_runs_depend_on_seed_and_input(serve, clock):
    async def statuses(seed):
        api = await serve(
            clock=clock, queue_tick=0, seed=seed, fail_share=0.3, waiting_share=0.3, run_time="1-5"
        )
        workflow_id = await api.create("finance_agent", "assistant")
        for number in range(40):
            await api.order(workflow_id, f"text {number}")
        clock.forward(5)
        return await api.statuses(workflow_id), api.server.stats()["runs"]

    first, counted = await statuses(1)
    assert set(first) == {"COMPLETED", "FAILED"} or set(counted) >= {"COMPLETED", "FAILED", "PAUSED"}
    assert (first, counted) == await statuses(1)
    assert first != (await statuses(2))[0]


async def test_operativus_cancel_ends_a_run_but_not_the_step_in_flight(serve, clock):
    api = await serve(clock=clock, run_time=10)
    workflow_id = await api.create("finance_agent", "assistant")
    session = await api.order(workflow_id)
    clock.forward(2)
    (run,) = await api.runs(workflow_id)
    cancel = f"{WORKFLOWS}/runs/{run['id']}"
    assert (await api.call("DELETE", cancel, token=await api.token_of("stranger"))).status == 404
    for _ in range(2):
        assert (await api.call("DELETE", cancel)).status == 204
    clock.forward(20)
    (run,) = await api.runs(workflow_id)
    assert run["status"] == "CANCELLED"
    assert run["updatedAt"] > run["createdAt"]
    assert 1_000 < run["durationMs"] < 3_000
    assert await api.outputs(session) == ["[finance_agent] prices"]
    assert (await api.call("DELETE", f"{WORKFLOWS}/runs/unknown")).status == 404


async def test_operativus_cancel_leaves_a_run_that_is_over_as_it_is(api, clock):
    workflow_id = await api.create("finance_agent")
    await api.order(workflow_id)
    clock.forward(1)
    (run,) = await api.runs(workflow_id)
    assert (await api.call("DELETE", f"{WORKFLOWS}/runs/{run['id']}")).status == 204
    assert await api.runs(workflow_id) == [run]


async def test_operativus_starts_a_run_again_that_takes_longer_than_a_quarter_of_an_hour(serve, clock):
    api = await serve(clock=clock, run_time=1000, restarts=1)
    workflow_id = await api.create("finance_agent")
    session = await api.order(workflow_id)
    clock.forward(899)
    assert await api.statuses(workflow_id) == ["RUNNING"]
    clock.forward(2)
    first, second = (await api.runs(workflow_id))[::-1]
    assert first["sessionId"] == second["sessionId"] == session
    assert first["id"] != second["id"]
    clock.forward(500)
    assert await api.statuses(workflow_id) == ["RUNNING", "COMPLETED"]
    clock.forward(500)
    assert await api.statuses(workflow_id) == ["COMPLETED", "COMPLETED"]
    stats = api.server.stats()
    assert (stats["starts"], stats["restarts"], stats["started_twice"]) == (1, 1, [])
    assert [row["attempt"] for row in api.server.session(session)["rows"]] == [1, 2]


async def test_operativus_restart_of_the_server_leaves_rows_that_nobody_works_on(serve, clock):
    api = await serve(clock=clock, run_time=10_000, restart_after=900, restarts=5)
    workflow_id = await api.create("finance_agent", "assistant")
    await api.order(workflow_id)
    clock.forward(10)
    api.server.restart_server()
    clock.forward(895)
    assert await api.statuses(workflow_id) == ["RUNNING", "RUNNING"]
    clock.forward(7200)
    api.server.restart_server()
    assert set(await api.statuses(workflow_id)) >= {"CANCELLED", "RUNNING"}
    assert (await api.statuses(workflow_id))[-1] == "CANCELLED"


async def test_operativus_counts_orders_by_session_and_by_input(api):
    workflow_id = await api.create("finance_agent")
    for session, text in (("a", "1"), ("b", "2"), ("b", "2"), ("c", "1")):
        await api.order(workflow_id, text, sessionId=session)
    stats = api.server.stats()
    assert (stats["starts"], stats["sessions"], stats["started_twice"]) == (4, 3, ["b"])
    assert stats["inputs_started_twice"] == 2
    assert api.server.session("b")["starts"] == 2
    assert stats["requests"]["run"] == 4


async def test_operativus_takes_a_thousand_orders_at_once(serve, clock):
    api = await serve(clock=clock, run_time=30, queue_jobs=1000)
    workflow_id = await api.create("finance_agent")
    async with asyncio.TaskGroup() as group:
        for number in range(1000):
            group.create_task(api.order(workflow_id, str(number)))
    clock.forward(0.8)
    seen = [run["id"] for page in range(5) for run in await api.runs(workflow_id, f"?page={page}&size=200")]
    assert len(set(seen)) == len(seen) == 1000
    clock.forward(30)
    assert api.server.stats()["runs"] == {"COMPLETED": 1000}
