"""How long the jobs of a workflow run, learned from polls: a life table, as insurers make them of people.

The age of a job (seconds since its start) is cut into bins. For each bin it is counted how many jobs were
seen to enter it running, and how many of those ended in it; their ratio is the chance of ending there. So a
job that still runs counts as far as it was seen running, and the quick ones of a crowd started together are
not taken for all. An end counts over all bins since the last poll that showed the job running. Each bin
forgets, so that the newest jobs weigh more; and when what is seen contradicts the table, nearly all of it is
forgotten at once.

Pure: no clock, no asyncio; seconds go in, chances come out.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

GROWTH = 1.05
"""Each bin ends at an age that is so many times the age at its beginning: finer than a run time varies."""
FIRST_EDGE = 0.05
"""Seconds. Where the first bin ends."""
BINS = 365
"""They reach to 30 days; older jobs count as of that age."""
EDGES = array("d", [0.0, *(FIRST_EDGE * GROWTH**number for number in range(BINS))])
"""The ages in seconds between which the bins lie."""
MEMORY = 128.0
"""Jobs after which what a bin has counted weighs a third."""
PRIOR_JOBS = 0.05
"""What was assumed before anything was seen weighs as much as so many jobs."""
MOST_CHANCE = 0.9
"""The largest chance of ending in one bin that is believed: a bin is short."""
SMOOTHING, SMOOTHING_EXPONENT = 2.0, -0.3
"""Bins are averaged with their neighbours: over this share of the spread of the run times, times the number
of ends to this power (by experiment: theory says -0.2 for a smooth distribution; run times have edges)."""
MOST_NEIGHBOURS = 12
FRONTIER_JOBS = 3.0
"""Jobs that must have been seen in a bin to tell something of it."""
FRONTIER_BINS = 5
"""Bins before the oldest age of which something is known, whose chance is taken for what follows."""
MISPLACED = 0.01
"""The weight of the assumption in placing an end between two polls: ends come where ends were seen."""
CONTRADICTION = 12.0
"""How much likelier what was seen must be under the assumption than under the table, as a logarithm, before
the table is forgotten. By chance that happens once in some hundred thousand polls."""
MOST_CONTRADICTION = 4.0
"""What one poll counts of that at the most: no single job makes the table forgotten."""
ENDS_CONTRADICTED = 8
"""Ends that a table must have seen to be worth forgetting."""
JOBS_KEPT = 4.0
"""What a bin then still weighs."""


def bin_position(age: float) -> float:
    """The bin that an age in seconds lies in, and how far into it, as one number."""
    if age < FIRST_EDGE:
        return age / FIRST_EDGE
    return min(1.0 + math.log(age / FIRST_EDGE) / math.log(GROWTH), BINS - 1e-9)


def value_at(values: Sequence[float], position: float) -> float:
    """A value between two edges; ``values`` are those at the edges."""
    left = int(position)
    share = position - left
    return values[left] * (1 - share) + values[left + 1] * share


@dataclass(frozen=True, slots=True)
class SurvivalCurve:
    """The share of jobs that run for longer than each edge of the bins, as far as was learned.

    Attributes:
        survival: The share, with the assumption where little was seen.
        evidence: The share by what was seen alone; beyond the oldest age of which something is known, jobs
            are taken to go on ending as they did just before it.
        median: The run time in seconds that half of the jobs stay under; None while too few ended.
        known_until: The age in seconds up to which enough jobs were seen; 0 while too few ended.
        density: Of ends, for each bin; places ends that were seen between two polls.
    """

    survival: Sequence[float]
    evidence: Sequence[float]
    median: float | None
    known_until: float
    density: Sequence[float]


class LifeTable:
    """The life table of one workflow. Counting is O(1); making a curve of it takes about 0.5 ms.

    Args:
        grain: Seconds. Before anything is seen a job is assumed to be as likely to end between this age and
            2.7 times it as between any age and 2.7 times that, and equally likely in each second before it.

    Attributes:
        ends: Ends seen since it was forgotten last.
        curve: As of the last :meth:`renew`.
    """

    __slots__ = (
        "_contradiction",
        "_ended",
        "_entered",
        "_new_ended",
        "_new_entered",
        "_prior",
        "curve",
        "ends",
    )

    def __init__(self, grain: float) -> None:
        self.ends = 0
        self.curve = unknown_curve(grain)
        self._prior = _prior(grain)
        self._contradiction = 0.0
        self._entered = array("d", bytes(8 * BINS))
        self._ended = array("d", bytes(8 * BINS))
        self._new_entered = array("d", bytes(8 * (BINS + 2)))
        """Jobs since the last renewal, as differences from bin to bin."""
        self._new_ended = array("d", bytes(8 * BINS))

    def saw_running(self, since: float, age: float) -> bool:
        """Count a job that was seen running at ``age``, and before that at ``since``.

        Returns:
            Whether the table was forgotten, because it has been contradicted too often.
        """
        first, last = bin_position(since), bin_position(age)
        if last <= first:
            return False
        self._count_entered(first, 1.0)
        self._count_entered(last, -1.0)
        return self._contradicted(first, last, ended=False)

    def saw_end(self, since: float, age: float) -> bool:
        """Count a job that was seen running at ``since`` and to have ended at ``age``.

        Returns:
            As :meth:`saw_running`.
        """
        self.ends += 1
        first, last = bin_position(since), bin_position(age)
        left, right = int(first), int(last)
        new_entered, new_ended = self._new_entered, self._new_ended
        self._count_entered(first if left < right else left, 1.0)
        weights = list(self.curve.density[left : right + 1])
        if left < right:
            weights[0] *= left + 1 - first
            weights[-1] *= last - right
        whole = math.fsum(weights)
        for place, weight in enumerate(weights, left):
            share = weight / whole
            new_ended[place] += share
            new_entered[place + 1] -= share
        return last > first and self._contradicted(first, last, ended=True)

    def renew(self) -> None:
        """Make the curve of what was counted until now."""
        self._fold()
        entered, ended, prior = self._entered, self._ended, self._prior
        smooth = self._smoothed_chances()
        known = max((place + 1 for place in range(BINS) if entered[place] >= FRONTIER_JOBS), default=0)
        latest = range(max(0, known - FRONTIER_BINS), known)
        near = _ratio(sum(ended[place] for place in latest), sum(entered[place] for place in latest))
        survival, evidence, density = array("d", [1.0]), array("d", [1.0]), array("d")
        alive = alive_by_evidence = 1.0
        for place, seen in enumerate(smooth):
            jobs = entered[place]
            chance = (jobs * seen + PRIOR_JOBS * prior.chances[place]) / (jobs + PRIOR_JOBS)
            chance = min(max(chance, seen), MOST_CHANCE)
            by_evidence = min(seen if place < known else max(seen, near), MOST_CHANCE)
            density.append(alive_by_evidence * by_evidence + MISPLACED * alive * chance + 1e-15)
            alive *= 1 - chance
            alive_by_evidence = max(alive_by_evidence * (1 - by_evidence), 1e-100)
            survival.append(alive)
            evidence.append(alive_by_evidence)
        median = self._median()
        self.curve = SurvivalCurve(survival, evidence, median, EDGES[known] if median else 0.0, density)

    def _count_entered(self, position: float, jobs: float) -> None:
        """Count jobs from a position on: of the bin it lies in, the share that is left."""
        place = int(position)
        self._new_entered[place] += jobs * (1 - position + place)
        self._new_entered[place + 1] += jobs * (position - place)

    def _contradicted(self, first: float, last: float, *, ended: bool) -> bool:
        """Compare table and assumption by what was seen of a job between two positions."""
        if last < 1.0:  # inside of the first bin a table tells nothing
            return False
        survival, assumed = self.curve.survival, self._prior.survival
        by_table = value_at(survival, last) / value_at(survival, first)
        by_assumption = value_at(assumed, last) / value_at(assumed, first)
        if ended:
            by_table, by_assumption = 1 - by_table, 1 - by_assumption
        likelier = math.log(max(by_assumption, 1e-6) / max(by_table, 1e-6))
        self._contradiction = max(0.0, self._contradiction + min(likelier, MOST_CONTRADICTION))
        if self._contradiction < CONTRADICTION or self.ends < ENDS_CONTRADICTED:
            return False
        self._forget()
        return True

    def _forget(self) -> None:
        self._contradiction, self.ends = 0.0, 0
        self._fold()
        for place, jobs in enumerate(self._entered):
            if jobs > JOBS_KEPT:
                self._ended[place] *= JOBS_KEPT / jobs
                self._entered[place] = JOBS_KEPT

    def _fold(self) -> None:
        """Add what is new to what was counted before, which weighs less for it."""
        jobs = 0.0
        for place in range(BINS):
            jobs += self._new_entered[place]
            if jobs < 1e-9:  # noqa: PLR2004 - rounding of the sums
                continue
            kept = math.exp(-jobs / MEMORY)
            entered = self._entered[place] * kept + jobs
            ended = self._ended[place] * kept + self._new_ended[place]
            too_many = max(entered / (2 * MEMORY), 1.0)
            self._entered[place], self._ended[place] = entered / too_many, ended / too_many
        self._new_entered = array("d", bytes(8 * (BINS + 2)))
        self._new_ended = array("d", bytes(8 * BINS))

    def _ends_until(self) -> list[float]:
        """The share of jobs that ended in each bin or before, by what was counted."""
        alive, until = 1.0, []
        for jobs, ends in zip(self._entered, self._ended, strict=True):
            alive *= 1 - min(_ratio(ends, jobs), 1.0)
            until.append(1 - alive)
        return until

    def _smoothed_chances(self) -> list[float]:
        """The chance of ending in each bin by what was counted, averaged over neighbours."""
        until = self._ends_until()
        half = self._half_width(until)
        windows = [(max(0, place - half), min(BINS, place + half + 1)) for place in range(BINS)]
        shares = (
            (after - before) / (right - left)
            for (before, after), (left, right) in zip(itertools.pairwise([0.0, *until]), windows, strict=True)
        )
        sums = [0.0, *itertools.accumulate(shares)]
        alive, chances = 1.0, []
        for left, right in windows:
            share = sums[right] - sums[left]
            chances.append(min(_ratio(share, alive), 1.0))
            alive = max(alive - share, 0.0)
        return chances

    def _half_width(self, until: Sequence[float]) -> int:
        """How many neighbours on each side a bin is averaged with."""
        ends = math.fsum(self._ended)
        if not ends:
            return 0
        quarter, three_quarters = (bisect.bisect_left(until, share * until[-1]) for share in (0.25, 0.75))
        spread = max((three_quarters - quarter) / 1.35, 1.0)  # the standard deviation, if it were normal
        width = SMOOTHING * spread * math.pow(max(ends, 1.0), SMOOTHING_EXPONENT)
        return min(max(round(width), 1), MOST_NEIGHBOURS)

    def _median(self) -> float | None:
        if math.fsum(self._ended) < 2:  # noqa: PLR2004 - one end tells no middle
            return None
        until = self._ends_until()
        return EDGES[bisect.bisect_left(until, min(0.5, until[-1])) + 1]


@dataclass(frozen=True, slots=True)
class _Prior:
    """What is assumed before anything is seen: the chance of ending in each bin, the share that survives."""

    chances: Sequence[float]
    survival: Sequence[float]


@functools.lru_cache(maxsize=16)
def _prior(grain: float) -> _Prior:
    survival = array("d", (math.exp(-_relative(edge, grain)) for edge in EDGES))
    chances = array("d", (1 - after / before for before, after in itertools.pairwise(survival)))
    return _Prior(chances, survival)


def _relative(age: float, grain: float) -> float:
    return age / grain if age < grain else 1.0 + math.log(age / grain)


@functools.lru_cache(maxsize=16)
def unknown_curve(grain: float) -> SurvivalCurve:
    """The curve of a workflow of which nothing was seen yet; for ``grain`` see :class:`LifeTable`."""
    prior = _prior(grain)
    density = array("d", (before - after for before, after in itertools.pairwise(prior.survival)))
    return SurvivalCurve(prior.survival, array("d", [1.0] * (BINS + 1)), None, 0.0, density)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 1e-9 else 0.0  # noqa: PLR2004 - rounding of the sums
