"""Shows the progress of one stream of a client that may run several."""

from __future__ import annotations

from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from opus_async.events import RequestSent
from opus_async.metrics.progress import RARE, Progress
from opus_async.platform import Stages
from opus_async.progress.shown import Shown
from opus_async.transport.dispatch import Dispatcher, Only, Relay

_OF_CLIENT = RARE | {RequestSent}
"""What is taken from all of the client; the stages of the stream's jobs come by themselves."""


class ShownStream:
    """Draws a stream for as long as an ``async with`` block lasts.

    Args:
        client: The events of the client: bytes, retries and outages are those of all of it.
        stages: The names of the stages of its jobs.
        title: What it is about.
        total: Rows in all; None when that is not known.

    Attributes:
        notify: Where the stream's own jobs tell of their events.
    """

    def __init__(self, client: Dispatcher, stages: Stages, title: str, total: int | None) -> None:
        self._client = client
        self._progress = Progress(stages.names, total)
        self._title = title
        self._open = AsyncExitStack()
        self.notify = Relay(client, [self._progress])

    async def __aenter__(self) -> Self:
        self._open.enter_context(self._client.listening(Only(self._progress, _OF_CLIENT)))
        await self._open.enter_async_context(Shown(self._progress, self._title))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()
