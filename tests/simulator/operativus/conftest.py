"""Fixtures: a simulated Operativus in this loop, and a plain aiohttp client for it."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from yarl import URL

from opus_async.simulator import OperativusConfig, Simulator, SimulatorConfig

WORKFLOWS = "/api/v1/workflows"
TICK = 0.3
SHARED = {"seed", "faults", "run_time", "fail_share", "waiting_share"}


@dataclass
class Reply:
    status: int
    raw: bytes
    headers: Any

    @property
    def json(self) -> Any:
        return json.loads(self.raw)


class Caller:
    """Sends requests as written, as the admin unless told otherwise; judges nothing."""

    def __init__(self, simulator: Simulator, session: aiohttp.ClientSession) -> None:
        self.server = simulator.operativus
        self.session = session

    async def call(self, method: str, path: str, body: Any = None, *, token: Any = "", **more: Any) -> Reply:
        token = self.server.token if token == "" else token
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        url = URL(self.server.base_url + path, encoded=True)
        if body is not None:
            more["json"] = body
        async with self.session.request(
            method, url, headers=headers | more.pop("headers", {}), **more
        ) as answer:
            return Reply(answer.status, await answer.read(), answer.headers)

    async def get(self, path: str, **more: Any) -> Reply:
        return await self.call("GET", path, **more)

    async def post(self, path: str, body: Any = None, **more: Any) -> Reply:
        return await self.call("POST", path, body, **more)

    async def log_in(self, username: str, password: str | None = None) -> Reply:
        password = self.server.accounts[username].password if password is None else password
        return await self.post("/api/auth/login", {"username": username, "password": password}, token=None)

    async def token_of(self, username: str) -> str:
        return (await self.log_in(username)).json["token"]

    async def create(self, *agents: str, **fields: Any) -> str:
        """Make a workflow with a step for each agent; returns its id."""
        reply = await self.post(WORKFLOWS, {"name": "Daily Market Briefing", **fields})
        assert reply.status == 201, reply.raw
        workflow_id = reply.json["id"]
        for order, agent in enumerate(agents, start=1):
            assert (await self.add(workflow_id, agentId=agent, stepOrder=order)).status == 201
        return workflow_id

    async def add(self, workflow_id: str, **step: Any) -> Reply:
        return await self.post(f"{WORKFLOWS}/{workflow_id}/steps", {"action": "Summarise.", **step})

    async def steps(self, workflow_id: str) -> Any:
        return (await self.get(f"{WORKFLOWS}/{workflow_id}/steps")).json

    async def order(self, workflow_id: str, text: str = "prices", **fields: Any) -> str:
        """Order a run; returns its session."""
        reply = await self.post(f"{WORKFLOWS}/{workflow_id}/run", {"input": text, **fields})
        assert reply.status in (200, 202), reply.raw
        return reply.json["sessionId"]

    async def runs(self, workflow_id: str, query: str = "", **more: Any) -> list[Any]:
        reply = await self.get(f"{WORKFLOWS}/{workflow_id}/runs{query}", **more)
        assert reply.status == 200, reply.raw
        return reply.json["content"]

    async def statuses(self, workflow_id: str) -> list[str]:
        return [run["status"] for run in await self.runs(workflow_id)]

    async def outputs(self, session_id: str) -> list[Any]:
        return [run["output"] for run in (await self.get(f"/api/sessions/{session_id}/runs")).json]

    async def answer(self, run_id: str, output: str = "Approved.") -> Reply:
        return await self.post(f"{WORKFLOWS}/runs/{run_id}/resume", {"output": output})


@pytest.fixture
async def serve():
    """Start an Operativus with the given settings; a run takes no time, a tick of the queue 0.3 s."""
    async with AsyncExitStack() as stack:

        async def start(*traits: str, clock=None, **fields: Any) -> Caller:
            shared = {name: fields.pop(name) for name in SHARED & set(fields)}
            config = SimulatorConfig(
                **{"run_time": 0, **shared},
                operativus=OperativusConfig(
                    **{"queue_tick": TICK, "traits": frozenset(traits), "rate_limit": None, **fields}
                ),
            )
            simulator = await stack.enter_async_context(Simulator(config, clock=clock))
            session = await stack.enter_async_context(aiohttp.ClientSession())
            return Caller(simulator, session)

        yield start


@pytest.fixture(params=["real", "documented"])
def form(request):
    """Both forms of the API, one after the other."""
    return request.param


@pytest.fixture
async def api(serve, clock):
    """An Operativus whose time a test moves itself."""
    return await serve(clock=clock)
