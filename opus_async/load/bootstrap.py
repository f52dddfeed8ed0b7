"""Confidence intervals by the block bootstrap: parts of a run's time are drawn again, and not single jobs.

Jobs that ran at the same time are not independent: one slow minute slows all of them. Intervals from single
jobs would be far too narrow.
"""

from __future__ import annotations

import math
import operator
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from opus_async.metrics.histogram import Bucket, Histogram

DRAWS = 1_000
"""How often a run is drawn anew: five results lie beyond either end of the interval."""
CONFIDENCE = 0.99
_NORMAL = 2.5758
"""Standard deviations of a normal distribution within which :data:`CONFIDENCE` of it lies."""
_SEED = "opus_async compare"
"""The same two runs always give the same interval."""

Weights = Sequence[int]
"""How often each block was drawn."""


class Statistic(Protocol):
    """A figure of a run that is made of blocks."""

    blocks: int
    """Of how many."""

    def of(self, weights: Weights) -> float | None:
        """The figure of a run that has each block so many times; None where it has no value."""


class Percentile:
    """A percentile of the values in all blocks.

    Args:
        distribution: The values.
        percent: Which, from 0 to 100.
    """

    def __init__(self, distribution: Distribution, percent: float) -> None:
        self.blocks = distribution.blocks
        self._of = distribution
        self._share = percent / 100
        self._near = len(distribution.values) // 2

    def of(self, weights: Weights) -> float | None:
        """See :class:`Statistic`."""
        total = sum(map(operator.mul, weights, self._of.counts))
        if not total:
            return None
        rank = max(math.ceil(round(total * self._share, 6)), 1)
        self._near = self._first(weights, rank)
        return self._of.values[self._near]

    def _first(self, weights: Weights, rank: int) -> int:
        """The first bucket up to which there are so many values; looked for around the one found last."""
        columns = self._of.up_to
        low, high, step = 0, len(columns) - 1, 1
        at = self._near
        while low < high:
            if sum(map(operator.mul, weights, columns[at])) < rank:
                low = at + 1
                at = at + step if at + step < high else (low + high) // 2
            else:
                high = at
                at = at - step if at - step > low else (low + high) // 2
            step *= 2
        return low


class Distribution:
    """Values in blocks, counted in buckets, so that percentiles of any number of them are found soon.

    Args:
        values: Those of each block.

    Attributes:
        blocks: How many blocks there are.
        values: What stands for the values of each bucket, rising.
        up_to: For each bucket, how many values each block has up to it.
        counts: How many each block has.
    """

    def __init__(self, values: Sequence[Iterable[float]]) -> None:
        histograms = [Histogram(block) for block in values]
        self.blocks = len(histograms)
        self.counts = [histogram.count for histogram in histograms]
        there: dict[tuple[float, float], list[int]] = {}
        for place, histogram in enumerate(histograms):
            for bucket in histogram.buckets():
                row = there.setdefault((bucket.low, bucket.high), [0] * self.blocks)
                row[place] = bucket.count
        self.values: list[float] = []
        self.up_to: list[tuple[int, ...]] = []
        passed = [0] * self.blocks
        for (low, high), row in sorted(there.items()):
            passed = list(map(operator.add, passed, row))
            self.values.append(Bucket(low, high, 0).middle)
            self.up_to.append(tuple(passed))


class Ratio:
    """A sum over all blocks, over another one: a mean, a share, a rate.

    Args:
        above: What each block adds to the first.
        below: What it adds to the second.
    """

    def __init__(self, above: Sequence[float], below: Sequence[float]) -> None:
        self.blocks = len(above)
        self._above, self._below = above, below

    def of(self, weights: Weights) -> float | None:
        """See :class:`Statistic`."""
        below = sum(map(operator.mul, weights, self._below))
        return sum(map(operator.mul, weights, self._above)) / below if below else None


def intervals(pairs: Sequence[tuple[Statistic, Statistic]]) -> list[tuple[float, float] | None]:
    """The intervals in which the differences of figures of two runs lie, with a confidence of 99 %.

    Args:
        pairs: The same figure of the one run and of the other; all of a run are of the same blocks.

    Returns:
        For each pair the lowest and the highest difference, other minus one; None where it has no value.
    """
    if not pairs:
        return []
    chosen = random.Random(_SEED)  # noqa: S311 - draws, and guards nothing
    blocks = pairs[0][0].blocks, pairs[0][1].blocks
    differences: list[list[float]] = [[] for _ in pairs]
    for _ in range(DRAWS):
        weights = _drawn(chosen, blocks[0]), _drawn(chosen, blocks[1])
        for found, (one, other) in zip(differences, pairs, strict=True):
            before, after = one.of(weights[0]), other.of(weights[1])
            if before is not None and after is not None:
                found.append(after - before)
    whole = [1] * blocks[0], [1] * blocks[1]
    return [
        _interval(found, _difference(pair, whole), _widening(*blocks))
        for found, pair in zip(differences, pairs, strict=True)
    ]


def _drawn(chosen: random.Random, blocks: int) -> Weights:
    weights = [0] * blocks
    for block in chosen.choices(range(blocks), k=blocks):
        weights[block] += 1
    return weights


def _difference(pair: tuple[Statistic, Statistic], weights: tuple[Weights, Weights]) -> float | None:
    before, after = pair[0].of(weights[0]), pair[1].of(weights[1])
    return None if before is None or after is None else after - before


def _interval(drawn: list[float], middle: float | None, widening: float) -> tuple[float, float] | None:
    if middle is None or not drawn:
        return None
    drawn.sort()
    beyond = math.floor(len(drawn) * (1 - CONFIDENCE) / 2)
    low, high = drawn[beyond], drawn[len(drawn) - 1 - beyond]
    return middle - widening * (middle - low), middle + widening * (high - middle)


def _widening(*blocks: int) -> float:
    """By how much an interval is to be wider, as few blocks vary less than what they were drawn from.

    That is the ratio of Student's distribution to the normal one, by the first terms of their expansion, and
    the root of n / (n - 1) that a bootstrap of n blocks lacks.
    """
    freedom = max(sum(blocks) - len(blocks), 1)
    z = _NORMAL
    student = z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    fewest = max(min(blocks), 2)
    return student / z * math.sqrt(fewest / (fewest - 1))


BlockOf = Callable[[float], int]


def into_blocks(start: float, seconds: float, number: int) -> BlockOf:
    """Gives the block, from 0, in which a moment lies; what lies outside is in the first or the last."""
    width = seconds / number
    return lambda at: min(max(int((at - start) / width), 0), number - 1) if width > 0 else 0
