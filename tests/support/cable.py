"""The way to a server, which can be pulled and plugged in again, and on which the key can be made another."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Self
from urllib.parse import urlsplit

PIECE = 65_536


class Cable:
    """Carries bytes to a simulator and back.

    Attributes:
        service_key: The simulator's.
        swap: Bytes on the way there, and what is sent in their place; None to send what came.
    """

    def __init__(self, simulator: Any, *, host: str = "127.0.0.1") -> None:
        self.service_key: str = simulator.service_key
        self.swap: tuple[bytes, bytes] | None = None
        self._host = host
        self._to = urlsplit(simulator.base_url).port
        self._port = 0
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()

    @property
    def base_url(self) -> str:
        """Where a client connects."""
        return f"http://{self._host}:{self._port}"

    async def __aenter__(self) -> Self:
        await self.plug_in()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.pull()

    async def plug_in(self) -> None:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def pull(self) -> None:
        """Refuse new connections, reset those there are: whatever was on them is lost."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for end in list(self._ends):
            end.transport.abort()
        await server.wait_closed()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        plugged = self._server
        ends = {writer}
        self._ends |= ends
        try:
            there, away = await asyncio.open_connection("127.0.0.1", self._to)
            ends.add(away)
            if plugged is None or plugged is not self._server:  # pulled before this one was through
                return
            self._ends |= ends
            async with asyncio.TaskGroup() as both:
                both.create_task(self._copy(reader, away, swapped=True))
                both.create_task(self._copy(there, writer, swapped=False))
        finally:
            self._ends -= ends
            for end in ends:
                end.transport.abort()

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, swapped: bool
    ) -> None:
        with suppress(ConnectionError):
            while piece := await reader.read(PIECE):
                writer.write(piece.replace(*self.swap) if swapped and self.swap else piece)
                await writer.drain()
        writer.transport.abort()
