"""aiohttp as its documentation shows it."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from yarl import URL

from benchmarks.answers import KEY


class Client:
    """One session, everything as it is by default, the file handed over open."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """Send a request, and return the JSON of its answer."""
        headers = {"x-service-key": KEY}
        async with self._session.request(method, self._url + path, headers=headers, json=body) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def put(self, url: str, path: Path) -> None:
        """Send a file; its URL has to arrive as it was signed."""
        with path.open("rb") as file:
            skipped = ("Content-Type",)
            async with self._session.put(
                URL(url, encoded=True), data=file, skip_auto_headers=skipped
            ) as answer:
                answer.raise_for_status()
                await answer.read()
