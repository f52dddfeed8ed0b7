"""Requests to stores: each is bounded in time, and repeated while its failure says nothing of the document.

A store that is busy, restarts or is out of reach fails one document after the other, and nothing is wrong
with any of them. While it fails for several (:mod:`.health`), and for one that it gave before, a policy with
an ``outage`` lets requests wait for it, and once it was waited for in vain they are tried once each.
Libraries repeat requests of their own; what comes here has outlasted that.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
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
    is_denied,
    is_passing,
    no_connection,
    unavailable,
)
from opus_async.remote_urls import RemoteFile, store_of
from opus_async.transport.backoff_schedule import BackoffSchedule

ValueT = TypeVar("ValueT")

log = logging.getLogger("opus_async.remote")

_ASKED_LATELY = 5.0
"""Seconds in which a store is not asked again for a document that it gave before: a thousand others fail."""
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

    async def gives_another() -> bool:
        return within is None and await _gives_another(store, file, work, patience.timeout)

    while True:
        number += 1
        started = time.monotonic()
        limit = patience.timeout * times
        if within is not None:
            limit = min(limit, max(within - (started - began), _LEAST))
        try:
            with _telling_of_silence(store, started, first=number == 1 and times <= 1):
                value = await _attempt(file, work, limit)
        except Exception as error:
            if not is_passing(error):
                if has_answered(error):
                    store.record_answer(time.monotonic())
                raise
            failure = error
        else:
            store.record_answer(time.monotonic())
            store.given = file.url
            return value
        now = time.monotonic()
        reason = finding(file, failure)
        store.record_failure(file.url, now, unreachable=no_connection(failure))
        others_read = store.of_several and await gives_another()
        store.tell_trouble(now, reason)
        wait = _wait(store, schedule, policy, now, took=now - started)
        if wait is None:
            others_read = others_read or await gives_another()
            if not others_read and store.waited_out(now, policy.outage or policy.max_elapsed):
                store.give_up(now, reason)
            raise unavailable(
                file,
                failure,
                attempts=number,
                seconds=now - began,
                others_read=others_read,
                answered=store.answered_at is not None,
            ) from None
        log.info("%s: attempt %d failed (%s); again in %.2f s", file, number, reason, wait)
        del failure  # its traceback leads to this frame: no cycle
        await asyncio.sleep(wait)


async def _gives_another(
    store: StoreHealth, file: RemoteFile, work: Callable[[Located], Awaitable[object]], seconds: float
) -> bool:
    """Whether a store that fails for a document answers the same request about one that it gave before.

    Of the version of that document nothing is known: that it is another one, or gone, is an answer.
    """
    other = store.given
    if other in {None, file.url} or time.monotonic() - store.refused_at < _ASKED_LATELY:
        return False
    try:
        await _attempt(RemoteFile(other), work, seconds)
    except Exception as error:  # noqa: BLE001 - each library has its own
        if is_passing(error) or is_denied(error) or not has_answered(error):
            store.refused_at = time.monotonic()
            return False
    store.record_given(time.monotonic())
    return True


@contextmanager
def _telling_of_silence(store: StoreHealth, began: float, *, first: bool) -> Iterator[None]:
    """Tell of a store that has never answered, and does not answer a first attempt soon."""
    if not first or store.answered_at is not None:
        yield
        return

    def note() -> None:
        store.record_silence(began, time.monotonic())

    timer = asyncio.get_running_loop().call_later(_SILENT, note)
    try:
        yield
    finally:
        timer.cancel()


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
