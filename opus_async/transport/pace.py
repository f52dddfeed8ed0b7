"""How fast to send to a server that has refused requests: at what is known of its limit, and then upwards.

Nothing is known at first: the rate grows fast until the server refuses again. Once its limit is known, the
rate is held just below it, for the longer the surer it is, and then grows slowly at first to notice a limit
that has risen. What the server saved up while nothing was sent is used, too, at no more than half again its
rate. Pure arithmetic: a clock is passed in, and nothing waits.
"""

from __future__ import annotations

from opus_async.transport.rate_estimate import Estimate
from opus_async.transport.rates import TokenBucket

LEAST = 0.02
"""Requests a second, whatever a server is thought to grant."""
FLOOR = 1.0
"""Requests a second at the least while no limit is known: slower, its end would not be noticed."""
LEAST_CLIMB = 2.0
"""Requests a second that are won back each second at the least while no limit is known."""
DOUBLING = 2.0
"""Growth in a second while no limit is known."""
RETURN = 1.35
"""The same after an overload or an outage: the server may still be weak."""
BELOW = 0.99
"""The share of a known limit that is used."""
SAVED = 0.75
LEFT = 2.0
"""The share of what the server saved up that is counted on, and requests that are left of it: the burst is
known less well than the rate."""
SPARED = 0.1
SPARED_LEAST = 7.0
"""What is left of it, where that is less, of a limit that is known: a share of the burst, and requests."""
SPENDING = 1.5
"""Times the rate at which savings are used: the later a refusal comes, the more it tells."""
SURE = 1.03
"""The doubt up to which a limit is taken for known."""
CONFIRMED = 1.05
"""The factor up to which two estimates are the same."""
HOLD = 12.0
HOLD_UNSURE = 3.0
HOLD_LONGEST = 90.0
"""Seconds for which a rate is held: at first; at first of a limit that is not known well; and at most."""
SWEEP = 2.0
"""Seconds of use, at the least, in which the rate then grows by the doubt of the limit."""
GROWTH_SHORTEST = 4.0
GROWTH_LONGEST = 60.0
"""Seconds of use after that in which it doubles, slowly at first: as long as it was held."""


class Pace:
    """The rate of requests that meet one limit.

    Args:
        now: The clock's reading, in seconds.

    Attributes:
        rate: Requests a second now.
        known: What is known of the limit; None while nothing is.
        held_until: Until when the rate stays as it is.
    """

    __slots__ = (
        "_climbed",
        "_grown",
        "_growth",
        "_hold",
        "_peak",
        "_steady",
        "_used",
        "held_until",
        "known",
        "rate",
    )

    def __init__(self, now: float) -> None:
        self.rate = FLOOR
        self.known: Estimate | None = None
        self.held_until = now
        self._growth = DOUBLING
        self._steady = TokenBucket(self.rate, now=now)
        self._peak: TokenBucket | None = None
        """Bounds how fast savings are used; None while nothing is known of any."""
        self._climbed = now
        self._grown = self._hold = 0.0
        self._used = False
        """Whether a request had to wait for the rate since it grew last."""

    def wait(self, now: float) -> float:
        """Seconds until the next request may go."""
        wait = self._steady.wait(now)
        if wait > 0.0:
            self._used = True
        if self._peak is not None:
            wait = max(wait, self._peak.wait(now))
        return wait

    def take(self, now: float) -> None:
        """Let a request go."""
        self._steady.take(now)
        if self._peak is not None:
            self._peak.take(now)

    def give_back(self) -> None:
        """Take a request back that did not go."""
        self._steady.give_back()
        if self._peak is not None:
            self._peak.give_back()

    def reserve(self, now: float) -> float:
        """Seconds for which what is saved up would last; the limit that is met is the one that has least."""
        return self._steady.tokens(now) / self.rate

    def explore(self, rate: float, now: float, *, growth: float = DOUBLING) -> None:
        """Go on at this rate, and faster with each success: nothing is known of the limit."""
        self.known, self._peak, self._growth = None, None, growth
        self.rate = max(rate, FLOOR)
        self.held_until = self._climbed = now
        self._steady.set_rate(self.rate, now)
        self._steady.refill(1.0, now)

    def follow(self, limit: Estimate, refused_at: float, now: float) -> None:
        """Go on just below a limit.

        Args:
            limit: What is known of it.
            refused_at: When it refused last: since then it has saved up.
            now: The clock's reading.
        """
        before = self.known
        sure = limit.doubt < SURE
        if before is not None and 1 / CONFIRMED < limit.rate / before.rate < CONFIRMED:
            self._hold *= 2
        else:
            self._hold = HOLD if sure else HOLD_UNSURE
        # A pause costs what it loses; a rate that is too low, at most the doubt of each second.
        self._hold = min(max(self._hold, limit.lost / max(limit.doubt - 1.0, 0.001)), HOLD_LONGEST)
        self.known, self._grown = limit, 0.0
        self.rate = max(BELOW * limit.rate, LEAST)
        self.held_until = now + self._hold
        self._climbed = now
        came_in = limit.rate * (now - refused_at)
        saved = min(limit.burst, came_in)
        usable = SAVED * saved - LEFT
        if sure:
            usable = max(usable, saved - max(SPARED * limit.burst, SPARED_LEAST))
        self._steady.set_rate(self.rate, now, burst=max(SAVED * limit.burst, usable, 1.0))
        self._steady.refill(max(usable, min(came_in, 1.0)), now)
        self._peak = TokenBucket(SPENDING * self.rate, now=now)
        self._peak.refill(1.0, now)

    def climb(self, now: float) -> None:
        """Count one success. Time alone is no evidence: a gap counts as one second at the most."""
        step = min(now - self._climbed, 1.0)
        self._climbed = now
        if step <= 0.0 or now < self.held_until or not self._used:
            return
        self._used = False
        if self.known is None:
            self._faster(max(self.rate * self._growth**step, self.rate + LEAST_CLIMB * step), now)
            return
        self._grown += step
        sweep = max(SWEEP, self._hold / 2)
        doubt = self.known.doubt ** min(self._grown / sweep, 1.0)
        beyond = max(self._grown - sweep, 0.0) / min(max(self._hold, GROWTH_SHORTEST), GROWTH_LONGEST)
        self._faster(BELOW * self.known.rate * (doubt + beyond**2), now)

    def _faster(self, rate: float, now: float) -> None:
        self.rate = rate = max(rate, LEAST)
        burst = None if self.known is None else max(SAVED * self.known.burst, 1.0)
        self._steady.set_rate(rate, now, burst=burst)
        if self._peak is not None:
            self._peak.set_rate(SPENDING * rate, now)
