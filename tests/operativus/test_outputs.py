"""What a run gave: from its session, else from its nodes, else nothing, and said so."""

from __future__ import annotations

import asyncio
import logging

import pytest
from client_tools import until
from handmade_operativus import WORKFLOW, Reply, problem

from opus_async import Notice


async def test_outputs_of_a_user_who_may_not_see_sessions_come_from_nodes(simulate, connect, briefing):
    server = await simulate(traits={"node_runs_always"}, run_time=0.05)
    workflow_id = await briefing(connect(server))
    user = server.accounts["user"]
    client = connect(server, username=user.username, password=user.password)
    outcome = await client.run(workflow_id, "prices")
    assert outcome.outputs["output"] == "[review_agent] [writer_agent] prices"
    assert outcome.notices == ()


async def test_outputs_that_nobody_tells_are_said_to_be_missing(simulate, connect, briefing, caplog):
    caplog.set_level(logging.WARNING)
    server = await simulate()
    workflow_id = await briefing(connect(server))
    user = server.accounts["user"]
    client = connect(server, username=user.username, password=user.password)
    outcome = await client.run(workflow_id, "prices")
    assert outcome.ok
    assert outcome.outputs == {}
    assert outcome.notices == (Notice.OUTPUTS_NOT_TOLD,)
    assert outcome.to_dict()["notices"] == ["outputs_not_told"]
    assert "does not tell this user what it gave" in caplog.text


@pytest.mark.parametrize("trait", ["session_runs_missing", "node_runs_missing", "session_runs_newest_first"])
async def test_outputs_where_an_endpoint_is_absent_or_listed_otherwise(simulate, connect, briefing, trait):
    server = await simulate(traits={trait, "node_runs_always"}, run_time=0.05)
    client = connect(server)
    outcome = await client.run(await briefing(client), "prices")
    if trait != "session_runs_missing":
        assert outcome.outputs["output"] == "[review_agent] [writer_agent] prices"
    assert outcome.ok


async def test_outputs_endpoints_that_refuse_are_soon_not_asked_any_more(simulate, connect, briefing):
    server = await simulate(traits={"session_runs_missing", "node_runs_missing"})
    client = connect(server)
    workflow_id = await briefing(client)
    outcomes = [
        outcome async for outcome in client.run_many(workflow_id, map(str, range(30)), max_in_flight=2)
    ]
    assert all(outcome.ok for outcome in outcomes)
    requests = server.stats()["requests"]
    assert requests["session_runs"] + requests["node_runs"] < 20


async def test_outputs_that_cannot_be_read_are_no_failure_of_the_run(handmade, connect):
    server = await handmade({"session_runs": [Reply(200, {"no": "list"})], "node_runs": [Reply(404)]})
    outcome = await connect(server).run(WORKFLOW, "prices")
    assert outcome.ok
    assert outcome.notices == (Notice.OUTPUTS_NOT_TOLD,)


async def test_completed_run_whose_outputs_could_not_be_asked_for_says_so(handmade, connect):
    """It was billed: it is not taken for a failure of the job."""
    server = await handmade({"session_runs": [problem(500, "down")] * 99})
    outcome = await connect(server, retry={"attempts": 2}).run(WORKFLOW, "prices")
    assert (outcome.status, outcome.ok) == ("COMPLETED", False)
    assert outcome.error.stage == "outputs"


async def test_failed_run_whose_audit_could_not_be_asked_for_is_a_failed_run(handmade, connect):
    server = await handmade({"session_runs": [problem(500, "down")] * 99}, shows="FAILED")
    outcome = await connect(server, retry={"attempts": 2}).run(WORKFLOW, "prices")
    assert outcome.status == "FAILED"
    assert "FAILED" in str(outcome.error)


async def test_run_that_the_server_started_again_is_over_when_none_is_open(handmade, connect):
    """Longer than a quarter of an hour: another row in the same session, and both are told."""
    server = await handmade(shows="RUNNING")
    client = connect(server)
    running = asyncio.ensure_future(client.run(WORKFLOW, "prices", timeout=20))
    await until(lambda: server.counts["runs"] > 4)
    (session,) = server.orders
    first = server.row_of(session)
    second = server.show(session, "COMPLETED")
    looks = server.counts["runs"]
    await until(lambda: server.counts["runs"] > looks + 4)
    assert not running.done()
    first["status"] = "CANCELLED"
    outcome = await running
    assert outcome.ok
    assert outcome.results["id"] == second["id"]
    assert outcome.notices == (Notice.RUN_AGAIN_BY_PLATFORM, Notice.OUTPUTS_NOT_TOLD)
    assert [entry.actor for entry in outcome.audit.trail] == [f"run {first['id']}", f"run {second['id']}"]


async def test_run_that_the_server_really_starts_again_is_told_once(simulate, connect, briefing, form):
    server = await simulate(form=form, restart_after=0.3, restarts=1, run_time=1.0)
    client = connect(server)
    outcome = await client.run(await briefing(client, "writer_agent"), "prices", timeout=20)
    assert outcome.ok
    assert Notice.RUN_AGAIN_BY_PLATFORM in outcome.notices
    assert len(outcome.audit.trail) == 2
    assert server.stats()["started_twice"] == []
