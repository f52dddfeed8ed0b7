"""HTTP written by hand on asyncio's protocols: what Python can do at best, and nobody should use."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from benchmarks.answers import KEY

_LENGTH = b"Content-Length: "


class _Connection(asyncio.Protocol):
    """Sends one request at a time."""

    def __init__(self) -> None:
        self._data = b""
        self._answer: asyncio.Future[bytes] | None = None
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        data = self._data = self._data + data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return
        at = data.index(_LENGTH) + len(_LENGTH)
        body = data[end + 4 :]
        if len(body) == int(data[at : data.index(b"\r\n", at)]) and self._answer is not None:
            self._data = b""
            self._answer.set_result(body)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError())

    def ask(self, request: bytes) -> asyncio.Future[bytes]:
        """Send a request; the future is the body of its answer."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def close(self) -> None:
        self._transport.close()


class Client:
    """As many connections as there are requests at once."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._idle: list[_Connection] = []
        self._head = f"Host: {parts.netloc}\r\nx-service-key: {KEY}\r\nContent-Type: application/json\r\n"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in self._idle:
            connection.close()
        await asyncio.sleep(0)

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """Send a request, and return the JSON of its answer."""
        return json.loads(
            await self._send(method, path, b"" if body is None else json.dumps(body).encode(), self._head)
        )

    async def put(self, url: str, path: Path) -> None:
        """Send a file, read whole."""
        _, _, rest = url.partition("//")
        host, _, target = rest.partition("/")
        await self._send("PUT", f"/{target}", path.read_bytes(), f"Host: {host}\r\n")

    async def _send(self, method: str, path: str, body: bytes, head: str) -> bytes:
        if self._idle:
            connection = self._idle.pop()
        else:
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(_Connection, self._host, self._port)
        length = f"Content-Length: {len(body)}\r\n" if method != "GET" else ""
        answer = await connection.ask(f"{method} {path} HTTP/1.1\r\n{head}{length}\r\n".encode() + body)
        self._idle.append(connection)
        return answer
