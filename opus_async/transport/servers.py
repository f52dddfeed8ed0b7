"""Stops asyncio servers without losing a connection that was just accepted."""

from __future__ import annotations

import asyncio
from contextlib import suppress


async def stop_listening(server: asyncio.Server) -> None:
    """Close the sockets at which a server listens; its connections stay.

    A connection has its transport one step of the loop after it was accepted. Python 3.11 fails to make it
    for a server that was closed in between, and leaves the socket open; so nothing is accepted in that step.
    """
    loop = asyncio.get_running_loop()
    for listening in server.sockets:
        with suppress(NotImplementedError):  # a loop of Windows has no readers
            loop.remove_reader(listening.fileno())
    await asyncio.sleep(0)
    server.close()
