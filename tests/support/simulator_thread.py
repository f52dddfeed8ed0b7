"""A simulator in a thread of this process: it starts without the third of a second that a process takes."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Self

from opus_async.simulator import Simulator, SimulatorConfig
from opus_async.simulator.operativus.access import OperativusAccess


class SimulatorThread:
    """What `SimulatorProcess` is, for tests that block; use it as a context manager.

    Not for tests that end it midway, and not where its CPU time must be apart from the client's.
    """

    def __init__(self, config: SimulatorConfig) -> None:
        self._simulator = Simulator(config)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="simulator")

    @property
    def base_url(self) -> str:
        return self._simulator.base_url

    @property
    def service_key(self) -> str:
        return self._simulator.service_key

    @property
    def operativus(self) -> OperativusAccess:
        """Of the Operativus beside it only where it is, and who may use it: it is told things in its loop."""
        return self._simulator.operativus

    def state(self, *, jobs: str = "1") -> dict[str, Any]:
        """What GET /_simulator/state answers."""

        async def state() -> dict[str, Any]:
            return self._simulator.state(jobs=jobs)

        return self._do(state())

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._simulator.start())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._simulator.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)
