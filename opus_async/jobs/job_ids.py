"""The job ids of a client, so that an id that comes twice is noticed: from a proxy that caches, say."""

from __future__ import annotations

from collections import OrderedDict

REMEMBERED = 10_000
"""Ids no longer in use that are remembered, about 100 bytes each: a cached response comes soon, or never."""


class JobIds:
    """Job ids that belong to a job: those in use, and the latest of those no longer in use."""

    def __init__(self) -> None:
        self._in_use: set[str] = set()
        self._left: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._in_use or job_id in self._left

    def take(self, job_id: str) -> None:
        """Mark an id as in use."""
        self._in_use.add(job_id)

    def release(self, job_id: str) -> None:
        """Mark an id as no longer in use."""
        self._in_use.discard(job_id)
        self._left[job_id] = None
        if len(self._left) > REMEMBERED:
            self._left.popitem(last=False)
