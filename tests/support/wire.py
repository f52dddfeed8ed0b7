"""A server of raw bytes: what was really on the wire, and any answer, however wrong."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

KEY = "_" + "5e" * 48
SIGNATURE = "X-Amz-Signature=f00dfacef00dface"


@dataclass
class Served:
    """One server and what it saw."""

    port: int
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def header(self, name: str, which: int = -1) -> str | None:
        found = re.search(rf"(?im)^{name}:[ \t]*(.*?)\r$", self.heads[which].decode("latin-1"))
        return found[1] if found else None

    @property
    def target(self) -> str:
        return self.heads[-1].split(b" ")[1].decode("latin-1")


def answer(status: int = 200, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


Handler = Callable[[Served, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Serve = Callable[..., Awaitable[Served]]


async def read_request(served: Served, reader: asyncio.StreamReader) -> None:
    """One whole request, noted."""
    head = await reader.readuntil(b"\r\n\r\n")
    served.heads.append(head)
    length = served.header("Content-Length")
    served.bodies.append(await reader.readexactly(int(length)) if length else b"")
