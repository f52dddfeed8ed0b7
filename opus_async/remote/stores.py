"""Requests to stores: each is bounded in time, and repeated while its failure says nothing of the document.

A store that is busy, restarts or is out of reach fails one document after the other, and nothing is wrong
with any of them. So what is known of a store is kept for the whole process: whether it answers, and since
when not. While it fails for several documents, a policy with an ``outage`` lets requests wait for it, and
once it was waited for in vain they are tried once each. Libraries repeat requests of their own; what comes
here has outlasted that.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

from opus_async.config import RetryPolicy, Timeouts
from opus_async.remote import access
from opus_async.remote.libraries import Located
from opus_async.remote.refusals import (
    NoAnswer,
    finding,
    has_answered,
    is_passing,
    no_connection,
    unavailable,
)
from opus_async.remote_urls import RemoteFile, store_of
from opus_async.transport.backoff_schedule import BackoffSchedule

ValueT = TypeVar("ValueT")

log = logging.getLogger("opus_async.remote")

NEVER_ANSWERED = 30.0
"""Seconds for which a store is waited for that never answered: its name, or the way to it, may be wrong."""
_LEAST = 1.0
"""Seconds that a last attempt gets at least."""
_MOST = 256
"""Stores that are told apart, about 300 bytes each; the oldest are forgotten."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a store is waited for.

    Attributes:
        timeout: Seconds for one request.
        retry: ``attempts``, ``max_elapsed``, ``base``, ``cap`` and ``outage`` count.
    """

    timeout: float
    retry: RetryPolicy


_USUAL = Patience(Timeouts().document, RetryPolicy())
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
    """How long stores are waited for here."""
    return _patience.get() or _USUAL


class _Store:
    """What is known of one store, by the clock of :func:`time.monotonic`.

    Attributes:
        answered_at: When it last gave a good answer; None if it never did.
        failing_since: When it began to fail; None after a good answer.
        of_several: Whether it has failed for several documents since then, or could not be reached.
    """

    def __init__(self, name: str) -> None:
        self.answered_at: float | None = None
        self.failing_since: float | None = None
        self.of_several = False
        self._name = name
        self._first_url = ""

    def record_answer(self, now: float) -> None:
        """Note a good answer, or one that shows that the store is up."""
        if self.of_several and self.failing_since is not None:
            log.warning("%s answers again, after %.0f s", self._name, now - self.failing_since)
        self.answered_at, self.failing_since, self.of_several = now, None, False

    def record_failure(self, url: str, now: float, reason: str, *, unreachable: bool) -> None:
        """Note that it failed for a document."""
        if self.failing_since is None:
            self.failing_since, self._first_url = now, url
        if not self.of_several and (unreachable or url != self._first_url):
            self.of_several = True
            log.warning("%s gives no good answer (%s): its documents wait", self._name, reason)

    def waited_out(self, now: float, patience: float) -> bool:
        """Whether it has been waited for so long, or longer, in vain."""
        if self.failing_since is None or not self.of_several:
            return False
        patience = patience if self.answered_at is not None else min(patience, NEVER_ANSWERED)
        return now - self.failing_since >= patience


_STORES: OrderedDict[tuple[str, bool], _Store] = OrderedDict()


def _store(name: str, *, reading: bool) -> _Store:
    store = _STORES.get((name, reading))
    if store is None:
        store = _STORES[name, reading] = _Store(name)
        if len(_STORES) > _MOST:
            _STORES.popitem(last=False)
    return store


async def ask(
    file: RemoteFile,
    work: Callable[[Located], Awaitable[ValueT]],
    *,
    reading: bool = False,
    within: float | None = None,
    times: float = 1.0,
) -> ValueT:
    """Make a request about a document until its store gives an answer.

    Args:
        file: The document, or a folder or a pattern of some.
        work: Makes one request, anew for each attempt. It may be called again after any failure.
        reading: Whether content is read: a store can tell of its documents and give none out.
        within: Seconds for all attempts, without a wait for an outage: something else waits meanwhile. None
            for what the policy says.
        times: How often the time for one request is granted: a listing takes many of them.

    Raises:
        StoreUnavailable: It gave none.
        Exception: What the library raised, where it says something of the document.
    """
    patience = current_patience()
    policy = patience.retry if within is None else _within(patience.retry, within)
    store, schedule = _store(store_of(file.url), reading=reading), BackoffSchedule(policy)
    began, number = time.monotonic(), 0
    while True:
        number += 1
        started = time.monotonic()
        try:
            limit = patience.timeout * times
            if within is not None:
                limit = min(limit, max(within - (started - began), _LEAST))
            value = await _attempt(file, work, limit)
        except Exception as error:
            if not is_passing(error):
                if has_answered(error):
                    store.record_answer(time.monotonic())
                raise
            failure = error
        else:
            store.record_answer(time.monotonic())
            return value
        now = time.monotonic()
        reason = finding(file, failure)
        store.record_failure(file.url, now, reason, unreachable=no_connection(failure))
        wait = _wait(store, schedule, policy, now, took=now - started)
        if wait is None:
            others_read = store.answered_at is not None and store.answered_at > began
            raise unavailable(
                file, failure, attempts=number, seconds=now - began, others_read=others_read
            ) from None
        log.info("%s: attempt %d failed (%s); again in %.2f s", file, number, reason, wait)
        del failure  # its traceback leads to this frame: no cycle
        await asyncio.sleep(wait)


async def _attempt(file: RemoteFile, work: Callable[[Located], Awaitable[ValueT]], seconds: float) -> ValueT:
    try:
        async with asyncio.timeout(seconds) as limit:
            return await work(await access.located(file.url))
    except TimeoutError:
        if limit.expired():
            raise NoAnswer(seconds) from None
        raise


def _wait(
    store: _Store, schedule: BackoffSchedule, policy: RetryPolicy, now: float, *, took: float
) -> float | None:
    """Seconds until the next attempt; None to give up."""
    if store.waited_out(now, policy.outage or policy.max_elapsed):
        return None
    if store.of_several and policy.outage is not None:  # the store is to blame: it uses up nothing
        return schedule.after_throttling(None, 0.0)
    return schedule.after_failure(took)


def _within(policy: RetryPolicy, seconds: float) -> RetryPolicy:
    return policy.model_copy(update={"max_elapsed": min(seconds, policy.max_elapsed), "outage": None})
