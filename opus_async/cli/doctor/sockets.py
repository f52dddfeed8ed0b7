"""What the checks of the network do with their connections."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from contextlib import suppress

from opus_async.cli.checks import PATIENCE


def system_reason(error: Exception) -> str:
    """Why a connection failed, in the words of the operating system or of OpenSSL."""
    match error:
        case TimeoutError():
            return f"no answer within {PATIENCE:.0f} s"
        case ssl.SSLError(reason=str(reason)):
            return reason.replace("_", " ").lower()
        case socket.gaierror():
            return error.strerror or "no such name"
        case OSError(errno=int(number)):
            return os.strerror(number)
    return str(error)


async def close(writer: asyncio.StreamWriter) -> None:
    """Close a connection, and wait a second at most for that."""
    writer.close()
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(1):
            await writer.wait_closed()
