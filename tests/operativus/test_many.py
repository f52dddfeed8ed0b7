"""Many runs at once: one list answers for all of them, behind a queue and through lost answers."""

from __future__ import annotations

import asyncio
import time

import pytest

from opus_async import Limits
from opus_async.jobs import start
from opus_async.operativus.listing import listing, source
from opus_async.simulator import OperativusConfig, SimulatorConfig, SimulatorProcess

UNLIMITED = Limits(max_in_flight=2000, api_rate=100_000)
A_FIFTH_OF_A_SECOND = 0.2


@pytest.fixture
def real_pace(monkeypatch):
    """Lists are read as often as on a real server, and no more often."""
    monkeypatch.setattr(listing, "APART", A_FIFTH_OF_A_SECOND)


async def test_thousand_runs_in_flight_are_followed_by_few_pages(connect, briefing, form, real_pace):
    """A server that takes 100 jobs each 0.3 s: ten ticks, and five pages hold all that is in flight."""
    config = OperativusConfig(form=form, queue_jobs=100, queue_tick=0.3, rate_limit=None, old_runs=3000)
    async with SimulatorProcess(SimulatorConfig(run_time=1.0, operativus=config)) as simulator:
        server = simulator.operativus
        client = connect(server, limits=UNLIMITED)
        workflow_id = await briefing(client, "writer_agent")
        runs = client._source.of(workflow_id).listing
        most = 0
        began = time.monotonic()
        async for outcome in client.run_many(workflow_id, map(str, range(1000)), max_in_flight=1000):
            assert outcome.ok
            most = max(most, sum(len(each.rows) for each in runs._tracked.values()))
        took = time.monotonic() - began
        told = await asyncio.to_thread(server.stats)
        await client.close()
    assert told["starts"] == told["runs"]["COMPLETED"] == 1000
    assert told["started_twice"] == []
    ticks = took / config.queue_tick
    assert told["listing"]["pages"] <= min(5 * ticks, 130)
    assert most <= 1000
    assert runs.is_idle
    assert not runs._remembered


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 12))])
async def test_rows_behind_a_slow_queue_with_lost_answers_run_once_each(
    simulate, connect, briefing, monkeypatch, seed
):
    """200 rows behind a queue of 5 a tick: an order that got no answer shows many graces later, or never."""
    monkeypatch.setattr(start, "RECHECK_DELAY", 0.05)
    server = await simulate(seed=seed, faults="hostile", queue_jobs=5, queue_tick=0.1)
    client = connect(server, limits=UNLIMITED, retry={"attempts": 24, "execute_grace": 0.2, "max_elapsed": 5})
    workflow_id = await briefing(client, "writer_agent")
    outcomes = [each async for each in client.run_many(workflow_id, map(str, range(200)))]
    told = server.stats()
    assert [str(each.error) for each in outcomes if not each.ok] == []
    assert told["started_twice"] == []
    assert told["inputs_started_twice"] == 0
    assert told["starts"] == told["runs"]["COMPLETED"] == 200
    assert any(name.startswith("run.") for name in told["faults"])


async def test_single_runs_share_readings_as_the_rows_of_one_stream_do(
    simulate, connect, briefing, form, real_pace
):
    server = await simulate(form=form, queue_tick=0.5, queue_jobs=60, run_time=1.0)
    workflow_id = await briefing(connect(server), "writer_agent")
    pages = []
    for run_all in (_one_by_one, _in_a_stream):
        client = connect(server, limits=UNLIMITED)
        before, began = server.stats()["listing"]["first_pages"], time.monotonic()
        await run_all(client, workflow_id)
        pages.append(server.stats()["listing"]["first_pages"] - before)
        assert pages[-1] <= (time.monotonic() - began) / A_FIFTH_OF_A_SECOND + 2
    assert pages[0] <= 2 * pages[1] + 2, pages


async def _one_by_one(client, workflow_id):
    outcomes = await asyncio.gather(*(client.run(workflow_id, f"single {number}") for number in range(60)))
    assert all(outcome.ok for outcome in outcomes)


async def _in_a_stream(client, workflow_id):
    rows = client.run_many(workflow_id, (f"row {number}" for number in range(60)))
    assert all([outcome.ok async for outcome in rows])


async def test_memory_follows_runs_in_flight_and_not_rows(simulate, connect, briefing):
    client = connect(await simulate(), limits=UNLIMITED)
    workflow_id = await briefing(client, "writer_agent")
    runs, most = client._source.of(workflow_id), 0
    async for outcome in client.run_many(workflow_id, map(str, range(300)), max_in_flight=30):
        assert outcome.ok
        most = max(most, len(runs.listing._tracked), len(runs.starts._starts))
    assert most <= 30
    assert not runs.listing._remembered


async def test_runs_of_many_workflows_are_forgotten_when_they_are_idle(
    simulate, connect, briefing, monkeypatch
):
    monkeypatch.setattr(source, "WORKFLOWS", 4)
    client = connect(await simulate())
    for _ in range(8):
        assert (await client.run(await briefing(client, "writer_agent"), "prices")).ok
    assert len(client._source._workflows) <= 4
