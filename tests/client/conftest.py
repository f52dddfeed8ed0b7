"""Fixtures: an Opus in this loop, one in a process of its own, and clients that notice ends quickly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from client_tools import settings
from handmade_opus import HandmadeOpus

from opus_async import OpusClient
from opus_async.simulator import Simulator, SimulatorConfig, SimulatorProcess
from opus_async.testing import quick_polls


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with quick_polls(0.01):
        yield


@pytest.fixture
async def simulate(_quick: None) -> AsyncIterator[Callable[..., Awaitable[Simulator]]]:
    """Start an Opus in this loop; runs take no time unless a test says otherwise."""
    async with AsyncExitStack() as stack:

        async def start(*, clock: Callable[[], float] | None = None, **fields: Any) -> Simulator:
            config = SimulatorConfig(**{"run_time": 0, "queue_time": 0, **fields})
            return await stack.enter_async_context(Simulator(config, clock=clock))

        yield start


@pytest.fixture
async def simulate_apart(_quick: None) -> AsyncIterator[Callable[..., Awaitable[SimulatorProcess]]]:
    """Start an Opus in a process of its own."""
    async with AsyncExitStack() as stack:

        async def start(**fields: Any) -> SimulatorProcess:
            return await stack.enter_async_context(SimulatorProcess(SimulatorConfig(**fields)))

        yield start


@pytest.fixture
async def handmade() -> AsyncIterator[Callable[..., Awaitable[HandmadeOpus]]]:
    """Start an Opus that misbehaves exactly as its script says."""
    async with AsyncExitStack() as stack:

        async def start(**options: Any) -> HandmadeOpus:
            return await stack.enter_async_context(HandmadeOpus(**options))

        yield start


@pytest.fixture
def api() -> str:
    """The generation that clients speak; a file that holds for both overrides this with both."""
    return "v0"


@pytest.fixture
async def connect(
    simulate: object, simulate_apart: object, handmade: object, api: str
) -> AsyncIterator[Callable[..., OpusClient]]:
    """Make a client of a simulator; closed before its server ends."""
    clients: list[OpusClient] = []

    def make(simulator: Any, *, key: str | None = None, **changes: Any) -> OpusClient:
        options = {"api": api, **settings(**changes)}
        client = OpusClient(key or simulator.service_key, base_url=simulator.base_url, **options)
        clients.append(client)
        return client

    yield make
    await asyncio.gather(*(client.close() for client in clients))
