"""Holds connections to where documents lie, from the first document that is read there until it is let go."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from opus_async.transport.open_source import to_thread


class Hold:
    """Holds connections open from the first use until it is released."""

    def __init__(self) -> None:
        self._holds = False

    def take(self) -> None:
        """Hold them from now on."""
        if not self._holds:
            from opus_async.remote.access import USERS  # noqa: PLC0415 - most clients read no such documents

            self._holds = True
            USERS.enter()

    def leave(self) -> Callable[[], None] | None:
        """Hold them no more; returns what closes them, if this was the last: it blocks for a moment."""
        if not self._holds:
            return None
        from opus_async.remote.access import USERS  # noqa: PLC0415 - as in take

        self._holds = False
        return USERS.leave()

    async def release(self) -> None:
        """Hold them no more, and wait until they are closed, if this was the last."""
        if (closing := self.leave()) is not None:
            await asyncio.shield(to_thread(closing))

    def drop(self) -> None:
        """Hold them no more, and let them be closed by themselves, if this was the last."""
        if (closing := self.leave()) is not None:
            threading.Thread(target=closing, name="opus-async-remote-close", daemon=True).start()


@contextmanager
def held() -> Iterator[None]:
    """Hold connections open; for code that may block. What nobody holds any more is closed."""
    hold = Hold()
    hold.take()
    try:
        yield
    finally:
        if (closing := hold.leave()) is not None:
            closing()
