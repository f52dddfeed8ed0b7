"""Fixtures: an Operativus in this loop, simulated or made by hand, and clients that notice ends quickly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from client_tools import settings
from handmade_operativus import TOKEN, HandmadeOperativus

from opus_async.operativus import OperativusClient, Step, start_judge
from opus_async.operativus.listing import listing
from opus_async.simulator import OperativusConfig, Simulator, SimulatorConfig
from opus_async.simulator.operativus.access import OperativusAccess
from opus_async.testing import quick_polls

_OF_BOTH = {"seed", "faults", "run_time", "fail_share", "waiting_share"}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(listing, "APART", 0.01)
    monkeypatch.setattr(start_judge, "VISIBLE_FOR", 0.0)
    with quick_polls(0.01):
        yield


@pytest.fixture(params=["real", "documented"])
def form(request: pytest.FixtureRequest) -> str:
    """Tests that use it hold for servers of both forms."""
    return request.param


@pytest.fixture
async def simulate(_quick: None) -> AsyncIterator[Callable[..., Awaitable[OperativusAccess]]]:
    """Start an Operativus in this loop; its queue takes everything at once unless a test says otherwise."""
    async with AsyncExitStack() as stack:

        async def start(**fields: Any) -> OperativusAccess:
            shared = {name: fields.pop(name) for name in _OF_BOTH & set(fields)}
            fields.setdefault("queue_tick", 0)
            fields.setdefault("rate_limit", None)
            fields["traits"] = frozenset(fields.get("traits", ()))
            config = SimulatorConfig(**{"run_time": 0, **shared}, operativus=OperativusConfig(**fields))
            return (await stack.enter_async_context(Simulator(config))).operativus

        yield start


@pytest.fixture
async def handmade() -> AsyncIterator[Callable[..., Awaitable[HandmadeOperativus]]]:
    """Start an Operativus that misbehaves exactly as its script says."""
    async with AsyncExitStack() as stack:

        async def start(*script: Any, **options: Any) -> HandmadeOperativus:
            return await stack.enter_async_context(HandmadeOperativus(*script, **options))

        yield start


@pytest.fixture
async def connect(simulate: object, handmade: object) -> AsyncIterator[Callable[..., OperativusClient]]:
    """Make a client of a server; closed before its server ends."""
    clients: list[OperativusClient] = []

    def make(server: Any, *, token: str | None = None, **changes: Any) -> OperativusClient:
        options = settings(**changes)
        if "username" not in options:
            options["token"] = token or getattr(server, "token", TOKEN)
        client = OperativusClient(server.base_url, **options)
        clients.append(client)
        return client

    yield make
    await asyncio.gather(*(client.close() for client in clients))


@pytest.fixture
def briefing() -> Callable[..., Awaitable[str]]:
    """Make a workflow of so many steps; returns its id."""

    async def make(client: OperativusClient, *agents: str) -> str:
        steps = [Step(agent, "Summarise.") for agent in agents or ("writer_agent", "review_agent")]
        return (await client.workflows.create("Briefing", steps=steps)).id

    return make
