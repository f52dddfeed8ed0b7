"""How many jobs of a client are in flight at once: a slot from before a job's first request to its outcome.

A slot is given back as soon as the outcome is known, whether or not anybody has read it: who runs a job while
outcomes of a stream lie unread waits for jobs to end, not for a reader. (Unread outcomes hold places of their
stream, see :mod:`opus_async.jobs.stream`, and so bound memory.)
"""

from __future__ import annotations

import asyncio


class JobSlots:
    """The slots of one client, given in the order of asking.

    Args:
        limit: How many there are.
    """

    def __init__(self, limit: int) -> None:
        self._free = asyncio.Semaphore(limit)

    async def acquire(self) -> float:
        """Wait for a slot; returns for how many seconds."""
        if not self._free.locked():
            await self._free.acquire()
            return 0.0
        now = asyncio.get_running_loop().time
        asked = now()
        await self._free.acquire()
        return now() - asked

    def release(self) -> None:
        """Give a slot back."""
        self._free.release()
