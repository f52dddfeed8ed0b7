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
import itertools
import math
from array import array
from collections.abc import Sequence

from opus_async.jobs.survival import (
    BINS,
    EDGES,
    SurvivalCurve,
    assumption,
    bin_position,
    unknown_curve,
    value_at,
)

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
        "_assumed",
        "_contradiction",
        "_ended",
        "_entered",
        "_new_ended",
        "_new_entered",
        "_reach",
        "_unlikely",
        "curve",
        "ends",
    )

    def __init__(self, grain: float) -> None:
        self.ends = 0
        self.curve = unknown_curve(grain)
        self._assumed = assumption(grain)
        self._contradiction = 0.0
        self._entered = array("d", bytes(8 * BINS))
        self._ended = array("d", bytes(8 * BINS))
        self._new_entered = array("d", bytes(8 * (BINS + 2)))
        """Jobs since the last renewal, as differences from bin to bin."""
        self._new_ended = array("d", bytes(8 * BINS))
        self._reach = 1
        """Bins up to the oldest age that was counted."""
        self._unlikely = array("d", bytes(8 * (BINS + 1)))
        """For each edge how much likelier it is reached under the assumption than under the table, as a
        logarithm."""

    def saw_running(self, since: float, age: float) -> bool:
        """Count a job that was seen running at ``age``, and before that at ``since``.

        Returns:
            Whether the table was forgotten, because it has been contradicted too often.
        """
        first, last = bin_position(since), bin_position(age)
        if last <= first:
            return False
        left, right = int(first), int(last)
        if right >= self._reach:
            self._reach = right + 1
        share, entered = first - left, self._new_entered
        entered[left] += 1 - share
        entered[left + 1] += share
        share = last - right
        entered[right] -= 1 - share
        entered[right + 1] -= share
        if last < 1.0:  # inside of the first bin a table tells nothing
            return False
        return self._contradicted(value_at(self._unlikely, last) - value_at(self._unlikely, first))

    def saw_end(self, since: float, age: float) -> bool:
        """Count a job that was seen running at ``since`` and to have ended at ``age``.

        Returns:
            As :meth:`saw_running`.
        """
        self.ends += 1
        first, last = bin_position(since), bin_position(age)
        left, right = int(first), int(last)
        if right >= self._reach:
            self._reach = right + 1
        new_entered, new_ended = self._new_entered, self._new_ended
        weights = list(self.curve.density[left : right + 1])
        entered = first - left if left < right else 0.0
        new_entered[left] += 1 - entered
        new_entered[left + 1] += entered
        if left < right:
            weights[0] *= 1 - entered
            weights[-1] *= last - right
        whole = math.fsum(weights)
        for place, weight in enumerate(weights, left):
            share = weight / whole
            new_ended[place] += share
            new_entered[place + 1] -= share
        if last < 1.0 or last <= first:
            return False
        return self._contradicted(self._likelier_to_end(first, last))

    def renew(self) -> None:
        """Make the curve of what was counted until now."""
        self._fold()
        until = self._ends_until()
        known = next((n for n in range(self._reach, 0, -1) if self._entered[n - 1] >= FRONTIER_JOBS), 0)
        latest = slice(max(0, known - FRONTIER_BINS), known)
        near = min(_ratio(sum(self._ended[latest]), sum(self._entered[latest])), MOST_CHANCE)
        survival, evidence, density = [1.0], [1.0], []
        alive = alive_by_evidence = 1.0
        by_assumption = self._assumed.chances
        for place, (seen, jobs) in enumerate(zip(self._smoothed_chances(until), self._entered, strict=False)):
            chance = (jobs * seen + PRIOR_JOBS * by_assumption[place]) / (jobs + PRIOR_JOBS)
            chance = min(max(chance, seen), MOST_CHANCE)
            by_evidence = min(seen if place < known else max(seen, near), MOST_CHANCE)
            density.append(alive_by_evidence * by_evidence + MISPLACED * alive * chance + 1e-15)
            alive = max(alive * (1 - chance), 1e-100)
            alive_by_evidence = max(alive_by_evidence * (1 - by_evidence), 1e-100)
            survival.append(alive)
            evidence.append(alive_by_evidence)
        for chance in by_assumption[len(density) :]:  # nothing was counted there
            density.append(alive_by_evidence * near + MISPLACED * alive * chance + 1e-15)
            alive *= 1 - chance
            alive_by_evidence = max(alive_by_evidence * (1 - near), 1e-100)
            survival.append(alive)
            evidence.append(alive_by_evidence)
        median = self._median(until)
        self.curve = SurvivalCurve(
            array("d", survival),
            array("d", evidence),
            median,
            EDGES[known] if median else 0.0,
            array("d", density),
        )
        self._unlikely = array(
            "d",
            (
                math.log(assumed / alive)
                for assumed, alive in zip(self._assumed.survival, survival, strict=True)
            ),
        )

    def _contradicted(self, likelier: float) -> bool:
        """Take note by how much likelier what was seen is under the assumption than under the table."""
        contradiction = self._contradiction + min(likelier, MOST_CONTRADICTION)
        if contradiction < CONTRADICTION or self.ends < ENDS_CONTRADICTED:
            self._contradiction = contradiction if contradiction > 0 else 0.0
            return False
        self._forget()
        return True

    def _likelier_to_end(self, first: float, last: float) -> float:
        """How much likelier an end between these positions is under the assumption than under the table."""
        survival, assumed = self.curve.survival, self._assumed.survival
        by_table = 1 - value_at(survival, last) / value_at(survival, first)
        by_assumption = 1 - value_at(assumed, last) / value_at(assumed, first)
        return math.log(max(by_assumption, 1e-6) / max(by_table, 1e-6))

    def _forget(self) -> None:
        self._contradiction, self.ends = 0.0, 0
        self._fold()
        for place, jobs in enumerate(self._entered):
            if jobs > JOBS_KEPT:
                self._ended[place] *= JOBS_KEPT / jobs
                self._entered[place] = JOBS_KEPT

    def _fold(self) -> None:
        """Add what is new to what was counted before, which weighs less for it."""
        jobs, kept = 0.0, 1.0
        new_entered, new_ended, counted_entered, counted_ended = (
            self._new_entered,
            self._new_ended,
            self._entered,
            self._ended,
        )
        for place, change in enumerate(new_entered[: self._reach]):
            if change:
                jobs += change
                kept = math.exp(-jobs / MEMORY)
            if jobs < 1e-9:  # noqa: PLR2004 - rounding of the sums
                continue
            entered = counted_entered[place] * kept + jobs
            ended = counted_ended[place] * kept + new_ended[place]
            too_many = entered / (2 * MEMORY)
            if too_many > 1:
                entered, ended = entered / too_many, ended / too_many
            counted_entered[place], counted_ended[place] = entered, ended
        self._new_entered = array("d", bytes(8 * (BINS + 2)))
        self._new_ended = array("d", bytes(8 * BINS))

    def _ends_until(self) -> list[float]:
        """The share of jobs that ended in each bin or before, by what was counted."""
        alive, until = 1.0, []
        for jobs, ends in zip(self._entered[: self._reach], self._ended, strict=False):
            if ends:
                alive *= 1 - min(_ratio(ends, jobs), 1.0)
            until.append(1 - alive)
        return until

    def _smoothed_chances(self, until: Sequence[float]) -> list[float]:
        """The chance of ending in each bin by what was counted, averaged over neighbours."""
        half = self._half_width(until)
        count = min(len(until) + half, BINS)
        windows = [(max(0, place - half), min(BINS, place + half + 1)) for place in range(count)]
        until = [*until, *[until[-1]] * (BINS - len(until))]
        shares = [
            (after - before) / (right - left)
            for (before, after), (left, right) in zip(
                itertools.pairwise([0.0, *until[:count]]), windows, strict=True
            )
        ]
        sums = [0.0, *itertools.accumulate(shares)]
        alive, chances = 1.0, []
        for left, right in windows:
            share = sums[min(right, count)] - sums[left]
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

    def _median(self, until: Sequence[float]) -> float | None:
        if math.fsum(self._ended) < 2:  # noqa: PLR2004 - one end tells no middle
            return None
        return EDGES[bisect.bisect_left(until, min(0.5, until[-1])) + 1]


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 1e-9 else 0.0  # noqa: PLR2004 - rounding of the sums
