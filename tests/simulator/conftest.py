"""Fixtures: a simulator in this loop, a plain aiohttp client for it, and a clock that a test moves itself."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from yarl import URL

from opus_async.simulator import Simulator, SimulatorConfig

TEXT_ID = "T3xtOnlyWorkfl0w"
TEXT_INPUT = "workflow_input_t3xtinput"


class HandClock:
    """Epoch seconds that move only when a test moves them."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Reply:
    status: int
    raw: bytes
    headers: Any

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def message(self) -> Any:
        return self.json["message"]

    @property
    def code(self) -> str:
        """The error code of an S3 answer."""
        return self.raw.decode().partition("<Code>")[2].partition("</Code>")[0]


class Caller:
    """Sends requests as written; judges nothing."""

    def __init__(self, simulator: Any, session: aiohttp.ClientSession) -> None:
        self.simulator = simulator
        self.session = session

    async def call(self, method: str, path: str, body: Any = None, **more: Any) -> Reply:
        headers = more.pop("headers", {"x-service-key": self.simulator.service_key})
        url = URL(self.simulator.base_url + path, encoded=True)
        options = {"allow_redirects": False, "headers": headers, **more}
        if body is not None:
            options["json"] = body
        async with self.session.request(method, url, **options) as answer:
            return Reply(answer.status, await answer.read(), answer.headers)

    async def get(self, path: str, **more: Any) -> Reply:
        return await self.call("GET", path, **more)

    async def post(self, path: str, body: Any = None, **more: Any) -> Reply:
        return await self.call("POST", path, body, **more)

    async def put(self, url: str, data: Any, *, method: str = "PUT", **headers: str) -> Reply:
        async with self.session.request(
            method,
            URL(url, encoded=True),
            data=data,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
            skip_auto_headers=["Content-Type"],
        ) as answer:
            return Reply(answer.status, await answer.read(), answer.headers)

    async def initiate(self, workflow_id: str = TEXT_ID, title: str = "a title") -> str:
        reply = await self.post(
            "/job/initiate", {"workflowId": workflow_id, "title": title, "description": "a description"}
        )
        assert reply.status == 201, reply.raw
        return str(reply.json["jobExecutionId"])

    async def presign(self, extension: str = ".txt", **fields: Any) -> dict[str, str]:
        reply = await self.post(
            "/job/file/upload", {"fileExtension": extension, "accessScope": "organization", **fields}
        )
        assert reply.status == 201, reply.raw
        return reply.json

    async def upload(self, data: bytes, extension: str = ".txt") -> str:
        slot = await self.presign(extension)
        reply = await self.put(slot["presignedUrl"], data)
        assert reply.status == 200, reply.raw
        return slot["fileUrl"]

    async def execute(self, job_id: str, payload: dict[str, Any] | None = None, **fields: Any) -> Reply:
        payload = payload or {TEXT_INPUT: {"value": "hello", "type": "str", "displayName": "Text"}}
        return await self.post(
            "/job/execute", {"jobExecutionId": job_id, "jobPayloadSchemaInstance": payload, **fields}
        )

    async def status(self, job_id: str) -> str:
        return (await self.get(f"/job/{job_id}/status")).json["status"]

    async def results(self, job_id: str) -> dict[str, Any]:
        reply = await self.get(f"/job/{job_id}/results")
        assert reply.status == 200, reply.raw
        outputs = reply.json["jobResultsPayloadSchema"].values()
        return {output["displayName"]: output["value"] for output in outputs}

    async def run(self, workflow_id: str, payload: dict[str, Any]) -> dict[str, Any]:
        job_id = await self.initiate(workflow_id)
        reply = await self.execute(job_id, payload)
        assert reply.status == 201, reply.raw
        return await self.results(job_id)


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
async def serve():
    """Start a simulator with the given configuration; a run takes no time unless a test says otherwise."""
    async with AsyncExitStack() as stack:

        async def start(*, clock=None, **fields) -> Caller:
            config = SimulatorConfig(**{"run_time": 0, "queue_time": 0, **fields})
            simulator = await stack.enter_async_context(Simulator(config, clock=clock))
            session = await stack.enter_async_context(aiohttp.ClientSession())
            return Caller(simulator, session)

        yield start
    # Nothing of the simulator outlives it.
    assert {task for task in asyncio.all_tasks() if not task.done()} <= {asyncio.current_task()}


@pytest.fixture
async def api(serve):
    return await serve()
