"""The ids of a client's jobs, so that no two jobs are one: a proxy that keeps answers gives one out again."""

from __future__ import annotations

from collections import OrderedDict

REMEMBERED = 10_000
"""Ids of jobs that are done with, about 100 bytes each: a cached answer comes soon, or never."""


class JobIds:
    """Which ids are taken: those in use, and the last of those that were."""

    def __init__(self) -> None:
        self._in_use: set[str] = set()
        self._left: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._in_use or job_id in self._left

    def take(self, job_id: str) -> None:
        """A job with this id is under way."""
        self._in_use.add(job_id)

    def leave(self, job_id: str) -> None:
        """It is done with here."""
        self._in_use.discard(job_id)
        self._left[job_id] = None
        if len(self._left) > REMEMBERED:
            self._left.popitem(last=False)
