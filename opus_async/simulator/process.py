"""A simulator in a process of its own, for tests and demos that must not share its core or its event loop.

Only the standard library is needed on this side. The process is the leader of its own session and ends when
this one ends, even by `kill -9`: it watches the pipe that is its standard input.
"""

from __future__ import annotations

import asyncio
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote
from urllib.request import ProxyHandler, build_opener

from opus_async.simulator.config import SimulatorConfig
from opus_async.simulator.operativus.access import OperativusAccess
from opus_async.simulator.operativus.accounts import accounts_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

START_TIMEOUT = 20.0
STOP_TIMEOUT = 5.0
_READY = b"# ready\n"
_STATE_TIMEOUT = 60.0
# The simulator is on loopback: a proxy from the environment must not be asked for it.
_OPENER = build_opener(ProxyHandler({}))


class SimulatorStartError(RuntimeError):
    """The simulator did not come up; the message holds what it said on stderr."""


class SimulatorProcess:
    """An Opus in a process of its own.

    Use it as a context manager, or call `start` and `stop`:

        with SimulatorProcess(SimulatorConfig(faults="hostile", seed=3)) as simulator:
            simulator.base_url, simulator.service_key, simulator.state()

    Starting and stopping block for some tenths of a second; inside an event loop call them through
    `asyncio.to_thread` or use `async with`, which does that.

    Args:
        config: How it behaves; the default configuration if None.
        options: More arguments of its command line.
    """

    def __init__(self, config: SimulatorConfig | None = None, *, options: Sequence[str] = ()) -> None:
        self.config = config or SimulatorConfig()
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._said: dict[str, str] = {}

    @property
    def base_url(self) -> str:
        """The base URL of the API, without a slash at its end."""
        return self._say("OPUS_BASE_URL")

    @property
    def service_key(self) -> str:
        """The key that the API accepts."""
        return self._say("OPUS_SERVICE_KEY")

    @property
    def storage_url(self) -> str:
        """The base URL of the storage, without a slash at its end."""
        return self._say("storage")

    @property
    def operativus(self) -> OperativusAccess:
        """The Operativus beside it; it can be told things if this is a `ScriptedSimulator`."""
        base_url = self._say("OPERATIVUS_BASE_URL")

        def state(session: str | None) -> dict[str, Any]:
            asked = "" if session is None else f"?session={quote(session, safe='')}"
            return _read(f"{base_url}/_simulator/state{asked}")

        return OperativusAccess(
            base_url=base_url,
            token=self._say("OPERATIVUS_TOKEN"),
            accounts=accounts_of(self.config.seed),
            state=state,
            command=lambda what, given: self._command("operativus", operation=what, given=given),
        )

    @property
    def pid(self) -> int:
        """The process id."""
        if self._process is None:
            raise RuntimeError("the simulator is not running: call start() or use it as a context manager")
        return self._process.pid

    def state(self, *, jobs: str = "1") -> dict[str, Any]:
        """Return what GET /_simulator/state answers; `jobs` is `1`, `compact` or `0`. Blocks."""
        return _read(f"{self.base_url}/_simulator/state?jobs={jobs}")

    def start(self) -> None:
        """Start the process and wait until both ports listen.

        Raises:
            SimulatorStartError: If it ends or stays silent instead.
        """
        if self._process is not None:
            raise RuntimeError("the simulator is running already")
        with tempfile.TemporaryFile() as errors:
            self._process = subprocess.Popen(  # noqa: S603 - our own module, arguments of a checked configuration
                [
                    sys.executable,
                    "-m",
                    "opus_async.simulator",
                    "--die-with-stdin",
                    *self._options,
                    *self.config.to_arguments(),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=None if self.config.verbose else errors,
                start_new_session=True,
                env=_environment(),
            )
            try:
                self._listen_to(self._process)
            except BaseException as error:
                self.stop()
                if isinstance(error, SimulatorStartError):
                    errors.seek(0)
                    said = errors.read().decode(errors="replace").strip()
                    raise SimulatorStartError(f"{error}: {said or 'it said nothing'}") from None
                raise

    def stop(self) -> None:
        """End the process; does nothing if it is not running."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    def _command(self, what: str, **given: Any) -> Any:
        """Send a command to a simulator that takes them."""
        del what, given
        raise RuntimeError("this simulator is told nothing: use a ScriptedSimulator")

    def _say(self, name: str) -> str:
        if name not in self._said:
            raise RuntimeError("the simulator is not running: call start() or use it as a context manager")
        return self._said[name]

    def _listen_to(self, process: subprocess.Popen[bytes]) -> None:
        lines = _read_until_ready(process)
        for line in lines.decode().splitlines():
            if line.startswith("export "):
                name, _, value = line.removeprefix("export ").partition("=")
                self._said[name] = value
            elif line.startswith("# storage "):
                self._said["storage"] = line.removeprefix("# storage ")


def _read_until_ready(process: subprocess.Popen[bytes]) -> bytes:
    deadline = time.monotonic() + START_TIMEOUT
    stream, said = process.stdout, b""
    if stream is None:
        raise SimulatorStartError("the simulator has no standard output")
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while not said.endswith(_READY):
            if not selector.select(max(deadline - time.monotonic(), 0)):
                raise SimulatorStartError(f"the simulator was not ready within {START_TIMEOUT:.0f} s")
            piece = os.read(stream.fileno(), 65536)
            if not piece:
                raise SimulatorStartError(f"the simulator ended with exit code {process.wait()}")
            said += piece
    return said


def _read(url: str) -> dict[str, Any]:
    with _OPENER.open(url, timeout=_STATE_TIMEOUT) as answer:
        value: dict[str, Any] = json.load(answer)
    return value


def _environment() -> dict[str, str]:
    # The child finds the package where this process found it, installed or not.
    home = str(Path(__file__).resolve().parents[2])
    inherited = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{home}{os.pathsep}{inherited}" if inherited else home}
