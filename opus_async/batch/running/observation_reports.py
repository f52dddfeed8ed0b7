"""Reports to the journal that nobody waits for: statuses and second ids, as polls show them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from opus_async.batch.ports import Receipt
from opus_async.errors import LedgerError, OpusError
from opus_async.tasks import start

TaskT = TypeVar("TaskT")


class ObservationReports(Generic[TaskT]):
    """Reports what polls show, in a task of its own: who polls jobs waits for nobody.

    Args:
        on_refusal: Called with a row that is another worker's by now.
        on_error: Called when the journal takes nothing more.
    """

    def __init__(self, *, on_refusal: Callable[[TaskT], None], on_error: Callable[[OpusError], None]) -> None:
        self._on_refusal = on_refusal
        self._on_error = on_error
        self._waiting: deque[tuple[TaskT, Callable[[], Awaitable[Receipt]]]] = deque()
        self._reporting: asyncio.Task[None] | None = None

    def add(self, task: TaskT, report: Callable[[], Awaitable[Receipt]]) -> None:
        """Report something of a row soon, in the order in which it was seen."""
        self._waiting.append((task, report))
        if self._reporting is None:
            self._reporting = start("opus_async observation reports", self._report)

    async def close(self) -> None:
        """Report nothing more."""
        if self._reporting is not None:
            self._reporting.cancel()
            await asyncio.gather(self._reporting, return_exceptions=True)

    async def _report(self) -> None:
        try:
            while self._waiting:
                task, report = self._waiting.popleft()
                if await report() is Receipt.LEASE_ENDED:
                    self._on_refusal(task)
        except LedgerError as error:
            self._on_error(error)
        finally:
            self._reporting = None
