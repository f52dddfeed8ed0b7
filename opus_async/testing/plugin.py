"""The pytest plugin: fixtures for tests that run workflows.

``opus_simulator``
    A simulator on loopback in its own process, one for the test session: ``.base_url``, ``.service_key``,
    ``.state()``; ``.answer(...)``, ``.fail_next(...)``, ``.delay_next(...)``, ``.pause_next(...)``,
    ``.resume(...)`` say what its workflows do, until the end of the test. Override
    ``opus_simulator_config`` to change what it is like.
``opus_client``
    An ``OpusClient`` bound to it, closed after the test. Needs pytest-asyncio.
``operativus_simulator``
    The same for Operativus: ``.base_url``, ``.token``, ``.stats()``; ``.fail_next(...)``,
    ``.delay_next(...)``, ``.pause_next(...)``. Override ``operativus_simulator_config`` to change what it
    is like.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from opus_async.testing import quick_polls

if TYPE_CHECKING:
    from opus_async import OpusClient
    from opus_async.simulator import OperativusAccess, ScriptedSimulator, SimulatorConfig

# ruff: noqa: PLC0415 - loaded in every pytest run of our users: the heavy imports wait for the first use


@pytest.fixture(scope="session")
def opus_simulator_config() -> SimulatorConfig:
    """The settings of the simulator; override it in a conftest.py to have failures, faults or slow jobs."""
    from opus_async.simulator import SimulatorConfig

    return SimulatorConfig(run_time=0.05)


@pytest.fixture(scope="session")
def opus_simulator(opus_simulator_config: SimulatorConfig) -> Iterator[ScriptedSimulator]:
    """A simulator on loopback, in its own process."""
    from opus_async.simulator import ScriptedSimulator

    with ScriptedSimulator(opus_simulator_config) as simulator:
        yield simulator


@pytest.fixture(scope="session")
def operativus_simulator_config() -> SimulatorConfig:
    """The settings of the simulated Operativus: its queue takes jobs at once, and nothing is throttled."""
    from opus_async.simulator import OperativusConfig, SimulatorConfig

    config = OperativusConfig(queue_tick=0.05, queue_jobs=100, rate_limit=None, login_limit=None)
    return SimulatorConfig(run_time=0.05, operativus=config)


@pytest.fixture(scope="session")
def operativus_simulator(operativus_simulator_config: SimulatorConfig) -> Iterator[OperativusAccess]:
    """An Operativus on loopback, in its own process."""
    from opus_async.simulator import ScriptedSimulator

    with ScriptedSimulator(operativus_simulator_config) as simulator:
        yield simulator.operativus


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """Forget what a test said that workflows do; raise what its own answers raised."""
    errors: list[BaseException] = []
    for name in ("opus_simulator", "operativus_simulator"):
        simulator: Any = getattr(item, "funcargs", {}).get(name)
        if simulator is not None and hasattr(simulator, "reset"):  # no fixture of that name by somebody else
            errors += getattr(simulator, "errors", ())
            simulator.reset()
    yield
    if errors:
        raise errors[0]


try:
    from pytest_asyncio import fixture as async_fixture
except ImportError:

    @pytest.fixture
    def opus_client() -> None:
        """Fail, and say which package is missing."""
        pytest.fail("the opus_client fixture needs pytest-asyncio: pip install pytest-asyncio")

else:

    @async_fixture(name="opus_client")
    async def _opus_client(opus_simulator: ScriptedSimulator) -> AsyncIterator[OpusClient]:
        """A client of the simulator that polls often and settles lost answers quickly."""
        from opus_async import OpusClient, RetryPolicy

        policy = RetryPolicy(base=0.02, execute_grace=0.5)
        with quick_polls():
            async with OpusClient(
                opus_simulator.service_key, base_url=opus_simulator.base_url, retry=policy
            ) as client:
                yield client
