"""A forked child does not use its parent's client: its connections are the parent's."""

from __future__ import annotations

import os

import pytest
from forks import in_a_fork, needs_fork

from opus_async import OpusClient
from opus_async.errors import ConfigurationError
from opus_async.simulator import SimulatorConfig, SimulatorProcess

TEXT = "T3xtOnlyWorkfl0w"
pytestmark = needs_fork


async def many(opus):
    async with opus.run_many(TEXT, [{"Text": "x"}]) as stream:
        return [outcome async for outcome in stream]


CALLS = {
    "run": lambda opus: opus.run(TEXT, {"Text": "x"}),
    "run_many": many,
    "workflows.get": lambda opus: opus.workflows.get(TEXT),
    "jobs.initiate": lambda opus: opus.jobs.initiate(TEXT, title="x", description="x"),
    "jobs.execute": lambda opus: opus.jobs.execute("1", {}),
    "jobs.status": lambda opus: opus.jobs.status("1"),
    "jobs.wait": lambda opus: opus.jobs.wait("1"),
    "files.upload": lambda opus: opus.files.upload(b"x", filename="x.txt"),
    "files.download": lambda opus: opus.files.download("http://127.0.0.1:9/x", "nowhere"),
}


@pytest.fixture(scope="module")
def simulator():
    with SimulatorProcess(SimulatorConfig(run_time=0.05, queue_time=0)) as process:
        yield process


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("used", [False, True])
async def test_fork_child_using_parents_client_raises(simulator, call, used):
    async with OpusClient(simulator.service_key, base_url=simulator.base_url) as opus:
        if used:
            await opus.workflows.get(TEXT)
        before = simulator.state()["counters"]["requests"]
        error = in_a_fork(lambda: CALLS[call](opus))
        assert isinstance(error, ConfigurationError), error
        assert f"was made by process {os.getpid()}" in str(error)
        assert simulator.state()["counters"]["requests"] == before
        assert (await opus.run(TEXT, {"Text": "x"})).ok


async def test_fork_child_closing_parents_client_keeps_parents_connection(simulator):
    async with OpusClient(simulator.service_key, base_url=simulator.base_url) as opus:

        async def leave():
            await opus.close()
            return repr(opus)

        await opus.workflows.get(TEXT)
        assert "closed" in in_a_fork(leave)
        assert (await opus.run(TEXT, {"Text": "x"})).ok
        assert len(opus._network.http._session.open().connector._conns) == 1


async def test_fork_child_can_make_its_own_client(simulator):
    async def work():
        async with OpusClient(simulator.service_key, base_url=simulator.base_url) as opus:
            return (await opus.run(TEXT, {"Text": "x"})).ok

    async with OpusClient(simulator.service_key, base_url=simulator.base_url) as opus:
        await opus.workflows.get(TEXT)
        assert in_a_fork(work) is True
        assert (await opus.run(TEXT, {"Text": "x"})).ok
