"""Fixtures: a real Opus in this loop, and clients that notice ends quickly."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from client_tools import settings

from opus_async import OpusClient
from opus_async.simulator import Simulator, SimulatorConfig
from opus_async.testing import quick_polls


@pytest.fixture
async def simulate() -> AsyncIterator[Callable[..., Awaitable[Simulator]]]:
    """Start an Opus in this loop."""
    async with AsyncExitStack() as stack:
        stack.enter_context(quick_polls(0.01))

        async def start(**fields: Any) -> Simulator:
            return await stack.enter_async_context(
                Simulator(SimulatorConfig(**{"run_time": 0, "queue_time": 0, **fields}))
            )

        yield start


@pytest.fixture
async def connect(simulate: object) -> AsyncIterator[Callable[..., OpusClient]]:
    """Make a client of a simulator; closed before its server ends."""
    async with AsyncExitStack() as stack:

        def make(simulator: Simulator, listener: Any, **changes: Any) -> OpusClient:
            client = OpusClient(
                simulator.service_key,
                base_url=simulator.base_url,
                api="v0",
                listeners=[listener],
                **settings(**changes),
            )
            stack.push_async_callback(client.close)
            return client

        yield make
