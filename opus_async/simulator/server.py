"""The servers of a simulator on the running event loop: Opus's API, its storage, and Operativus."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import sys
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, Protocol, Self

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from opus_async.simulator.config import SimulatorConfig
from opus_async.simulator.gate import Gate
from opus_async.simulator.operativus.access import OperativusAccess
from opus_async.simulator.operativus.gate import OperativusGate
from opus_async.simulator.operativus.state import snapshot as operativus_snapshot
from opus_async.simulator.operativus.world import OperativusState
from opus_async.simulator.state import snapshot
from opus_async.simulator.storage import Storage
from opus_async.simulator.workflow_file import read_workflow
from opus_async.simulator.world import SimulatorState, steady_clock

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable
    from types import TracebackType

    from opus_async.simulator.answers import Answer

# How long requests in flight may go on when the simulator ends; it promises to be gone within a second.
_GRACE = 0.2
_BACKLOG = 1024


def _is_ours(record: logging.LogRecord) -> bool:
    # A request that is no HTTP is answered with 400. Its text may hold a key and is not worth a traceback.
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


_LOGGER = logging.getLogger("opus_async.simulator")
_LOGGER.addFilter(_is_ours)


class PortTaken(OSError):
    """A port that another program listens on; the message says which and what to do."""


class _Surface(Protocol):
    async def handle(self, request: web.BaseRequest) -> Answer | None: ...


class Simulator:
    """An Opus in this event loop.

    Use it as an asynchronous context manager:

        async with Simulator(SimulatorConfig(run_time=0)) as simulator:
            simulator.base_url, simulator.service_key, simulator.state()

    Args:
        config: How it behaves; the default configuration if None.
        clock: Returns epoch seconds; for tests that move time themselves.
    """

    def __init__(
        self, config: SimulatorConfig | None = None, *, clock: Callable[[], float] | None = None
    ) -> None:
        self.config = config or SimulatorConfig()
        self._clock = clock or steady_clock()
        self._world: SimulatorState | None = None
        self._operativus: OperativusState | None = None
        self._listeners: list[asyncio.Server] = []
        self._servers: list[web.Server] = []
        self._handlers: set[asyncio.Task[Any]] = set()
        self._ports: dict[str, int] = {}

    @property
    def service_key(self) -> str:
        """The key that the API accepts."""
        return self.config.service_key

    @property
    def base_url(self) -> str:
        """The base URL of the API, without a slash at its end."""
        return f"http://{self._authority('api')}"

    @property
    def storage_url(self) -> str:
        """The base URL of the storage, without a slash at its end."""
        return f"http://{self._authority('storage')}"

    @property
    def world(self) -> SimulatorState:
        """Everything the simulator knows; it exists once the simulator was started."""
        if self._world is None:
            raise RuntimeError("the simulator was not started: use `async with Simulator(...)`")
        return self._world

    @property
    def operativus(self) -> OperativusAccess:
        """The Operativus beside it: its URL, its token, what it counted.

        Raises:
            RuntimeError: The simulator was not started, or its configuration has none.
        """
        world = self._operativus
        if world is None:
            raise RuntimeError("there is no Operativus: start with SimulatorConfig(operativus=...)")
        return OperativusAccess(
            base_url=f"http://{self._authority('operativus')}",
            token=world.token,
            accounts=world.tokens.accounts,
            state=lambda session: operativus_snapshot(world, session),
            command=world.command,
        )

    def state(self, *, jobs: str = "1") -> dict[str, Any]:
        """Return what GET /_simulator/state answers."""
        return snapshot(self.world, jobs=jobs)

    def serve_workflow(self, definition: dict[str, Any]) -> str:
        """Serve one more workflow while the simulator runs; it replaces one with the same id.

        Args:
            definition: As a workflow file holds it, see `workflow_file`.

        Returns:
            The id of the workflow.

        Raises:
            WorkflowFileError: If it does not describe a workflow.
        """
        workflow = read_workflow(definition)
        self.world.workflows.add(workflow)
        return workflow.workflow_id

    async def start(self) -> None:
        """Listen on every port.

        Raises:
            PortTaken: If another program listens on one of them.
            WorkflowFileError: If a workflow file cannot be used.
        """
        with ExitStack() as sockets:
            # All ports are taken before anything is served: the API signs URLs with the port of the storage.
            bound = {
                name: sockets.enter_context(self._bind(name, port)) for name, port in self._wanted_ports()
            }
            world = SimulatorState.create(self.config, self._clock, self._authority("storage"))
            self._world = world
            await self._serve(bound["api"], Gate(world), world.answers)
            await self._serve(bound["storage"], Storage(world), world.answers)
            if self.config.operativus is not None:
                beside = OperativusState.create(self.config.operativus, self.config.workload, self._clock)
                self._operativus = beside
                await self._serve(bound["operativus"], OperativusGate(beside), beside.answers)
            sockets.pop_all()

    def _wanted_ports(self) -> list[tuple[str, int]]:
        config = self.config
        beside = [] if config.operativus is None else [("operativus", config.operativus.port)]
        return [("api", config.port), ("storage", config.storage_port), *beside]

    async def stop(self) -> None:
        """Close every server; requests in flight get a fifth of a second."""
        for listener in self._listeners:
            for listening in listener.sockets:
                with suppress(NotImplementedError):  # a loop of Windows has no readers
                    asyncio.get_running_loop().remove_reader(listening.fileno())
        # A connection has its transport, and then its server, in the steps after it was accepted; Python 3.11
        # fails to make the transport for a listener that was closed in between.
        await asyncio.sleep(0)
        for listener in self._listeners:
            listener.close()
        await asyncio.sleep(0)
        for server in self._servers:
            server.pre_shutdown()
        if self._handlers:
            await asyncio.wait(self._handlers, timeout=_GRACE)
        for task in self._handlers:
            task.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)
        if self._world is not None:
            await self._world.callback_sender.close()
        await asyncio.gather(*(server.shutdown(_GRACE) for server in self._servers))
        for listener in self._listeners:
            await listener.wait_closed()
        self._listeners.clear()
        self._servers.clear()
        # The tasks of idle connections end in the next steps of the loop.
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _authority(self, which: str) -> str:
        host = f"[{self.config.host}]" if ":" in self.config.host else self.config.host
        return f"{host}:{self._ports[which]}"

    def _bind(self, name: str, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.config.host else socket.AF_INET
        try:
            bound = socket.create_server((self.config.host, port), family=family, backlog=_BACKLOG)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise PortTaken(
                f"port {port} on {self.config.host} is in use: "
                f"choose another one for the {name}, or 0 for a free one"
            ) from error
        self._ports[name] = bound.getsockname()[1]
        return bound

    async def _serve(self, bound: socket.socket, surface: _Surface, answers: Counter[int]) -> None:
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            return await self._answer(surface, request, answers)

        server = web.Server(handle, access_log=None, logger=_LOGGER)
        loop = asyncio.get_running_loop()
        self._listeners.append(await loop.create_server(server, sock=bound, backlog=_BACKLOG))
        self._servers.append(server)

    async def _answer(
        self, surface: _Surface, request: web.BaseRequest, answers: Counter[int]
    ) -> web.StreamResponse:
        task = asyncio.current_task()
        if task is not None:
            self._handlers.add(task)
            task.add_done_callback(self._handlers.discard)
        began = self._clock()
        answer = await surface.handle(request)
        if answer is None:
            self._log(request, "closed", began)
            # The connection is gone: aiohttp notices when it tries to write this.
            return web.Response()
        answers[answer.status] += 1
        self._log(request, str(int(answer.status)), began)
        return _to_response(answer)

    def _log(self, request: web.BaseRequest, outcome: str, began: float) -> None:
        if self.config.verbose:
            path = request.raw_path.partition("?")[0]
            milliseconds = (self._clock() - began) * 1000
            sys.stderr.write(f"{request.method} {path} {outcome} {milliseconds:.1f} ms\n")


def _to_response(answer: Answer) -> web.Response:
    headers = (
        {"Content-Type": answer.content_type, **answer.headers} if answer.content_type else answer.headers
    )
    return web.Response(status=answer.status, body=answer.body, headers=headers)
