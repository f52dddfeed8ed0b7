"""At which age a job is polled next, by the chance that it has ended since it was last seen running.

While nobody looks, a job that has ended is late by one more second each second: the lateness to be expected
grows with the chance that it has ended. A job is polled when that lateness reaches a bound, the same for all
ages: often where many jobs end, hardly at all where none do. That gives the least lateness for a number of
polls. The bound is chosen so that the mean lateness of whole jobs is the one that is wanted; where requests
are scarce, so that a job takes few polls.

Pure: no clock, no asyncio; ages go in and come out, in seconds.
"""

from __future__ import annotations

import functools
import math
from array import array
from collections.abc import Sequence

from opus_async.jobs.survival import BINS, EDGES, SurvivalCurve, bin_position, unknown_curve, value_at

LONG = 4.0
"""Times the median run time. Up to there a second late counts the same for all jobs; for a longer one it
counts less, in proportion: nobody minds a minute after a day. While no median is known, each job counts by
its age."""
TOLERANCE = 0.03
"""How exactly the wanted lateness, or number of polls, is met, as a share of it."""
SPARING_POLLS = 1.4
"""Polls a job where requests are scarce. A text job takes three other requests; with a single poll, always
late enough, it would hold its slot for longer than that poll is worth."""
SPARING_LATENESS = 4.0
"""Times the wanted lateness that is put up with for that."""
_ROUNDS = 12
_CLOSE = 1.1
_MOST_POLLS = 1000
_ALL_BUT_NONE = 0.003
_FAR = 1.5
"""Where no end is to be expected at all, the next poll comes at so many times the age."""
_OLD = 1.1
"""The same for a job that is older than the life table reaches."""
_BEYOND = _OLD * EDGES[BINS]
"""Seconds. Where the youngest of these is polled next: no job that is younger is polled later than that."""


class PollPlan:
    """The ages at which jobs of one workflow are polled.

    Args:
        curve: How long they run.
        detect_lag: The wanted mean delay of noticing the end, as a share of the median run time.
        shortest: Seconds. No two polls of a job are planned closer together; the wanted delay is never under
            half of it.
        bound: That of an earlier plan, from where the search for the new one starts.

    Attributes:
        bound: The lateness to be expected at which a job is polled, as a share of the median run time.
    """

    __slots__ = (
        "_curve",
        "_lateness",
        "_rules",
        "_scale",
        "_shortest",
        "_sparing_rules",
        "_wanted",
        "bound",
    )

    def __init__(
        self, curve: SurvivalCurve, detect_lag: float, shortest: float, bound: float | None = None
    ) -> None:
        self._curve = curve
        self._shortest = shortest
        least = shortest / 2 / detect_lag
        self._scale = (least, least) if curve.median is None else _scale(max(least, curve.median))
        self._lateness = _Lateness(curve.survival, *self._scale)
        self._wanted = detect_lag
        self.bound = self._bound_by_lateness(detect_lag, bound or 2 * detect_lag**2)
        self._rules = self._by(self.bound)
        self._sparing_rules: tuple[_Rule, _Rule] | None = None

    def next_age(self, age: float, patience: float, *, sparing: bool = False) -> float:
        """The age at which a job is polled next that was seen running at this age.

        Args:
            age: Seconds since its start; 0 for a job that was not polled yet.
            patience: Seconds for which a poll is put off for which nothing that was seen of other jobs gives
                a reason: of a crowd, a few jobs find out for all.
            sparing: Whether requests are scarce.
        """
        if age >= EDGES[BINS]:
            return _OLD * age
        by_evidence, assumed = self._rules if not sparing else self._sparing()
        position = bin_position(age)
        due = assumed.next_age(position)
        if due < age + patience:
            due = min(age + patience, by_evidence.next_age(position))
        return max(due, age + self._shortest)

    def _sparing(self) -> tuple[_Rule, _Rule]:
        if self._sparing_rules is None:
            most = self._bound_by_lateness(SPARING_LATENESS * self._wanted, self.bound)
            bound = min(self._bound_by_polls(most), most)
            self._sparing_rules = self._by(max(self.bound, bound))
        return self._sparing_rules

    def _by(self, bound: float) -> tuple[_Rule, _Rule]:
        """The rule by what was seen alone, and with what is assumed before anything is seen."""
        by_evidence = _Lateness(self._curve.evidence, *self._scale)
        return _Rule(by_evidence, bound), _Rule(self._lateness, bound)

    def _bound_by_lateness(self, wanted: float, bound: float) -> float:
        """Find the bound that gives this mean lateness, from a bound on that is not far off."""
        low, high = 1e-9, 1e3
        for _ in range(_ROUNDS):
            mean, _ = self._of_whole_jobs(bound)
            if abs(mean - wanted) < TOLERANCE * wanted or high < 1.01 * low:
                break
            low, high = (low, bound) if mean > wanted else (bound, high)
            # The mean grows with about the root of the bound where it is not ruled by the shortest interval.
            guess = bound * (wanted / mean) ** 1.5 if mean > 0 else high
            bound = guess if low < guess < high else math.sqrt(low * high)
        return bound

    def _bound_by_polls(self, most: float) -> float:
        """Find the smallest bound, up to ``most``, by which jobs take no more polls than is sparing."""
        low, high = self.bound, max(self.bound, most)
        while high > _CLOSE * low:
            middle = math.sqrt(low * high)
            _, polls = self._of_whole_jobs(middle)
            low, high = (middle, high) if polls > SPARING_POLLS else (low, middle)
        return high

    def _of_whole_jobs(self, bound: float) -> tuple[float, float]:
        return self._lateness.of_whole_jobs(
            _Rule(self._lateness, bound), self._shortest, self._curve.known_until
        )


def _scale(median: float) -> tuple[float, float]:
    return median, LONG * median


class _Lateness:
    """The lateness to be expected of jobs that are not polled, by a curve of how long they run.

    Args:
        survival: The share of jobs that run for longer than each edge of the bins.
        scale: Seconds that lateness is measured in: the median run time.
        long: Seconds from which on a run time counts as long.
    """

    def __init__(self, survival: Sequence[float], scale: float, long: float) -> None:
        self._survival = survival
        self._passed = array("d", [0.0])
        """Time until each edge, as it counts: see :data:`LONG`."""
        self._running = array("d", [0.0])
        """The same for jobs that run: less the time after their end."""
        passed = running = 0.0
        for place in range(BINS):
            step = EDGES[place + 1] - EDGES[place]
            step /= scale * max(1.0, (EDGES[place] + step / 2) / long)
            passed += step
            running += step * (survival[place] + survival[place + 1]) / 2
            self._passed.append(passed)
            self._running.append(running)

    def next_age(self, place: int, bound: float) -> float:
        """The age at which a job, seen running at this edge, has the lateness of the bound."""
        if place == BINS:
            return _BEYOND
        passed, running, alive = self._passed, self._running, self._survival[place]
        so_far = passed[place] * alive - running[place]
        wanted = so_far + bound * alive
        left, right, step = place, place + 1, 1  # by larger and larger steps, then between the last two
        while right < BINS and passed[right] * alive - running[right] < wanted:
            step *= 2
            left, right = right, min(right + step, BINS)
        while right - left > 1:
            middle = (left + right) // 2
            if passed[middle] * alive - running[middle] < wanted:
                left = middle
            else:
                right = middle
        before, after = passed[left] * alive - running[left], passed[right] * alive - running[right]
        if after < wanted:
            return min(max(EDGES[BINS], _FAR * EDGES[place]), _BEYOND)
        share = (wanted - before) / (after - before) if after > before else 1.0
        if left == place:
            share = math.sqrt(max(share, 0.0))  # at first lateness grows with the square of time
        return EDGES[left] + share * (EDGES[right] - EDGES[left])

    def of_whole_jobs(self, rule: _Rule, shortest: float, until: float) -> tuple[float, float]:
        """The mean lateness of jobs that are polled by a rule, and how many polls they take.

        Args:
            rule: When they are polled.
            shortest: Seconds. No two polls are closer together.
            until: Jobs that end within so many seconds are asked; 0 for all.
        """
        age = late = position = 0.0
        alive, passed, running = 1.0, 0.0, 0.0
        shares = [1.0]
        for _ in range(_MOST_POLLS):
            age = max(rule.next_age(position), age + shortest)
            if age >= EDGES[-1]:
                break
            position = bin_position(age)
            now_passed, now_running = value_at(self._passed, position), value_at(self._running, position)
            late += max((now_passed - passed) * alive - (now_running - running), 0.0)
            passed, running, alive = now_passed, now_running, value_at(self._survival, position)
            shares.append(alive)
            if alive < _ALL_BUT_NONE or 0 < until < age:
                break
        left = shares.pop()
        ended = max(1.0 - left, 1e-9)
        return late / ended, max(sum(share - left for share in shares) / ended, 1.0)


class _Rule:
    """When jobs are polled by a bound of lateness; reckoned for the edges that are asked for, and kept.

    Args:
        lateness: By the curve that is believed.
        bound: The lateness to be expected at which a job is polled.
    """

    __slots__ = ("_ages", "_bound", "_lateness")

    def __init__(self, lateness: _Lateness, bound: float) -> None:
        self._lateness, self._bound = lateness, bound
        self._ages: dict[int, float] = {}

    def next_age(self, position: float) -> float:
        """The age of the next poll of a job that was seen running at this position of the bins."""
        left = int(position)
        share = position - left
        ages = self._ages
        try:
            return ages[left] * (1 - share) + ages[left + 1] * share
        except KeyError:
            for place in (left, left + 1):
                ages[place] = self._lateness.next_age(place, self._bound)
        return ages[left] * (1 - share) + ages[left + 1] * share


@functools.lru_cache(maxsize=16)
def unknown_plan(detect_lag: float, shortest: float) -> PollPlan:
    """The plan for a workflow of which nothing was seen yet: intervals grow with the age."""
    return PollPlan(unknown_curve(shortest / 2 / detect_lag), detect_lag, shortest)
