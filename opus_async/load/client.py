"""The client of a platform, as a load test uses it: the port of load tests to platforms."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

from opus_async.config import Limits
from opus_async.jobs.lifecycle import Lifecycle
from opus_async.transport.dispatch import Meter

LIMITS: Final = Limits(
    api_concurrency=256, upload_concurrency=256, poll_rate=250, detect_lag=0.0025, max_in_flight=10_000
)
"""Limits of a client that measures: ends are noticed soon, and its own bounds lie beyond what is measured."""


class Client(Protocol):
    """What a platform's client offers to a load test."""

    @property
    def limits(self) -> Limits:
        """How much happens at once."""

    @property
    def is_production(self) -> bool:
        """Whether its jobs are real, at a host of the vendor's. Nothing is looked up to tell."""

    def metering(self, meter: Meter) -> AbstractContextManager[None]:
        """Tell this meter of every answer and stage for as long as the block lasts."""

    def load_lifecycle(
        self,
        workflow_id: str,
        *,
        version_number: int | None = None,
        version_id: str | None = None,
        reuse_uploads: bool = False,
    ) -> Lifecycle[Any, Any]:
        """How a job of this workflow runs; ``lifecycle.platform`` is its platform.

        Each job uploads its own files, whatever others have uploaded, unless ``reuse_uploads``.
        """
