"""httpx, its pool as large as what is in flight."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from benchmarks.answers import KEY


class Client:
    """One client without limits of its own."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def __aenter__(self) -> Self:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        self._client = httpx.AsyncClient(limits=limits, timeout=None)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """Send a request, and return the JSON of its answer."""
        headers = {"x-service-key": KEY}
        answer = await self._client.request(method, self._url + path, headers=headers, json=body)
        return answer.raise_for_status().json()

    async def put(self, url: str, path: Path) -> None:
        """Send a file, read whole: httpx takes no open file in a coroutine."""
        (await self._client.put(url, content=path.read_bytes())).raise_for_status()
