"""The platform of the benchmarks: as little work for each request as Python allows.

``python -m benchmarks.server CONFIG`` with :class:`Config` as JSON prints its ports and serves until its
standard input ends. It checks nothing. ``GET /told`` answers with what it saw since the last time, and times
are the system's monotonic clock, which the client reads, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import ssl
import sys
import time
from typing import Any

from benchmarks import answers
from benchmarks.harness.machine import loop_factory
from benchmarks.rate_limit import Bucket
from benchmarks.serving import Config, Told

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_BUFFER = memoryview(bytearray(256 * 1024))
"""Shared by all connections: what was read is used before anything else is read."""


class _Platform:
    """The jobs, and what was asked about them."""

    def __init__(self, config: Config) -> None:
        self._run_time, self._drawn = config.run_time, random.Random(config.seed)
        self._limits = [(limit.calls, Bucket(limit)) for limit in config.limits]
        self._workflows = {each: answers.http(200, answers.workflow(each)) for each in answers.INPUTS}
        self._ends: dict[str, float] = {}
        self._jobs = 0
        self.place = b""
        self.told = Told()
        self._began = time.monotonic(), time.process_time()

    def answer(self, method: str, path: str, body: bytes) -> bytes:
        """Answer a request; one to storage comes without its body."""
        if path == "/told":
            return self._tell()
        parts = path.split("/")  # the last is the call, but of a workflow or a file
        call = "workflow" if parts[1] == "workflow" else "put" if method == "PUT" else parts[-1]
        now = time.monotonic()
        for calls, bucket in self._limits:
            if (not calls or call in calls) and not bucket.take(now):
                self.told.refused += 1
                return answers.TOO_MANY
        if self._limits:
            self.told.granted.append(now)
        self.told.calls[call] = self.told.calls.get(call, 0) + 1
        return self._call(call, parts[2], body, now)

    def _call(self, call: str, name: str, body: bytes, now: float) -> bytes:
        match call:
            case "status":
                return self._status(name, now)
            case "upload":
                return self.place
            case "initiate":
                self._jobs += 1
                return answers.http(201, {"jobExecutionId": f"{self._jobs:08}"})
            case "execute":
                started = json.loads(body)["jobExecutionId"]  # several, where starting them is not measured
                for job_id in [started] if isinstance(started, str) else started:
                    self._ends[job_id] = now + self._drawn.uniform(*self._run_time)
                return answers.OBEYED
            case "workflow":
                return self._workflows[name]
        return answers.FIXED[call]

    def _status(self, job_id: str, now: float) -> bytes:
        end = self._ends.get(job_id, 0.0)
        if end > now:
            return answers.RUNNING
        if end:
            self.told.lags.append(now - end)
            self._ends[job_id] = 0.0
        return answers.DONE

    def _tell(self) -> bytes:
        (wall, cpu), self._began = self._began, (time.monotonic(), time.process_time())
        self.told.wall, self.told.cpu = self._began[0] - wall, self._began[1] - cpu
        told, self.told = self.told, Told()
        return answers.http(200, vars(told))


class _Connection(asyncio.BufferedProtocol):
    def __init__(self, platform: _Platform) -> None:
        self._platform, self._data, self._left = platform, bytearray(), 0
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        stored = min(self._left, nbytes)
        if stored:
            self._left -= stored
            if not self._left:
                self._transport.write(self._platform.answer("PUT", "/storage/file", b""))
        self._data += _BUFFER[stored:nbytes]
        while not self._left and (end := self._data.find(b"\r\n\r\n") + 4) > 3:
            head = bytes(self._data[:end])
            found = _LENGTH.search(head)
            size, (method, path, _) = int(found[1]) if found else 0, head.decode().split(" ", 2)
            body = self._data[end : end + size]
            if method != "PUT" and len(body) < size:
                return
            del self._data[: end + size]
            self._left = size - len(body)
            if not self._left:
                self._transport.write(self._platform.answer(method, path.partition("?")[0], bytes(body)))


async def serve(config: Config) -> None:
    """Serve, with TLS on a second port where there is a certificate, until standard input ends."""
    loop, platform, ports = asyncio.get_running_loop(), _Platform(config), []
    secure = None
    if config.certificate:
        secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        secure.load_cert_chain(config.certificate)
    for context in [None, secure] if secure else [None]:
        server = await loop.create_server(
            lambda: _Connection(platform), "127.0.0.1", 0, ssl=context, backlog=4096
        )
        ports.append(server.sockets[0].getsockname()[1])
    platform.place = answers.http(201, answers.place(f"http://127.0.0.1:{ports[0]}"))
    print(json.dumps(ports), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    with (
        contextlib.suppress(KeyboardInterrupt),
        asyncio.Runner(loop_factory=loop_factory("fastest")) as runner,
    ):
        runner.run(serve(Config.read(sys.argv[1])))
