"""A limit that a server has shown by refusing requests: the pause after a refusal, and the pace from then on.

After a refusal every request that waits its Retry-After would go in the same instant and be refused again. So
there is one pause for all that meet the limit, and after it they go one by one, at a :class:`.pace.Pace`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

from opus_async.transport.pace import RETURN, Pace
from opus_async.transport.refusals import FEWEST, Histories, Refusals

PAUSE_BASE = 0.5
PAUSE_CAP = 20.0
"""Seconds of a pause whose length is not named: the first, doubled each time, and the longest."""
PAUSE_FLOOR = 0.051
"""A server that says "Retry-After: 0" means at once, not in the same instant: 50 ms, as clocks round."""
JITTER = 0.05
"""By what share pauses are longer than asked, at the most."""
LIFTED = 120.0
"""Seconds without a refusal until a limit is forgotten, from when its rate is no longer held."""
DISBELIEVED = 2
"""Refusals in a row at a rate that was held: whatever the server is, it is no such token bucket."""
OVERLOADED = 0.7
"""What an overload leaves of the rate that was granted."""


class LearnedLimit:
    """One limit of one server.

    Args:
        refusals: Those that are known already.
        now: The clock's reading, in seconds.
        random: A source of numbers in [0, 1).

    Attributes:
        refusals: What is known of it.
        pace: Of the requests that it counts.
        paused_until: When the pause ends, by the clock.
        unsettled: Whether the pace has not been set since the newest refusal.
    """

    __slots__ = (
        "_asked",
        "_pause_began",
        "_pauses",
        "_random",
        "_slowed_at",
        "_too_fast",
        "pace",
        "paused_until",
        "refusals",
        "unsettled",
    )

    def __init__(self, refusals: Refusals, now: float, random: Callable[[], float]) -> None:
        self.refusals = refusals
        self.pace = Pace(now)
        self.paused_until = self._pause_began = self._slowed_at = float("-inf")
        self._pauses = 0
        """Since the last request that was granted."""
        self._too_fast = 0
        """Refusals in a row at a rate that was to be held for longer."""
        self._asked = 0.0
        """Seconds for which the server asked to wait, when it last said so."""
        self._random = random
        self.unsettled = False

    @staticmethod
    def of_all(parts: Sequence[LearnedLimit], histories: Histories, now: float) -> LearnedLimit:
        """The limit for which several are taken together, with the longest of their pauses."""
        whole = copy.copy(max(parts, key=lambda part: part.paused_until))
        whole.refusals = Refusals.merged([part.refusals for part in parts], histories)
        whole.pace = Pace(now)
        whole.unsettled = True
        return whole

    def begins_pause(self, now: float, sent_at: float) -> bool:
        """Whether a refusal of a request begins a pause, and not belongs to the storm that began one."""
        return now >= self.paused_until and sent_at >= self._pause_began

    def refused(self, now: float, wait: float | None, sent_at: float) -> float:
        """Count a refused request: pause, and learn from it.

        Requests that were on the wire when a pause began belong to the same storm: they may lengthen it.

        Args:
            now: The clock's reading, in seconds.
            wait: Seconds for which the server asked to wait; None when it did not say.
            sent_at: When it was sent.

        Returns:
            Seconds until the pause ends.
        """
        if self.begins_pause(now, sent_at):
            self._pauses += 1
            self._pause_began = self._slowed_at = now
            self._asked = wait or 0.0
            self.unsettled = True
            if wait is None:
                wait = min(PAUSE_CAP, PAUSE_BASE * 2.0 ** min(self._pauses - 1, 10))
            self._too_fast = self._too_fast + 1 if now < self.pace.held_until else 0
            self.refusals.add(sent_at, now - sent_at)
        wait = None if wait is None else max(wait, PAUSE_FLOOR)
        if wait is not None and now + wait > self.paused_until:
            self.paused_until = now + wait * (1.0 + JITTER * self._random())
        return max(0.0, self.paused_until - now)

    def overloaded(self, now: float, sent_at: float, granted: float) -> None:
        """Slow down without a pause, once for all requests that were on the wire."""
        if sent_at >= self._slowed_at:
            self._slowed_at = now
            self.pace.explore(OVERLOADED * granted, now, growth=RETURN)

    def restart(self, rate: float, now: float) -> None:
        """Begin anew after an outage, at a rate that grows."""
        self._slowed_at = now
        self.pace.explore(rate, now, growth=RETURN)

    def wait(self, now: float) -> float:
        """Seconds until the next request may go."""
        if now < self.paused_until:
            return self.paused_until - now
        if self.unsettled:
            self._settle(now)
        return self.pace.wait(now)

    def take(self, now: float) -> None:
        """Let a request go."""
        self.pace.take(now)

    def give_back(self) -> None:
        """Take a request back that did not go."""
        self.pace.give_back()

    def succeeded(self, now: float) -> bool:
        """Count a granted request: the rate may grow.

        Returns:
            Whether the limit was not met for so long that it can be forgotten.
        """
        self._pauses = 0
        if now >= self.paused_until and not self.unsettled:
            self.pace.climb(now)
        return now - max(self._slowed_at, self.pace.held_until) >= LIFTED

    def _settle(self, now: float) -> None:
        """Set the pace after a pause: by now, what was granted before it has been answered."""
        self.unsettled = False
        known = self.refusals.estimate(self.paused_until - self.refusals.latest)
        if known is not None:
            if self._too_fast >= DISBELIEVED:
                known = self.refusals.at_least()
            self.pace.follow(known, self.refusals.latest, now)
            return
        rate = self.refusals.granted_rate()
        if self._asked:  # a burst at the very beginning tells little of the rate
            rate = min(rate, FEWEST * self.refusals.granted_at_first() / self._asked)
        self.pace.explore(rate, now)
