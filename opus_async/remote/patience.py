"""How long the stores of documents are waited for, and who is told: of a client, within a block of code."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field

from opus_async.config import RetryPolicy, Timeouts
from opus_async.events import Event
from opus_async.transport.forks import running_loop


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a store is waited for.

    Attributes:
        timeout: Seconds for one request.
        retry: ``attempts``, ``max_elapsed``, ``base``, ``cap`` and ``outage`` count.
        notify: Called with a HostTroubled when a store gives no answer, is given up, or answers again; None
            to tell nobody. It stays with its process: a copy that is sent elsewhere has none.
    """

    timeout: float
    retry: RetryPolicy
    notify: Callable[[Event], None] | None = field(default=None, compare=False, repr=False)

    def __reduce__(self) -> tuple[type[Patience], tuple[float, RetryPolicy]]:
        """Pickle it without its listeners."""
        return Patience, (self.timeout, self.retry)


@dataclass(frozen=True, slots=True)
class _Set:
    """A patience, and the loop on which its listeners are called; None where there was none."""

    patience: Patience
    loop: asyncio.AbstractEventLoop | None


_patience: ContextVar[_Set | None] = ContextVar("patience", default=None)


@contextmanager
def patient(patience: Patience) -> Iterator[None]:
    """Wait for stores in this way within a block, in this task and in those that it starts."""
    outer = _patience.get()
    loop = outer.loop if outer and outer.patience.notify is patience.notify else running_loop()
    token = _patience.set(_Set(patience, loop))
    try:
        yield
    finally:
        _patience.reset(token)


def current_patience() -> Patience:
    """How long stores are waited for here; outside of any such block as a client does by default."""
    found = _patience.get()
    return found.patience if found else Patience(Timeouts().document, RetryPolicy())


def tell(event: Event) -> None:
    """Tell who is to be told here, on the loop of the client: stores are also asked on another one."""
    found = _patience.get()
    if found is None or found.patience.notify is None or found.loop is None:
        return
    if found.loop is running_loop():
        found.patience.notify(event)
        return
    with suppress(RuntimeError):  # it is closed: nobody is there any more
        found.loop.call_soon_threadsafe(found.patience.notify, event)
