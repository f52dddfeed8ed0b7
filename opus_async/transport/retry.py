"""What follows a failure: its class decides the wait, the stop, and whether to send a second time at all.

Waits come from backoff's ``expo`` with its full jitter; backoff's decorators cannot share a pause, rebuild a
body or tell failures apart. Retries live here, above the place that can build a request anew, and nowhere
below.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import backoff

from opus_async.config import RetryPolicy
from opus_async.errors import (
    APIError,
    DownloadError,
    MixedUpAnswer,
    NotFound,
    OpusError,
    ProtocolError,
    QuotaExhausted,
    TransportError,
    UploadError,
)
from opus_async.events import Event, FailureClass, RequestKind, RequestRetried, current_job
from opus_async.transport.attempt import Attempt
from opus_async.transport.circuit_breaker import CircuitBreaker
from opus_async.transport.limits import Priority, RequestLimiter
from opus_async.transport.shortage import Waits

__all__ = ["Retrier", "Schedule", "classify"]

log = logging.getLogger("opus_async.transport")

ValueT = TypeVar("ValueT")

_LEAST_PAUSES = 3
_TOO_MANY = 429
_UNAVAILABLE = 503
_NOT_IMPLEMENTED = 501
_SERVER_ERRORS = 500
_WORTH_REPEATING = frozenset({408, 425})
"""Request Timeout and Too Early: the server says itself that the same request may come again."""
_STORAGE_SLOW = frozenset({"SlowDown", "ServiceUnavailable", "RequestLimitExceeded"})
_STORAGE_AGAIN = frozenset({"RequestTimeout", "InternalError", "OperationAborted"})


_FINAL = "_retried_to_the_end"
"""Set on an error that was raised for good: a retrier around a retrier must not multiply the attempts, nor
slow its own gate down for a storm elsewhere."""


_MAY_FOLLOW_ANYTHING = frozenset({FailureClass.SHORTAGE, FailureClass.UNSENT, FailureClass.THROTTLED})
"""Failures after which even an order that starts a bill may be sent again."""


_FINAL_CLASSES = frozenset({FailureClass.REFUSED, FailureClass.SHORTAGE})
"""Failures that no further attempt follows; of a shortage, once it has lasted for too long."""


def classify(error: OpusError) -> FailureClass:  # noqa: PLR0911 - a table
    """What this error says happened to the request."""
    if error.shortage:
        return FailureClass.SHORTAGE
    match error:
        case NotFound() | QuotaExhausted():
            return FailureClass.REFUSED  # whatever the status: some answers say so with a 500, or a 429
        case TransportError():
            return FailureClass.BROKEN if error.request_sent else FailureClass.UNSENT
        case UploadError(status=None) | DownloadError(status=None):
            return FailureClass.REFUSED
        case UploadError(code=code) | DownloadError(code=code) if code in _STORAGE_SLOW:
            return FailureClass.OVERLOADED
        case UploadError(code=code) | DownloadError(code=code) if code in _STORAGE_AGAIN:
            return FailureClass.SERVER
        case APIError() | UploadError() | DownloadError():
            return _classify_status(error.status or 0)
        case ProtocolError():
            return FailureClass.GARBLED
    return FailureClass.REFUSED


def _classify_status(status: int) -> FailureClass:
    if status == _TOO_MANY:
        return FailureClass.THROTTLED
    if status == _UNAVAILABLE:
        return FailureClass.OVERLOADED
    if status in _WORTH_REPEATING or (status >= _SERVER_ERRORS and status != _NOT_IMPLEMENTED):
        return FailureClass.SERVER
    return FailureClass.REFUSED


class Schedule:
    """The waits of one request, and when it stops: arithmetic, no clock, no sleeping.

    Never more than ``policy.attempts`` attempts and no wait that ends after ``policy.max_elapsed`` seconds of
    attempts and waits. Throttled attempts use up neither.
    """

    __slots__ = ("_failed", "_jitter", "_policy", "_spent", "_waits")

    def __init__(self, policy: RetryPolicy, jitter: Callable[[float], float] = backoff.full_jitter) -> None:
        self._policy = policy
        self._jitter = jitter
        self._waits = backoff.expo(base=2, factor=policy.base, max_value=policy.cap)
        next(self._waits)  # the first value belongs to backoff's own send() protocol
        self._failed = 0
        self._spent = 0.0

    @property
    def patience(self) -> float:
        """Seconds of nothing but 429 after which it is given up."""
        return self._policy.max_elapsed

    def after_failure(
        self, took: float, retry_after: float | None = None, paused: float = 0.0
    ) -> float | None:
        """Seconds to wait after an attempt that took ``took`` seconds; None to give up.

        ``retry_after`` is waited for at the least. ``paused`` of it is a shared pause, which costs nothing.
        """
        self._failed += 1
        self._spent += took
        if self._failed >= self._policy.attempts:
            return None
        wait = max(self._next_wait(), self.capped(retry_after) or 0.0)
        cost = max(0.0, wait - paused)
        if self._spent + cost >= self._policy.max_elapsed:
            return None
        self._spent += cost
        return max(wait, paused)

    def after_throttling(self, retry_after: float | None, paused: float) -> float:
        """Seconds to wait after a 429, the shared pause included."""
        return paused if retry_after is not None else max(paused, self._next_wait())

    def capped(self, retry_after: float | None) -> float | None:
        """What a server asked for, but no longer than the whole patience of this request."""
        return None if retry_after is None else min(max(retry_after, 0.0), self._policy.max_elapsed)

    def _next_wait(self) -> float:
        return self._jitter(next(self._waits))


class Retrier:
    """Repeats attempts, each in a turn of its own at the gate.

    Args:
        policy: How often and how long.
        gate: Told of every answer; its pauses hold everybody.
        breaker: Told of every answer; holds the gate while the host is in trouble. None where nobody looks
            for that.
        kind: What the requests are for; those of the poll lane are polls.
        notify: Called with a RequestRetried before each wait.
        clock: Measures attempts, in step with the gate's clock, which it is by default.
        sleep: Waits.
        jitter: From a backoff to the wait that is taken.
    """

    def __init__(
        self,
        policy: RetryPolicy,
        gate: RequestLimiter,
        *,
        breaker: CircuitBreaker | None = None,
        kind: RequestKind = RequestKind.API,
        notify: Callable[[Event], None] | None = None,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        jitter: Callable[[float], float] = backoff.full_jitter,
    ) -> None:
        self._policy = policy
        self._gate = gate
        self._breaker = breaker
        self._kind = kind
        self._notify = notify
        self._clock = clock or gate.now
        self._sleep = sleep
        self._jitter = jitter

    async def call(  # noqa: C901 - one loop, and what may follow an attempt
        self,
        operation: str,
        attempt: Callable[[Attempt], Awaitable[ValueT]],
        *,
        lane: Priority = Priority.WORK,
        repeatable: bool = True,
        policy: RetryPolicy | None = None,
        subject: object = None,
        reach: float | None = None,
        waited: float = 0.0,
    ) -> ValueT:
        """Make attempts until one gives a value or the failure is final.

        Args:
            operation: Its name in events and logs, and for limits of its own.
            attempt: Makes one attempt; builds everything it sends anew.
            lane: Where it queues.
            repeatable: Whether a second sending after a lost answer is harmless. If not, only failures
                that prove that nothing was obeyed are repeated.
            policy: For this call alone.
            subject: The same for all calls that ask the same, so that one thing alone that always fails is
                not taken for the host; None for a call like no other.
            reach: Seconds after which a host is given up to which no connection came to be, whatever the
                policy's ``outage``; None for no such bound.
            waited: Seconds for which the caller waited for a slot of its own directly before; told with the
                wait for the first turn.

        Raises:
            HostDown: The host was given up, or is given up while this waits for it.
            OpusError: Of the last attempt; its message tells how many there were, over how long.
        """
        number, began, schedule, unclear = 0, None, None, False
        kind = RequestKind.POLL if lane is Priority.POLL else self._kind
        shortage = Waits(self._policy.outage or self._policy.max_elapsed)
        while True:
            number += 1
            if not self._gate.enter_now(lane, operation):  # ``async with gate.slot(lane)``, at half its price
                waited += await self._enter(lane, operation, number, repeatable=repeatable, unclear=unclear)
            started = self._clock()
            this, waited = Attempt(number, kind, waited), 0.0
            try:
                value = await attempt(this)
            except OpusError as error:
                failure = error
            else:
                self._gate.succeeded()
                if self._breaker is not None and (self._breaker.failures or not self._breaker.answered):
                    self._breaker.heard()
                return value
            finally:
                self._gate.leave()
            took = self._clock() - started
            began = started if began is None else began
            if failure.shortage and (lasting := shortage.next_wait()) is not None:
                self._tell(operation, failure, this, took, lasting)
                del failure
                number -= 1  # it was no attempt: nothing left
                await self._sleep(lasting)
                continue
            if schedule is None:
                schedule = Schedule(policy or self._policy, self._jitter)
            try:
                wait, pause = self._judge(
                    failure, schedule, took, started, repeatable=repeatable, subject=subject or schedule
                )
                if reach is not None and not unclear and classify(failure) is FailureClass.UNSENT:
                    wait = _within(wait, reach - (self._clock() - began) - took)
                if wait is None:
                    _finish(failure, number, self._clock() - began)
                    raise failure
                unclear = unclear or classify(failure) not in _MAY_FOLLOW_ANYTHING
                self._tell(operation, failure, this, took, wait)
            finally:
                del failure  # its traceback leads to this frame: no cycle
            if wait > pause:
                await self._sleep(wait)

    async def _enter(
        self, lane: Priority, operation: str, number: int, *, repeatable: bool, unclear: bool
    ) -> float:
        """Wait for a turn; returns for how many seconds, where anybody listens."""
        asked = self._clock() if self._listened_to else None
        if self._breaker is None:
            await self._gate.enter(lane, operation)
        else:
            await self._breaker.enter(
                lane, operation, harmless=repeatable, attempt=number, request_sent=unclear
            )
        return 0.0 if asked is None else self._clock() - asked

    def _judge(
        self,
        error: OpusError,
        schedule: Schedule,
        took: float,
        started: float,
        *,
        repeatable: bool,
        subject: object,
    ) -> tuple[float | None, float]:
        """The wait (None: give up) and how much of it the gate sees to; tells the gate what came."""
        if _FINAL in vars(error):
            return None, 0.0
        kind = classify(error)
        asked = schedule.capped(getattr(error, "retry_after", None))
        paused = 0.0
        if kind is FailureClass.THROTTLED or (kind is FailureClass.OVERLOADED and asked is not None):
            paused = self._gate.throttled(asked, sent_at=started)
        elif kind is FailureClass.OVERLOADED:
            self._gate.strained(sent_at=started)
        elif kind is FailureClass.GARBLED or isinstance(getattr(error, "status", None), int):
            self._gate.answered()
        forgiven = self._ask_breaker(error, kind, asked, subject)
        if kind in _FINAL_CLASSES or not getattr(error, "retryable", True):
            return None, paused
        if kind is FailureClass.THROTTLED:
            return self._after_throttling(schedule, asked, paused), paused
        if not repeatable and kind not in _MAY_FOLLOW_ANYTHING:
            return None, paused
        if forgiven:
            return self._after_outage(schedule, asked, paused)
        return schedule.after_failure(took, asked, paused), paused

    def _ask_breaker(
        self, error: OpusError, kind: FailureClass, asked: float | None, subject: object
    ) -> bool:
        """Tell the breaker what came; returns whether it is the host's misfortune and not this request's."""
        if self._breaker is None or not getattr(error, "retryable", True) or kind is FailureClass.SHORTAGE:
            return False
        if kind is FailureClass.REFUSED or isinstance(error, MixedUpAnswer):
            if kind is not FailureClass.REFUSED or isinstance(getattr(error, "status", None), int):
                self._breaker.heard()  # it is there, though it may speak of something else
            return False
        if kind is FailureClass.THROTTLED:
            return False
        if kind is FailureClass.OVERLOADED and asked is not None:  # it is there, and says when: as with a 429
            return 0 < self._gate.throttled_for < (self._policy.outage or 0)
        return self._breaker.failed(_reason(error, kind), subject, unsent=kind is FailureClass.UNSENT)

    def _after_outage(self, schedule: Schedule, asked: float | None, paused: float) -> tuple[float, float]:
        """The wait after a failure that uses up nothing; while the breaker holds, it sees to that."""
        if self._breaker is not None and self._breaker.holds:
            return self._breaker.next_probe, self._breaker.next_probe
        return max(schedule.after_throttling(None, paused), asked or 0.0), paused

    def _after_throttling(self, schedule: Schedule, asked: float | None, paused: float) -> float | None:
        patience = self._policy.outage or schedule.patience
        hopeless = self._gate.throttled_for >= patience and self._gate.pauses >= _LEAST_PAUSES
        return None if hopeless else schedule.after_throttling(asked, paused)

    @property
    def _listened_to(self) -> bool:
        return self._notify is not None and getattr(self._notify, "active", True)

    def _tell(self, operation: str, error: OpusError, attempt: Attempt, took: float, wait: float) -> None:
        if self._breaker is not None and self._breaker.given_up:
            return  # there is no other attempt: it is turned away
        failure = classify(error)
        reason = _reason(error, failure)
        log.info("%s: attempt %d failed (%s); again in %.2f s", operation, attempt.number, reason, wait)
        if self._notify is None or not self._listened_to:
            return
        job = current_job.get()
        status, code = _answer(error)
        self._notify(
            RequestRetried(
                index=job.index,
                key=job.key,
                job_id=job.job_id,
                attempt=attempt.number,
                operation=operation,
                kind=attempt.kind,
                failure=failure,
                status=status,
                code=code,
                reason=reason,
                waited=attempt.waited,
                seconds=took,
                wait=wait,
            )
        )


def _reason(error: OpusError, kind: FailureClass) -> str:
    return f"{kind.value}: {_seen(error)}"


def _seen(error: OpusError) -> str:
    status, code = _answer(error)
    if status is not None:
        return f"HTTP {status} {code}" if code else f"HTTP {status}"
    return error.message.partition("\n")[0]


def _answer(error: OpusError) -> tuple[int | None, str | None]:
    """The HTTP status and the error code that were answered, as far as they were."""
    status = getattr(error, "status", None)
    return (status, getattr(error, "code", None)) if isinstance(status, int) else (None, None)


def _within(wait: float | None, left: float) -> float | None:
    """This wait, if there is time left for it; None to give up."""
    return wait if wait is not None and wait <= left else None


def _finish(error: OpusError, number: int, seconds: float) -> None:
    if _FINAL in vars(error):
        return
    vars(error)[_FINAL] = True
    if isinstance(error, APIError | TransportError):
        error.attempt = number
    if number > 1:
        error.message = f"{error.message} (gave up after {number} attempts over {seconds:.1f} s)"
