"""Circuit breaker for one host: open while the host is down, half-open for one probe at a time.

When a name cannot be resolved, a cable is out or a gateway answers nothing but 502, every request would use
up its attempts within a minute, and a batch would lose row after row. So failures are counted over all
requests to one host, and once they say that the host itself is in trouble its gate is held. One waiting
request goes out now and then as a probe; the first good answer lets the others follow, one by one.

What is one request's own misfortune stays its own: any good answer, also a plain no, ends the suspicion, and
an answered failure blames the host only when different requests meet it.
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
"""In a row: as many as one request has attempts, so that one alone ends before it holds anything up."""
MIN_DURATION = 3.0
"""Seconds over which they must come: one restart breaks many connections in the same moment."""
FAILURE_WINDOW = 300.0
"""Seconds after which a failure says nothing any more; longer than a time-out and the backoff after it."""
FIRST_PROBE = 1.0
LAST_PROBE = 30.0
"""Seconds between probes, at first and at most: an end is noticed soon, and nobody is hammered."""
_JITTER = 0.25
"""Of the wait between probes, either way: many clients lose one host in the same instant."""


class CircuitBreaker:
    """Holds the gate of one host while that host is in trouble.

    Args:
        host: Its name in messages and events.
        gate: Its gate; held and resumed here.
        policy: ``outage``, or else ``max_elapsed``, is how long requests are held before the host is given
            up: then they get a HostDown, and single ones go on probing.
        notify: Told a HostTroubled when trouble begins, when the host is given up, and when it is over.
        random: A source of numbers in [0, 1).
        certain: Whether the host is known to be the right one. If not, and before it has answered anybody,
            one subject that cannot reach it is not enough to blame it.

    Attributes:
        answered: Whether it ever gave a good answer, or a plain no.
        failures: In a row, of those that blame the host; 0 while all is well.
        given_up: Whether requests are no longer held, but refused.
    """

    def __init__(
        self,
        host: str,
        gate: RequestLimiter,
        policy: RetryPolicy,
        *,
        notify: Callable[[Event], None] | None = None,
        random: Callable[[], float] = random_module.random,
        certain: bool = True,
    ) -> None:
        self.answered = False
        self.failures = 0
        self.given_up = False
        self._host = host
        self._gate = gate
        self._patience = policy.outage or policy.max_elapsed
        self._forgives = policy.outage is not None
        self._notify = notify
        self._random = random
        self._certain = certain
        self._reason = ""
        self._first_subject: object = None
        self._several = False
        self._began = self._failed_at = 0.0
        self._interval = self._probe_at = 0.0
        self._probe_timer: asyncio.TimerHandle | None = None
        self._patience_timer: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def holds(self) -> bool:
        """Whether the gate is held: nobody sends anything but probes."""
        return self._gate.held

    @property
    def next_probe(self) -> float:
        """Seconds until a probe may go."""
        return max(0.0, self._probe_at - self._gate.now())

    def heard(self) -> None:
        """The host gave a good answer, or a plain no: it is well."""
        if self.holds:
            self._end("it answers again")
        self.answered = True
        self.failures = 0

    def failed(self, reason: str, subject: object, *, unsent: bool) -> bool:
        """The host gave no answer, or none that a host in order gives.

        Args:
            reason: What was seen, for messages.
            subject: What was asked; the same object or text when the same is asked again.
            unsent: Whether not even a connection came to be: no request can be to blame for that.

        Returns:
            Whether it counts for nothing against the request: it is the host's misfortune, and the policy has
            an ``outage`` to wait for, or the host was given up.
        """
        now = self._gate.now()
        if not self.holds and now - self._failed_at > FAILURE_WINDOW:
            self.failures = 0
        if self.failures == 0:
            self._began, self._first_subject, self._several = now, subject, False
        self.failures += 1
        self._failed_at, self._reason = now, reason
        self._several = self._several or subject != self._first_subject
        blamed = self.holds or self._several or (unsent and (self._certain or self.answered))
        if blamed and self.failures >= FAILURES and now - self._began >= MIN_DURATION:
            self._begin()
        return blamed and (self._forgives or self.given_up)

    async def enter(
        self, lane: Priority, operation: str, *, harmless: bool, attempt: int, request_sent: bool
    ) -> None:
        """Wait for a turn at the gate, as :meth:`RequestLimiter.enter` does, and for the end of the trouble.

        Args:
            lane: Where to queue.
            operation: What the request does.
            harmless: Whether the request may be a probe before all others.
            attempt: Its number, from 1.
            request_sent: Whether an earlier attempt of it may have been obeyed; the error will tell.

        Raises:
            HostDown: The host was given up.
        """
        if self.holds and not self._admits(new=attempt == 1):
            raise self._down(request_sent=request_sent)
        try:
            await self._gate.enter(lane, operation, harmless=harmless)
        except HostDown:
            raise self._down(request_sent=request_sent) from None

    def close(self) -> None:
        """Leave no timer behind and hold nothing from here on; the gate is closed by whoever made it."""
        self._closed = True
        self._cancel_timers()

    def _admits(self, *, new: bool) -> bool:
        """Whether somebody who comes while the gate is held may wait there."""
        if new and not self._gate.waiting and self._gate.now() - self._failed_at > FAILURE_WINDOW:
            self._end("nobody has asked it for a while")  # what was known of it is out of date
            return True
        if self.given_up and (not new or self.next_probe > 0 or self._gate.waiting):
            return False
        self._arm()
        return True

    def _begin(self) -> None:
        if self.holds or self._closed:
            return
        self._gate.hold()
        self._interval = FIRST_PROBE
        self._probe_at = self._gate.now() + self._spread(self._interval)
        self._arm()
        loop = asyncio.get_running_loop()
        self._patience_timer = loop.call_later(self._patience, self._give_up)
        log.warning("%s is not answering (%s): requests to it wait", self._host, self._reason)
        self._tell(HostState.DOWN, self._reason)

    def _end(self, reason: str) -> None:
        log.warning("%s: %s, after %.0f s", self._host, reason, self._seconds)
        self._tell(HostState.UP, reason)
        self._cancel_timers()
        self.given_up = False
        self.failures = 0
        self._gate.resume()

    def _give_up(self) -> None:
        self._patience_timer = None
        self.given_up = True
        log.warning("%s is given up after %.0f s (%s)", self._host, self._seconds, self._reason)
        self._tell(HostState.GIVEN_UP, self._reason)
        self._gate.turn_away(lambda: self._down(request_sent=False))

    def _probe(self) -> None:
        self._probe_timer = None
        if not self._gate.waiting:
            return  # the next one who comes is the probe
        wait = self._gate.let_one()
        if wait <= 0:
            self._interval = min(self._interval * 2, LAST_PROBE)
            wait = self._spread(self._interval)
        self._probe_at = self._gate.now() + wait
        self._arm()

    def _arm(self) -> None:
        if self._probe_timer is None and not self._closed:
            self._probe_timer = asyncio.get_running_loop().call_later(self.next_probe, self._probe)

    def _cancel_timers(self) -> None:
        for timer in (self._probe_timer, self._patience_timer):
            if timer is not None:
                timer.cancel()
        self._probe_timer = self._patience_timer = None

    def _spread(self, wait: float) -> float:
        return wait * (1.0 + _JITTER * (2.0 * self._random() - 1.0))

    @property
    def _seconds(self) -> float:
        """For how long nothing good was heard."""
        return self._gate.now() - self._began

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
        if self._notify is not None and getattr(self._notify, "active", True):
            self._notify(HostTroubled(host=self._host, state=state, reason=reason, seconds=self._seconds))
