"""Fixtures: an Opus in this loop and a client of it, whose requests are counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable

import pytest
from typed_modules import written

from opus_async import OpusClient, RequestSent
from opus_async.simulator import Simulator, SimulatorConfig
from opus_async.testing import quick_polls


@pytest.fixture
def sent() -> Counter[str]:
    """Operation -> how many requests of it were answered."""
    return Counter()


@pytest.fixture
async def opus(sent: Counter[str]) -> AsyncIterator[OpusClient]:
    def count(event: object) -> None:
        if isinstance(event, RequestSent):
            sent[event.operation] += 1

    with quick_polls(0.01):
        async with (
            Simulator(SimulatorConfig(run_time=0, queue_time=0)) as simulator,
            OpusClient(simulator.service_key, base_url=simulator.base_url, listeners=[count]) as client,
        ):
            yield client


@pytest.fixture
def module_of(opus: OpusClient) -> Callable[..., object]:
    """The module of a workflow of the simulator."""

    async def make(workflow_id: str) -> object:
        return written(await opus.workflows.get(workflow_id))

    return make
