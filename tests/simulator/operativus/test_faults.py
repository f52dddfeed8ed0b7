"""Faults on Operativus: lost orders and answers, late rows, and what a careful client makes of them."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from opus_async.simulator import PROFILES, fault_injection, faults
from opus_async.simulator.faults import Profile, Rule

WORKFLOWS = "/api/v1/workflows"
CLOSED = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError)


@pytest.fixture
def only(monkeypatch):
    """Make a profile of one fault that hits one operation the first so many times; return its name."""

    def make(operation, kind, first=1):
        profile = Profile("only", "", {operation: (Rule(kind, 1.0, first=first),)}, patience=first + 1)
        monkeypatch.setitem(PROFILES, "only", profile)
        return "only"

    return make


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(fault_injection, "SHORTEST_DELAY", 0.0)
    monkeypatch.setattr(fault_injection, "LONGEST_DELAY", 0.001)


@pytest.mark.parametrize(
    ("kind", "ordered"),
    [(faults.RESET_BEFORE, 0), (faults.RESET_AFTER, 1), (faults.TRUNCATED, 1)],
)
async def test_operativus_run_whose_answer_is_lost_is_ordered_or_not(serve, only, kind, ordered):
    api = await serve(faults=only("run", kind))
    workflow_id = await api.create("finance_agent")
    with pytest.raises(CLOSED):
        await api.order(workflow_id)
    assert api.server.stats()["starts"] == ordered
    assert api.server.stats()["faults"] == {f"run.{kind}": 1}


@pytest.mark.parametrize(
    ("kind", "ordered"), [(faults.ERROR_BEFORE, 0), (faults.UNAVAILABLE, 0), (faults.ERROR_AFTER, 1)]
)
async def test_operativus_run_that_is_answered_by_a_5xx_is_ordered_or_not(serve, only, kind, ordered):
    api = await serve(faults=only("run", kind))
    workflow_id = await api.create("finance_agent")
    reply = await api.post(f"{WORKFLOWS}/{workflow_id}/run", {"input": "x"})
    assert reply.status >= 500
    assert api.server.stats()["starts"] == ordered
    assert (await api.post(f"{WORKFLOWS}/{workflow_id}/run", {"input": "x"})).status == 202


async def test_operativus_500_is_problem_json_and_other_5xx_a_page_of_a_gateway(serve, only):
    api = await serve(faults=only("workflows", faults.ERROR_BEFORE, first=10))
    kinds = {}
    for number in range(10):
        reply = await api.get(f"{WORKFLOWS}?number={number}")
        kinds[reply.status] = reply.headers["Content-Type"].partition(";")[0]
    assert kinds.pop(500) == "application/problem+json"
    assert set(kinds.values()) == {"text/html"}


async def test_operativus_429_of_a_profile_gives_its_wait_in_whole_seconds(serve, only):
    api = await serve(faults=only("runs", faults.RATE_LIMITED))
    reply = await api.get(f"{WORKFLOWS}/any/runs")
    assert reply.status == 429
    assert reply.headers["Retry-After"] in ("0", "1")
    assert reply.json["type"] == "about:blank"


async def test_operativus_answer_to_a_pause_that_is_lost_has_its_effect(serve, only, clock):
    api = await serve(faults=only("resume", faults.RESET_AFTER), clock=clock)
    workflow_id = await api.create("approval_agent", "assistant")
    await api.order(workflow_id)
    clock.forward(1)
    (run,) = await api.runs(workflow_id)
    with pytest.raises(CLOSED):
        await api.answer(run["id"])
    clock.forward(1)
    assert await api.statuses(workflow_id) == ["COMPLETED"]


async def test_operativus_fault_after_an_effect_still_answers_what_is_refused(serve, only):
    api = await serve(faults=only("run", faults.SLOW))
    assert (await api.post(f"{WORKFLOWS}/unknown/run", {})).status == 404


async def test_operativus_queue_that_stalls_takes_rows_later_in_their_order(serve, only, clock):
    api = await serve(faults=only("queue", faults.STALLED), clock=clock, queue_jobs=2)
    PROFILES["only"].rules["queue"] = (Rule(faults.STALLED, 0.5),)
    workflow_id = await api.create("finance_agent")
    sessions = [await api.order(workflow_id, str(number)) for number in range(20)]
    seen = []
    for _ in range(11):
        clock.forward(0.301)
        seen.append(len(await api.runs(workflow_id)))
    assert seen[-1] < 20
    assert seen == sorted(seen)
    clock.forward(30)
    assert [run["sessionId"] for run in await api.runs(workflow_id)] == sessions[::-1]


class CarefulClient:
    """The least that a correct client does: repeat what is safe; order again on evidence of order only."""

    def __init__(self, api, clock):
        self.api, self.clock = api, clock

    async def ask(self, method, path, body=None):
        for _ in range(12):
            try:
                reply = await self.api.call(method, path, body)
                value = json.loads(reply.raw)
            except (*CLOSED, ValueError):
                continue
            if reply.status < 300:
                return value
        raise AssertionError(f"{method} {path} never got through")

    async def order(self, workflow_id, number):
        """Order once; returns whether that is known to have worked."""
        body = {"input": f"row {number}", "sessionId": f"session {number}"}
        try:
            reply = await self.api.post(f"{WORKFLOWS}/{workflow_id}/run", body)
        except CLOSED:
            return False
        return reply.status < 300

    async def rows(self, workflow_id):
        rows, page = {}, 0
        while True:
            told = await self.ask("GET", f"{WORKFLOWS}/{workflow_id}/runs?page={page}&size=200")
            if not told["content"]:
                return rows
            rows |= {row["sessionId"]: row["status"] for row in told["content"]}
            page += 1


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_operativus_profile_hostile_makes_a_careful_client_order_nothing_twice(
    serve, clock, monkeypatch, seed, form
):
    monkeypatch.setattr(fault_injection, "_WAITS", (0,))
    api = await serve(faults="hostile", seed=seed, form=form, clock=clock)
    client = CarefulClient(api, clock)
    workflow = await client.ask("POST", WORKFLOWS, {"id": "mine", "name": "Mine"})
    step = {"id": "step", "agentId": "finance_agent", "action": "", "stepOrder": 1}
    await client.ask("POST", f"{WORKFLOWS}/mine/steps", step)
    assert workflow["id"] == "mine"

    async with asyncio.TaskGroup() as group:
        orders = {n: group.create_task(client.order("mine", n)) for n in range(120)}
    uncertain = {number for number, order in orders.items() if not order.result()}
    assert uncertain
    # The evidence: a row that was ordered after all of them, seen.
    assert await client.order("mine", "last") or await client.order("mine", "last")
    clock.forward(60)
    shown = await client.rows("mine")
    assert "session last" in shown
    for number in uncertain:
        if f"session {number}" not in shown:
            assert await client.order("mine", number)
    clock.forward(60)
    stats = api.server.stats()
    assert stats["started_twice"] == []
    assert stats["runs"] == {"COMPLETED": 121}
    assert len(await client.rows("mine")) == 121
    assert {name for name in stats["faults"] if name.startswith("run.")} > {
        "run.reset_after",
        "run.reset_before",
    }


async def test_operativus_profile_storm_refuses_for_a_while_and_confirms_no_second_order(serve, clock):
    api = await serve(faults="storm", clock=clock)
    workflow_id = await api.create("finance_agent")
    clock.forward(1.6)
    replies = [await api.post(f"{WORKFLOWS}/{workflow_id}/run", {"input": "x"}) for _ in range(2)]
    clock.forward(2)
    again = [await api.post(f"{WORKFLOWS}/{workflow_id}/run", {"input": "x"}) for _ in range(2)]
    assert [reply.status for reply in replies] == [429, 429]
    assert [reply.status for reply in again] == [429, 429]  # the second wave turns reads away with 503
    assert (await api.get(f"{WORKFLOWS}/{workflow_id}/runs")).status == 503
    assert api.server.stats()["starts"] == 0
