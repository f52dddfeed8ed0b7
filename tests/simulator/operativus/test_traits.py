"""Each trait of Operativus is one named departure: what it changes, and that nothing does so without it."""

from __future__ import annotations

import re

import pytest

from opus_async.simulator.operativus.traits import FORMS, TRAITS
from opus_async.simulator.traits import TRAITS as OPUS_TRAITS

WORKFLOWS = "/api/v1/workflows"
CHECKS = {}


def check(trait, **settings):
    """Register the check of a trait: an async function that returns whether a server shows it."""

    def register(function):
        CHECKS[trait] = function, settings
        return function

    return register


async def finished(api, clock, *agents):
    """Return the row of a run that is over."""
    workflow_id = await api.create(*(agents or ("assistant", "writer_agent")))
    await api.order(workflow_id)
    clock.forward(60)
    return (await api.runs(workflow_id))[0]


async def in_flight(api, clock, after=1.0):
    workflow_id = await api.create("assistant", "writer_agent")
    await api.order(workflow_id)
    clock.forward(after)
    return (await api.runs(workflow_id))[0]


@check("flat_pages")
async def _(api, clock):
    page = (await api.get(WORKFLOWS)).json
    return "page" not in page and page["number"] == 0


@check("steps_inline")
async def _(api, clock):
    told = (await api.get(f"{WORKFLOWS}/{await api.create('assistant')}")).json
    return "stepCount" not in told and len(told["steps"]) == 1


@check("steps_stored")
async def _(api, clock):
    workflow_id = await api.create(steps=[{"agentId": "assistant", "action": "x"}])
    return [step["stepOrder"] for step in await api.steps(workflow_id)] == [1]


@check("short_steps")
async def _(api, clock):
    (step,) = await api.steps(await api.create("assistant"))
    return set(step) == {"id", "stepOrder", "agentId", "action"}


@check("current_step_order")
async def _(api, clock):
    return (await finished(api, clock)).get("currentStepOrder", 0) is None


@check("duration_null", run_time=10)
async def _(api, clock):
    return (await in_flight(api, clock))["durationMs"] is None


@check("updated_moves", run_time=10)
async def _(api, clock):
    row = await finished(api, clock)
    return row["durationMs"] == 10_000 and row["updatedAt"] > row["createdAt"]


@check("zulu_times")
async def _(api, clock):
    return bool(re.fullmatch(r"[-\d]+T[:\d]{8}Z", (await finished(api, clock))["createdAt"]))


@check("run_200")
async def _(api, clock):
    return (await api.post(f"{WORKFLOWS}/{await api.create('assistant')}/run", {})).status == 200


@check("short_ids")
async def _(api, clock):
    return (await api.create()).startswith("wf_")


@check("ragged_times")
async def _(api, clock):
    digits = set()
    for _ in range(60):
        clock.forward(0.123456)
        told = (await api.get(f"{WORKFLOWS}/{await api.create()}")).json["createdAt"]
        digits.add(len(told.partition(".")[2]))
    return digits >= {0, 1, 8, 9}


@check("clock_ahead")
async def _(api, clock):
    (await api.create())
    hours = int((await api.get(WORKFLOWS)).json["content"][0]["createdAt"][11:13])
    return (hours - int(clock.now / 3600)) % 24 == 2


@check("rows_at_once")
async def _(api, clock):
    return (await api.statuses(await ordered(api))) == ["QUEUED"]


async def ordered(api, text="x"):
    workflow_id = await api.create("assistant")
    await api.order(workflow_id, text)
    return workflow_id


@check("rows_shuffled", queue_jobs=50)
async def _(api, clock):
    workflow_id = await api.create("assistant")
    sessions = [await api.order(workflow_id, str(number)) for number in range(50)]
    clock.forward(1)
    shown = [run["sessionId"] for run in await api.runs(workflow_id, "?size=50")]
    return shown != sessions[::-1] and sorted(shown) == sorted(sessions)


@check("queue_stalls")
async def _(api, clock):
    workflow_id = await api.create("assistant")
    for number in range(60):
        await api.order(workflow_id, str(number))
    clock.forward(12 * 0.3 + 0.1)
    return len(await api.runs(workflow_id, "?size=60")) < 60


@check("real_queue")
async def _(api, clock):
    workflow_id = await ordered(api)
    clock.forward(29)
    early = await api.runs(workflow_id)
    clock.forward(2)
    return (early, len(await api.runs(workflow_id))) == ([], 1)


@check("rows_shift", queue_tick=0)
async def _(api, clock):
    workflow_id = await api.create("assistant")
    sessions = [await api.order(workflow_id, str(number)) for number in range(30)]
    seen, page = [], 0
    while rows := await api.runs(workflow_id, f"?page={page}&size=4"):
        seen += [row["sessionId"] for row in rows if row["sessionId"] in sessions]
        page += 1
    assert set(seen) == set(sessions)  # a row moves on, and is never passed over
    return len(seen) > len(sessions)


@check("run_status_created", run_time=10)
async def _(api, clock):
    row = await in_flight(api, clock)
    clock.forward(1.2)
    later = await api.statuses(row["workflowId"])
    clock.forward(1.5)
    return [row["status"], *later, *await api.statuses(row["workflowId"])] == [
        "CREATED",
        "PENDING",
        "RUNNING",
    ]


@check("run_status_processing", run_time=10)
async def _(api, clock):
    workflow_id = await api.create("approval_agent", "assistant")
    await api.order(workflow_id)
    clock.forward(3)
    before = await api.statuses(workflow_id)
    clock.forward(5)
    await api.answer((await api.runs(workflow_id))[0]["id"])
    clock.forward(2)
    return before + await api.statuses(workflow_id) == ["PROCESSING", "APPROVED"]


@check("run_status_lowercase")
async def _(api, clock):
    return (await finished(api, clock))["status"] == "completed"


@check("run_status_strange", run_time=10)
async def _(api, clock):
    return (await in_flight(api, clock))["status"] == "REHEATING"


@check("fails_as_rejected")
async def _(api, clock):
    return (await finished(api, clock, "failing_agent"))["status"] == "REJECTED"


@check("fails_as_cancelled")
async def _(api, clock):
    return (await finished(api, clock, "failing_agent"))["status"] == "CANCELLED"


@check("human_review")
async def _(api, clock):
    return (await finished(api, clock, "approval_agent"))["status"] == "AWAITING_HUMAN_REVIEW"


@check("pause_expired", pause_expiry=30)
async def _(api, clock):
    return (await finished(api, clock, "approval_agent"))["status"] == "EXPIRED"


@check("routers_on")
async def _(api, clock):
    workflow_id = await api.create()
    config = {"selectorType": "HITL", "choices": {"a": "x"}}
    await api.add(workflow_id, action="ROUTER", stepOrder=1, routerConfig=config)
    await api.order(workflow_id)
    clock.forward(1)
    return await api.statuses(workflow_id) == ["AWAITING_ROUTE_SELECTION"]


@check("session_must_exist")
async def _(api, clock):
    run = f"{WORKFLOWS}/{await api.create('assistant')}/run"
    fresh = await api.post(run, {"sessionId": "fresh"})
    known = await api.post(run, {"sessionId": (await api.post(run, {})).json["sessionId"]})
    return (fresh.status, known.status) == (404, 202)


@check("session_runs_missing")
async def _(api, clock):
    row = await finished(api, clock)
    return (await api.get(f"/api/sessions/{row['sessionId']}/runs")).status == 404


@check("session_runs_newest_first")
async def _(api, clock):
    row = await finished(api, clock)
    return (await api.outputs(row["sessionId"]))[0].startswith("[writer_agent]")


@check("node_runs_always")
async def _(api, clock):
    row = await finished(api, clock)
    return len((await api.get(f"{WORKFLOWS}/runs/{row['id']}/node-runs")).json) == 2


@check("node_runs_missing")
async def _(api, clock):
    row = await finished(api, clock)
    return (await api.get(f"{WORKFLOWS}/runs/{row['id']}/node-runs")).status == 404


@check("jobs_answer")
async def _(api, clock):
    workflow_id = await api.create("approval_agent")
    job = (await api.post(f"{WORKFLOWS}/{workflow_id}/run", {})).json["jobId"]
    clock.forward(1)
    reply = await api.get(f"/api/jobs/{job}")
    return reply.status == 200 and reply.json["status"] == "COMPLETED"


@check("body_id_ignored")
async def _(api, clock):
    return (await api.create(id="mine")) != "mine"


@check("order_from_one")
async def _(api, clock):
    reply = await api.add(await api.create(), agentId="assistant", stepOrder=0)
    return reply.status == 400 and reply.json["invalidParams"][0]["field"] == "stepOrder"


@check("renamed_agents")
async def _(api, clock):
    return (await api.add(await api.create(), agentId="finance_agent", stepOrder=1)).status == 404


@check("budget_exhausted")
async def _(api, clock):
    row = await finished(api, clock)
    (step,) = (await api.get(f"/api/sessions/{row['sessionId']}/runs")).json[:1]
    return (row["status"], step["errorMessage"]) == ("FAILED", "Daily Budget Exhausted")


@check("run_402")
async def _(api, clock):
    return (await api.post(f"{WORKFLOWS}/{await api.create('assistant')}/run", {})).status == 402


@check("throttled_minute", rate_limit=1)
async def _(api, clock):
    replies = [await api.get(WORKFLOWS) for _ in range(2)]
    return replies[1].headers["Retry-After"] == "60"


@check("errors_empty")
async def _(api, clock):
    replies = [await api.post(WORKFLOWS, {}), await api.get(WORKFLOWS, token=None)]
    return [(reply.status, reply.raw) for reply in replies] == [(409, b""), (401, b"")]


@check("problem_404")
async def _(api, clock):
    reply = await api.get(f"{WORKFLOWS}/unknown")
    return reply.headers.get("Content-Type") == "application/problem+json" and reply.json["status"] == 404


def test_operativus_checks_cover_every_trait():
    assert set(CHECKS) == set(TRAITS)


def test_operativus_traits_are_told_from_those_of_opus():
    assert not set(TRAITS) & set(OPUS_TRAITS)
    assert FORMS["documented"] == {name for name, what in TRAITS.items() if "(documented" in what}


@pytest.mark.parametrize("trait", sorted(CHECKS))
async def test_operativus_trait_changes_what_it_says(serve, clock, trait):
    shows, settings = CHECKS[trait]
    assert await shows(await serve(trait, clock=clock, **settings), clock)


@pytest.mark.parametrize("trait", sorted(CHECKS))
async def test_operativus_without_the_trait_is_otherwise(serve, clock, trait):
    shows, settings = CHECKS[trait]
    assert not await shows(await serve(clock=clock, **settings), clock)


@pytest.mark.parametrize("trait", sorted(FORMS["documented"]))
async def test_operativus_documented_form_has_the_trait(serve, clock, trait):
    shows, settings = CHECKS[trait]
    assert await shows(await serve(clock=clock, form="documented", **settings), clock)
