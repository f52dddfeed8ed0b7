"""Repeats failed attempts: the class of a failure decides whether, and after how long.

Retries live here, above the place that can build a request anew, and nowhere below. backoff's decorators are
not used: they cannot share a pause, rebuild a body or tell failures apart.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import backoff

from opus_async.config import RetryPolicy
from opus_async.errors import APIError, MixedUpAnswer, Obstacle, OpusError, TransportError
from opus_async.events import FailureClass, RequestKind, RequestRetried, RequestUnanswered, current_job
from opus_async.transport.attempt import Attempt
from opus_async.transport.backoff_schedule import BackoffSchedule
from opus_async.transport.circuit_breaker import CircuitBreaker
from opus_async.transport.dispatch import Dispatcher
from opus_async.transport.failures import Failure
from opus_async.transport.limits import Priority, RequestLimiter
from opus_async.transport.shortage import Waits
from opus_async.transport.wait_clock import wait_clock

__all__ = ["Retrier"]

log = logging.getLogger("opus_async.transport")

ValueT = TypeVar("ValueT")

_LEAST_PAUSES = 3
"""Pauses in a row before a request that gets nothing but 429 is given up."""
_MAY_FOLLOW_ANYTHING = frozenset({FailureClass.SHORTAGE, FailureClass.UNSENT, FailureClass.THROTTLED})
"""Failures that prove that the request had no effect: after them even an order may be sent again."""
_WITHOUT_ANSWER = frozenset({Obstacle.NETWORK, Obstacle.CERTIFICATE})
"""Obstacles on the way to the host and back."""
_FINAL_CLASSES = frozenset({FailureClass.REFUSED, FailureClass.SHORTAGE})
"""Failures that no further attempt follows; of a shortage, once it has lasted for too long."""


@dataclass(slots=True, kw_only=True, eq=False)
class _FailedCall:
    """A call that has failed at least once: what was asked for, and how much patience is left.

    Attributes:
        operation: As in :meth:`Retrier.call`.
        repeatable: As in :meth:`Retrier.call`.
        request_key: As in :meth:`Retrier.call`.
        unreachable_after: As in :meth:`Retrier.call`.
        began: When its first attempt began, by the retrier's clock.
        schedule: Its waits after failures.
        shortage: Its waits for open files, memory or threads of this machine.
        maybe_effective: Whether an attempt failed after which the request may have taken effect.
    """

    operation: str
    repeatable: bool
    request_key: object
    unreachable_after: float | None
    began: float
    schedule: BackoffSchedule
    shortage: Waits
    maybe_effective: bool = False


class Retrier:
    """Repeats attempts, each in a slot of its own.

    Args:
        policy: How often and how long.
        limiter: Gives the slots; its throttling is told of every response, and learns limits.
        breaker: Told of every response; blocks the limiter while the host is down. None for no such check.
        kind: What the requests are for; those of ``Priority.POLL`` are polls.
        notify: Told of attempts that failed, and of the pauses after a 429. None for nobody.
        clock: Measures attempts, in seconds: the limiter's clock, which it is by default, or one in step.
        sleep: Waits so many seconds.
        jitter: From a backoff in seconds to the wait that is taken.
    """

    def __init__(
        self,
        policy: RetryPolicy,
        limiter: RequestLimiter,
        *,
        breaker: CircuitBreaker | None = None,
        kind: RequestKind = RequestKind.API,
        notify: Dispatcher | None = None,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        jitter: Callable[[float], float] = backoff.full_jitter,
    ) -> None:
        self._policy = policy
        self._limiter = limiter
        self._throttling = limiter.throttling
        self._breaker = breaker
        self._kind = kind
        self._notify = notify
        self._clock = clock or limiter.now
        self._sleep = sleep
        self._jitter = jitter

    async def call(
        self,
        operation: str,
        attempt: Callable[[Attempt], Awaitable[ValueT]],
        *,
        priority: Priority = Priority.WORK,
        repeatable: bool = True,
        policy: RetryPolicy | None = None,
        request_key: object = None,
        unreachable_after: float | None = None,
        waited: float = 0.0,
        about_to_send: Callable[[], Awaitable[None] | None] | None = None,
    ) -> ValueT:
        """Make attempts until one gives a value or the failure is final.

        Args:
            operation: Its name in events and logs, and for limits of its own.
            attempt: Makes one attempt; builds everything it sends anew.
            priority: What it goes before.
            repeatable: Whether a second sending after a lost response is harmless. If not, only failures that
                prove that it had no effect are repeated.
            policy: For this call alone.
            request_key: The same for all calls that request the same, so that one request that always fails
                is not taken for an outage of the host; None for a call like no other.
            unreachable_after: Seconds after which the call is given up when no connection came to be,
                whatever the policy's ``outage``; None for no such bound.
            waited: Seconds for which the caller waited for a slot of its own directly before; told with the
                wait for the first slot.
            about_to_send: Called once, when the first attempt has its turn. Where it returns something to be
                awaited, the attempt's slot is given to others meanwhile; it has its turn still, and goes
                before all that wait. What it raises ends the call, with nothing sent.

        Raises:
            HostDown: The host was given up, or is given up while this waits for it.
            OpusError: Of the last attempt; its message tells how many there were, over how long.
        """
        number = 0
        job_clock = wait_clock.get()
        failed: _FailedCall | None = None
        kind = RequestKind.POLL if priority is Priority.POLL else self._kind
        while True:
            number += 1
            if not self._limiter.try_acquire(priority, operation):  # ``async with slot()``, at half its price
                request_sent = failed is not None and failed.maybe_effective
                waited += await self._acquire(
                    priority, operation, number, repeatable=repeatable, request_sent=request_sent
                )
                started = self._clock()
            else:
                started = self._limiter.granted_at
            if about_to_send is not None:
                waited, started = await self._tell_first(about_to_send, waited, started)
                about_to_send = None
            this, waited = Attempt(number, kind, waited), 0.0
            job_clock.sending_begins()
            try:
                value = await attempt(this)
            except OpusError as error:
                failure = Failure.of(error)
            else:
                self._throttling.record_success(operation, sent_at=started)
                if self._breaker is not None and (self._breaker.failures or not self._breaker.answered):
                    self._breaker.record_success()
                return value
            finally:
                job_clock.sending_ends()
                self._limiter.release()
            took = self._clock() - started
            self._tell_unanswered(operation, failure.error, this, took)
            if failed is None:
                failed = _FailedCall(
                    operation=operation,
                    repeatable=repeatable,
                    request_key=request_key,
                    unreachable_after=unreachable_after,
                    began=started,
                    schedule=BackoffSchedule(policy or self._policy, self._jitter),
                    shortage=Waits(self._policy.outage or self._policy.max_elapsed),
                )
            try:
                wait, paused = self._decide(failure, failed, took, started)
                if wait is None:
                    _finish(failure.error, number, self._clock() - failed.began)
                    raise failure.error
                failed.maybe_effective = failed.maybe_effective or failure.kind not in _MAY_FOLLOW_ANYTHING
                self._tell(operation, failure, this, took, wait)
                number -= failure.kind is FailureClass.SHORTAGE  # it was no attempt: nothing left
                throttled = failure.kind is FailureClass.THROTTLED
            finally:
                del failure  # its traceback leads to this frame: no cycle
            if wait > paused:
                await (self._wait_for_turn(wait) if throttled else self._sleep(wait))

    async def _acquire(
        self, priority: Priority, operation: str, number: int, *, repeatable: bool, request_sent: bool
    ) -> float:
        """Wait for a slot; returns for how many seconds."""
        asked = self._clock()
        if self._breaker is None:
            await self._limiter.acquire(priority, operation)
        else:
            await self._breaker.acquire(
                priority, operation, repeatable=repeatable, attempt=number, request_sent=request_sent
            )
        return self._clock() - asked

    async def _tell_first(
        self, about_to_send: Callable[[], Awaitable[None] | None], waited: float, started: float
    ) -> tuple[float, float]:
        """Tell that the first attempt is about to leave; it has no slot any more if this raises.

        Returns:
            For how many seconds it has waited for slots, and since when it has the one that it is sent with.
        """
        try:
            telling = about_to_send()
        except BaseException:
            self._limiter.release()
            raise
        if telling is None:
            return waited, started
        self._limiter.release()
        await telling
        asked = self._clock()
        await (self._limiter if self._breaker is None else self._breaker).reacquire()
        started = self._clock()
        return waited + (started - asked), started

    async def _wait_for_turn(self, wait: float) -> None:
        """Sleep after a 429 that asked for a longer wait than the pause of all."""
        clock = wait_clock.get()
        clock.wait_begins()
        try:
            await self._sleep(wait)
        finally:
            clock.wait_ends()

    def _decide(
        self, failure: Failure, call: _FailedCall, took: float, started: float
    ) -> tuple[float | None, float]:
        """What follows a failed attempt; tells limiter and breaker of it.

        Returns:
            Seconds to wait (None to give up), and how many of them the limiter sees to.
        """
        if failure.kind is FailureClass.SHORTAGE and (wait := call.shortage.next_wait()) is not None:
            return wait, 0.0
        if failure.error.is_final:
            return None, 0.0
        wait, paused = self._wait_after(failure, call, took, started)
        if (
            wait is not None
            and call.unreachable_after is not None
            and failure.kind is FailureClass.UNSENT
            and not call.maybe_effective
            and self._clock() - call.began + took + wait > call.unreachable_after
        ):
            return None, paused
        return wait, paused

    def _wait_after(
        self, failure: Failure, call: _FailedCall, took: float, started: float
    ) -> tuple[float | None, float]:
        schedule, kind = call.schedule, failure.kind
        asked = schedule.capped(failure.retry_after)
        paused = self._tell_limiter(failure, call.operation, asked, started)
        hosts_fault = self._tell_breaker(failure, asked, call.request_key or call, took)
        if kind in _FINAL_CLASSES or not failure.retryable:
            return None, paused
        if kind is FailureClass.THROTTLED:
            return self._after_throttling(schedule, asked, paused), paused
        if not call.repeatable and kind not in _MAY_FOLLOW_ANYTHING:
            return None, paused
        if hosts_fault:
            return self._after_outage(schedule, asked, paused)
        return schedule.after_failure(took, asked, paused), paused

    def _tell_limiter(self, failure: Failure, operation: str, asked: float | None, started: float) -> float:
        """Tell the limiter of a failure; returns the seconds that such requests pause for it."""
        kind = failure.kind
        if kind is FailureClass.THROTTLED or (kind is FailureClass.OVERLOADED and asked is not None):
            return self._throttling.record_throttling(asked, operation=operation, sent_at=started)
        if kind is FailureClass.OVERLOADED:
            self._throttling.record_overload(operation, sent_at=started)
        elif kind is FailureClass.GARBLED or failure.status is not None:
            self._throttling.record_response(operation, sent_at=started)
        return 0.0

    def _tell_breaker(self, failure: Failure, asked: float | None, request_key: object, took: float) -> bool:
        """Tell the breaker of a failure; returns whether the host is to blame, and not the request."""
        kind = failure.kind
        if self._breaker is None or not failure.retryable or kind is FailureClass.SHORTAGE:
            return False
        if kind is FailureClass.REFUSED or isinstance(failure.error, MixedUpAnswer):
            if kind is not FailureClass.REFUSED or failure.status is not None:
                self._breaker.record_success()  # the host is up, though it may answer something else
            return False
        if kind is FailureClass.THROTTLED:
            return False
        if kind is FailureClass.OVERLOADED and asked is not None:  # it is up, and says when: as with a 429
            return 0 < self._throttling.lasted < (self._policy.outage or 0)
        unsent = kind is FailureClass.UNSENT
        return self._breaker.record_failure(failure.reason, request_key, unsent=unsent, took=took)

    def _after_outage(
        self, schedule: BackoffSchedule, asked: float | None, paused: float
    ) -> tuple[float, float]:
        """The wait after a failure that uses up nothing; while the breaker is open, it sees to the wait."""
        if self._breaker is not None and self._breaker.is_open:
            return self._breaker.probe_delay, self._breaker.probe_delay
        return max(schedule.after_throttling(None, paused), asked or 0.0), paused

    def _after_throttling(
        self, schedule: BackoffSchedule, asked: float | None, paused: float
    ) -> float | None:
        patience = self._policy.outage or schedule.patience
        hopeless = self._throttling.lasted >= patience and self._throttling.pauses >= _LEAST_PAUSES
        return None if hopeless else schedule.after_throttling(asked, paused)

    def _tell_unanswered(self, operation: str, error: OpusError, attempt: Attempt, took: float) -> None:
        """Tell listeners of an attempt that went out to the network and got no answer."""
        if self._notify is None or RequestUnanswered not in self._notify.heard:
            return
        if isinstance(error, TransportError) and error.obstacle in _WITHOUT_ANSWER and error.method:
            failure = FailureClass.BROKEN if error.request_sent else FailureClass.UNSENT
            self._notify(
                attempt.unanswered(operation, error.method, error.url, failure=failure, seconds=took)
            )

    def _tell(self, operation: str, failure: Failure, attempt: Attempt, took: float, wait: float) -> None:
        """Log a failure that another attempt follows, and tell listeners."""
        if self._breaker is not None and self._breaker.gave_up:
            return  # there is no other attempt: it is rejected
        reason = failure.reason
        log.info("%s: attempt %d failed (%s); again in %.2f s", operation, attempt.number, reason, wait)
        if self._notify is None:
            return
        if failure.kind is FailureClass.THROTTLED:
            for meter in self._notify.meters:
                meter.paused(wait)
        if RequestRetried not in self._notify.heard:
            return
        job = current_job.get()
        self._notify(
            RequestRetried(
                index=job.index,
                key=job.key,
                job_id=job.job_id,
                attempt=attempt.number,
                operation=operation,
                kind=attempt.kind,
                failure=failure.kind,
                status=failure.status,
                code=failure.code,
                reason=reason,
                waited=attempt.waited,
                seconds=took,
                wait=wait,
            )
        )


def _finish(error: OpusError, number: int, seconds: float) -> None:
    """Say in an error that no attempt follows, and how many there were."""
    if error.is_final:
        return
    error.is_final = True
    if isinstance(error, APIError | TransportError):
        error.attempt = number
    if number > 1:
        error.message = f"{error.message} (gave up after {number} attempts over {seconds:.1f} s)"
