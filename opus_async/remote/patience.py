"""How long the stores of documents are waited for: of a client, and within a block of code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from opus_async.config import RetryPolicy, Timeouts


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a store is waited for.

    Attributes:
        timeout: Seconds for one request.
        retry: ``attempts``, ``max_elapsed``, ``base``, ``cap`` and ``outage`` count.
    """

    timeout: float
    retry: RetryPolicy


_patience: ContextVar[Patience | None] = ContextVar("patience", default=None)


@contextmanager
def patient(patience: Patience) -> Iterator[None]:
    """Wait for stores in this way within a block, in this task and in those that it starts."""
    token = _patience.set(patience)
    try:
        yield
    finally:
        _patience.reset(token)


def current_patience() -> Patience:
    """How long stores are waited for here; outside of any such block as a client does by default."""
    return _patience.get() or Patience(Timeouts().document, RetryPolicy())
