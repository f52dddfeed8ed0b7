"""Fixtures: an Opus in this loop, and clients that do not make a test wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from batch_tools import settings

from opus_async import OpusClient
from opus_async.simulator import Simulator, SimulatorConfig
from opus_async.testing import quick_polls


@pytest.fixture
def _quick() -> Iterator[None]:
    with quick_polls(0.01):
        yield


@pytest.fixture
async def simulate(_quick: None) -> AsyncIterator[Callable[..., Awaitable[Simulator]]]:
    """Start an Opus in this loop; runs take no time unless a test says otherwise."""
    async with AsyncExitStack() as stack:

        async def start(**fields: Any) -> Simulator:
            config = SimulatorConfig(**{"run_time": 0.05, "queue_time": 0, **fields})
            return await stack.enter_async_context(Simulator(config))

        yield start


@pytest.fixture
async def connect(simulate: object) -> AsyncIterator[Callable[..., OpusClient]]:
    """Make a client of a simulator; closed before its server ends."""
    clients: list[OpusClient] = []

    def make(simulator: Any, *, key: str | None = None, **changes: Any) -> OpusClient:
        options = {"base_url": simulator.base_url, **settings(**changes)}
        client = OpusClient(key or simulator.service_key, **options)
        clients.append(client)
        return client

    yield make
    await asyncio.gather(*(client.close() for client in clients))
