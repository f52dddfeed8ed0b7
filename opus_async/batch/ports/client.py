"""The client of a platform, as a batch uses it: the port of a batch to its platform."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol

from opus_async.config import Limits, RetryPolicy
from opus_async.events import Listener
from opus_async.jobs.lifecycle import Lifecycle
from opus_async.platform import Cache
from opus_async.remote.patience import Patience
from opus_async.transport.dispatch import Meter


class Client(Protocol):
    """What a platform's client offers to a batch."""

    @property
    def limits(self) -> Limits:
        """How much happens at once: told where it limits a batch."""

    @property
    def asked_limits(self) -> Limits:
        """How much was asked for, whatever this machine allows: kept in the ledger."""

    @property
    def retry(self) -> RetryPolicy:
        """What happens when a request fails: kept in the ledger."""

    @property
    def patience(self) -> Patience:
        """How long stores are waited for in which documents lie."""

    def listening(self, listener: Listener) -> AbstractContextManager[None]:
        """Tell this listener events for as long as the block lasts."""

    def metering(self, meter: Meter) -> AbstractContextManager[None]:
        """Tell this meter of every answer and stage for as long as the block lasts."""

    def lifecycle(
        self,
        workflow_id: str,
        *,
        memory: Cache | None = None,
        version_number: int | None = None,
        version_id: str | None = None,
    ) -> Lifecycle[Any, Any]:
        """How a job of this workflow runs; ``lifecycle.platform`` is its platform.

        A version is that of every row that names none.
        """
