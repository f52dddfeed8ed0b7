"""Requests to stores: each is bounded in time, and repeated while its failure says nothing of the document.

A store that is busy, restarts or is out of reach fails one document after the other, and nothing is wrong
with any of them. While it fails for several (:mod:`.health`), a policy with an ``outage`` lets requests wait
for it, and once it was waited for in vain they are tried once each. Libraries repeat requests of their own;
what comes here has outlasted that.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from opus_async.config import RetryPolicy
from opus_async.remote import access
from opus_async.remote.health import StoreHealth
from opus_async.remote.libraries import Located
from opus_async.remote.patience import current_patience
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

_SILENT = 3.0
"""Seconds without a first answer of a store after which listeners are told."""
_LEAST = 1.0
"""Seconds that a last attempt gets at least."""


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
    store, schedule = access.health().of(store_of(file.url), reading=reading), BackoffSchedule(policy)
    began, number = time.monotonic(), 0
    while True:
        number += 1
        started = time.monotonic()
        silent = _told_when_silent(store, started) if times <= 1 and number == 1 else None
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
        finally:
            if silent is not None:
                silent.cancel()
        now = time.monotonic()
        reason = finding(file, failure)
        store.record_failure(file.url, now, reason, unreachable=no_connection(failure))
        wait = _wait(store, schedule, policy, now, took=now - started)
        if wait is None:
            if store.waited_out(now, policy.outage or policy.max_elapsed):
                store.give_up(now, reason)
            raise unavailable(
                file,
                failure,
                attempts=number,
                seconds=now - began,
                others_read=store.answered_since(began),
            ) from None
        log.info("%s: attempt %d failed (%s); again in %.2f s", file, number, reason, wait)
        del failure  # its traceback leads to this frame: no cycle
        await asyncio.sleep(wait)


def _told_when_silent(store: StoreHealth, began: float) -> asyncio.TimerHandle | None:
    """Tell of a store that has never answered and does not soon; None for one that has."""
    if store.answered_at is not None:
        return None

    def note() -> None:
        store.record_silence(began, time.monotonic())

    return asyncio.get_running_loop().call_later(_SILENT, note)


async def _attempt(file: RemoteFile, work: Callable[[Located], Awaitable[ValueT]], seconds: float) -> ValueT:
    try:
        async with asyncio.timeout(seconds) as limit:
            return await work(await access.located(file.url))
    except TimeoutError:
        if limit.expired():
            raise NoAnswer(seconds) from None
        raise


def _wait(
    store: StoreHealth, schedule: BackoffSchedule, policy: RetryPolicy, now: float, *, took: float
) -> float | None:
    """Seconds until the next attempt; None to give up."""
    if store.waited_out(now, policy.outage or policy.max_elapsed):
        return None
    if store.of_several and policy.outage is not None:  # the store is to blame: it uses up nothing
        return schedule.after_throttling(None, 0.0)
    return schedule.after_failure(took)


def _within(policy: RetryPolicy, seconds: float) -> RetryPolicy:
    return policy.model_copy(update={"max_elapsed": min(seconds, policy.max_elapsed), "outage": None})
