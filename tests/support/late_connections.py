"""Connections that are made at the very moment in which their server closes."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AbstractAsyncContextManager

STEPS = range(6)
"""Steps of the event loop from the connection to the closing; after that many it has its protocol."""


async def is_ended(server: AbstractAsyncContextManager[int], steps: int) -> bool:
    """Whether the server ends a connection that it gets so many steps before it closes.

    Args:
        server: Listens within its block; gives its port.
        steps: How many.
    """
    with socket.socket() as stranger:
        async with server as port:
            stranger.connect(("127.0.0.1", port))
            for _ in range(steps):
                await asyncio.sleep(0)
        stranger.settimeout(2)
        try:
            return await asyncio.to_thread(stranger.recv, 1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False
