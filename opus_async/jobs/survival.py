"""Curves of how long jobs run: the share that is left at each age, and the bins that ages are cut into.

Pure: no clock, no asyncio.
"""

from __future__ import annotations

import functools
import itertools
import math
from array import array
from collections.abc import Sequence
from typing import NamedTuple

GROWTH = 1.05
"""Each bin ends at an age that is so many times the age at its beginning: finer than a run time varies."""
FIRST_EDGE = 0.05
"""Seconds. Where the first bin ends."""
BINS = 365
"""They reach to 30 days; older jobs count as of that age."""
EDGES = array("d", [0.0, *(FIRST_EDGE * GROWTH**number for number in range(BINS))])
"""The ages in seconds between which the bins lie."""
_PER_LOG = 1 / math.log(GROWTH)
_LAST = BINS - 1e-9


def bin_position(age: float) -> float:
    """The bin that an age in seconds lies in, and how far into it, as one number."""
    if age < FIRST_EDGE:
        return age / FIRST_EDGE
    return min(1.0 + math.log(age / FIRST_EDGE) * _PER_LOG, _LAST)


def value_at(values: Sequence[float], position: float) -> float:
    """A value between two edges; ``values`` are those at the edges."""
    left = int(position)
    share = position - left
    return values[left] * (1 - share) + values[left + 1] * share


class SurvivalCurve(NamedTuple):
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


class Assumption(NamedTuple):
    """What is assumed before anything is seen: the chance of ending in each bin, the share that survives."""

    chances: Sequence[float]
    survival: Sequence[float]


@functools.lru_cache(maxsize=16)
def assumption(grain: float) -> Assumption:
    """What is assumed of a workflow; for ``grain`` see :class:`opus_async.jobs.life_table.LifeTable`."""
    survival = array("d", (math.exp(-_relative(edge, grain)) for edge in EDGES))
    chances = array("d", (1 - after / before for before, after in itertools.pairwise(survival)))
    return Assumption(chances, survival)


def _relative(age: float, grain: float) -> float:
    return age / grain if age < grain else 1.0 + math.log(age / grain)


@functools.lru_cache(maxsize=16)
def unknown_curve(grain: float) -> SurvivalCurve:
    """The curve of a workflow of which nothing was seen yet; for ``grain`` see :func:`assumption`."""
    assumed = assumption(grain)
    density = array("d", (before - after for before, after in itertools.pairwise(assumed.survival)))
    return SurvivalCurve(assumed.survival, array("d", [1.0] * (BINS + 1)), None, 0.0, density)
