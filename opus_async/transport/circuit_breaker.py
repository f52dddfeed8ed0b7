"""Circuit breaker for one host: open while the host is down, half-open for one probe at a time.

When a name cannot be resolved, a cable is out or a gateway answers nothing but 502, every request would use
up its attempts within a minute, and a batch would lose row after row. So failures are counted over all
requests to one host, and once they say that the host itself is down, its limiter is blocked. One waiting
request goes out now and then as a probe; the first good response lets the others follow, one by one.

A failure of one request alone is not the host's: any good response, also a refusal, sets the count back to 0,
and failures that were answered (5xx, say) count only when different requests meet them.
"""

from __future__ import annotations

import asyncio
import logging
import random as random_module
from collections.abc import Callable

from opus_async.config import RetryPolicy
from opus_async.errors import HostDown
from opus_async.events import Event, HostState, HostTroubled
from opus_async.gaps import gapped, literal
from opus_async.transport.limits import Priority, RequestLimiter

__all__ = ["CircuitBreaker"]

log = logging.getLogger("opus_async.transport")

FAILURES = 8
"""Failures in a row that open it: as many as one request has attempts, so that one alone ends before that."""
TOLD_AFTER = 1.0
"""Seconds without a good response after which listeners are told, long before it opens."""
MIN_DURATION = 3.0
"""Seconds over which those failures must come: one restart breaks many connections in the same moment."""
FAILURE_WINDOW = 300.0
"""Seconds after which a failure is forgotten; longer than a time-out and the backoff after it."""
FIRST_PROBE = 1.0
LAST_PROBE = 30.0
"""Seconds between probes, at first and at most: the end of an outage is noticed soon, with few requests."""
_ANSWERS = "it answers again"
_JITTER = 0.25
"""Share by which waits between probes vary, either way: many clients lose one host in the same instant."""


class CircuitBreaker:
    """Blocks the limiter of one host while that host is down.

    Args:
        host: Its name in messages and events.
        limiter: Its request limiter; blocked and unblocked here.
        policy: ``outage``, or else ``max_elapsed``, is how many seconds requests wait before the host is
            given up: then they get a HostDown, and single ones go on probing.
        notify: Called with a HostTroubled when the host gives no good response, when it goes down, when it is
            given up, and when it is back.
        random: A source of numbers in [0, 1).
        known_host: Whether the host is known to be the right one. If not, and before it has answered
            anything, it takes more than one request that cannot reach it to count it as down.

    Attributes:
        answered: Whether it ever gave a good response, or a refusal.
        failures: Failures in a row; 0 after a good response.
        gave_up: Whether requests no longer wait, but fail at once.
    """

    def __init__(
        self,
        host: str,
        limiter: RequestLimiter,
        policy: RetryPolicy,
        *,
        notify: Callable[[Event], None] | None = None,
        random: Callable[[], float] = random_module.random,
        known_host: bool = True,
    ) -> None:
        self.answered = False
        self.failures = 0
        self.gave_up = False
        self._host = host
        self._limiter = limiter
        self._patience = policy.outage or policy.max_elapsed
        self._forgives = policy.outage is not None
        self._notify = notify
        self._random = random
        self._known_host = known_host
        self._reason = ""
        self._first_key: object = None
        self._several = False
        self._told_failing = False
        self._failing_timer: asyncio.TimerHandle | None = None
        self._began = self._failed_at = 0.0
        self._interval = self._probe_at = 0.0
        self._probe_timer: asyncio.TimerHandle | None = None
        self._patience_timer: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def is_open(self) -> bool:
        """Whether the limiter is blocked: nothing is sent but probes."""
        return self._limiter.blocked

    @property
    def probe_delay(self) -> float:
        """Seconds until the next probe may go."""
        return max(0.0, self._probe_at - self._limiter.now())

    def record_success(self) -> None:
        """Count a good response, or a refusal: the host is up."""
        if self.is_open:
            self._recover(_ANSWERS)
        elif self._told_failing:
            self._tell(HostState.UP, _ANSWERS)
            self._told_failing = False
        self._cancel_timers()
        self.answered = True
        self.failures = 0

    def record_failure(self, reason: str, request_key: object, *, unsent: bool, took: float = 0.0) -> bool:
        """Count a request to which the host gave no response, or none that a healthy host gives.

        Args:
            reason: What was seen, for messages.
            request_key: The same object or text when the same is requested again.
            unsent: Whether there was not even a connection: no request can be to blame for that.
            took: Seconds from the beginning of the attempt to its failure.

        Returns:
            Whether it uses up none of the request's attempts: the host is to blame, and the policy has an
            ``outage`` to wait for, or the host was given up.
        """
        now = self._limiter.now()
        if not self.is_open and now - self._failed_at > FAILURE_WINDOW:
            self.failures = 0
        if self.failures == 0:
            self._began, self._first_key, self._several = now, request_key, False
        self.failures += 1
        self._failed_at, self._reason = now, reason
        self._several = self._several or request_key != self._first_key
        blamed = self.is_open or self._several or (unsent and (self._known_host or self.answered))
        if blamed or not self.answered:  # else one request alone may be to blame
            self._tell_failing_in(self._began + TOLD_AFTER - now - (took if unsent else 0.0))
        if blamed and self.failures >= FAILURES and now - self._began >= MIN_DURATION:
            self._trip()
        return blamed and (self._forgives or self.gave_up)

    async def acquire(
        self, priority: Priority, operation: str, *, repeatable: bool, attempt: int, request_sent: bool
    ) -> None:
        """Wait for a slot, as :meth:`RequestLimiter.acquire` does, and for the end of an outage.

        Args:
            priority: What the request goes before.
            operation: The name of the request.
            repeatable: Whether the request may be a probe before all others.
            attempt: Its number, from 1.
            request_sent: Whether an earlier attempt of it may have taken effect; told in the error.

        Raises:
            HostDown: The host was given up.
        """
        if self.is_open and not self._admits(new=attempt == 1):
            raise self._down(request_sent=request_sent)
        try:
            await self._limiter.acquire(priority, operation, repeatable=repeatable)
        except HostDown:
            raise self._down(request_sent=request_sent) from None

    async def reacquire(self) -> None:
        """Wait for a slot once more, as :meth:`RequestLimiter.reacquire` does, and for the end of an outage.

        Raises:
            HostDown: The host was given up; the request was not sent.
        """
        if self.is_open and not self._admits(new=False):
            raise self._down(request_sent=False)
        await self._limiter.reacquire()

    def close(self) -> None:
        """Leave no timer behind and block nothing from now on; the limiter is closed by whoever made it."""
        self._closed = True
        self._cancel_timers()

    def _admits(self, *, new: bool) -> bool:
        """Whether a request that comes while it is open may wait for its slot."""
        if new and not self._limiter.waiting and self._limiter.now() - self._failed_at > FAILURE_WINDOW:
            self._recover("nobody has asked it for a while")  # what was known of it is out of date
            return True
        if self.gave_up and (not new or self.probe_delay > 0 or self._limiter.waiting):
            return False
        self._arm()
        return True

    def _trip(self) -> None:
        if self.is_open or self._closed:
            return
        self._limiter.block()
        self._interval = FIRST_PROBE
        self._probe_at = self._limiter.now() + self._spread(self._interval)
        self._arm()
        loop = asyncio.get_running_loop()
        self._patience_timer = loop.call_later(self._patience, self._give_up)
        log.warning("%s is not answering (%s): requests to it wait", self._host, self._reason)
        self._tell(HostState.DOWN, self._reason)

    def _tell_failing_in(self, seconds: float) -> None:
        if self._failing_timer is None and not (self._told_failing or self.is_open or self._closed):
            loop = asyncio.get_running_loop()
            self._failing_timer = loop.call_later(max(seconds, 0.0), self._tell_failing)

    def _tell_failing(self) -> None:
        """Tell that there was no good response for a while; the first one cancels this."""
        self._failing_timer = None
        if not self.is_open:
            self._told_failing = True
            self._tell(HostState.FAILING, self._reason)

    def _recover(self, reason: str) -> None:
        log.warning("%s: %s, after %.0f s", self._host, reason, self._seconds)
        self._tell(HostState.UP, reason)
        self._cancel_timers()
        self.gave_up = self._told_failing = False
        self.failures = 0
        self._limiter.unblock()

    def _give_up(self) -> None:
        self._patience_timer = None
        self.gave_up = True
        log.warning("%s is given up after %.0f s (%s)", self._host, self._seconds, self._reason)
        self._tell(HostState.GIVEN_UP, self._reason)
        self._limiter.reject_all(lambda: self._down(request_sent=False))

    def _probe(self) -> None:
        self._probe_timer = None
        if not self._limiter.waiting:
            return  # the next one who comes is the probe
        wait = self._limiter.admit_one()
        if wait <= 0:
            self._interval = min(self._interval * 2, LAST_PROBE)
            wait = self._spread(self._interval)
        self._probe_at = self._limiter.now() + wait
        self._arm()

    def _arm(self) -> None:
        if self._probe_timer is None and not self._closed:
            self._probe_timer = asyncio.get_running_loop().call_later(self.probe_delay, self._probe)

    def _cancel_timers(self) -> None:
        for timer in (self._failing_timer, self._probe_timer, self._patience_timer):
            if timer is not None:
                timer.cancel()
        self._failing_timer = self._probe_timer = self._patience_timer = None

    def _spread(self, wait: float) -> float:
        return wait * (1.0 + _JITTER * (2.0 * self._random() - 1.0))

    @property
    def _seconds(self) -> float:
        """Seconds without a good response."""
        return self._limiter.now() - self._began

    def _down(self, *, request_sent: bool) -> HostDown:
        seconds = self._seconds
        sent = (
            "an earlier attempt of this request may have been obeyed"
            if request_sent
            else "nothing of this request was obeyed"
        )
        error = HostDown(
            gapped(
                f"{{}} has given no good answer for {{}} s ({literal(self._reason)}); {sent}. Check the "
                "network, the VPN, the name server and the status page of the platform, then go on",
                self._host,
                f"{seconds:.0f}",
            ),
            host=self._host,
            seconds=seconds,
            request_sent=request_sent,
            answered=self.answered,
        )
        error.hint = "RetryPolicy.outage sets how long a host is waited for"
        return error

    def _tell(self, state: HostState, reason: str) -> None:
        if self._notify is not None:
            self._notify(HostTroubled(host=self._host, state=state, reason=reason, seconds=self._seconds))
