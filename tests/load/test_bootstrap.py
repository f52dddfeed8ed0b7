"""Intervals by the block bootstrap: they hold what is true, and are as wide as blocks of time make them."""

from __future__ import annotations

import random

import pytest

from opus_async.load.bootstrap import Distribution, Percentile, Ratio, intervals, into_blocks


def blocks(rng, *, number=20, jobs=50, mean=1.0, wander=0.0):
    """Times of jobs in blocks; with ``wander`` all jobs of a block are slower or faster together."""
    return [
        [max(rng.gauss(level, 0.2), 0.0) for _ in range(jobs)]
        for level in (rng.gauss(mean, wander) for _ in range(number))
    ]


def means(values):
    return Ratio([sum(block) for block in values], [len(block) for block in values])


def test_weights_make_a_percentile_that_of_repeated_blocks():
    distribution = Distribution([[1.0, 2.0, 3.0], [10.0, 20.0], []])
    assert Percentile(distribution, 50).of([1, 1, 1]) == pytest.approx(3.0, rel=0.005)
    assert Percentile(distribution, 50).of([1, 2, 0]) == pytest.approx(10.0, rel=0.005)
    assert Percentile(distribution, 100).of([3, 0, 0]) == pytest.approx(3.0, rel=0.005)
    assert Percentile(distribution, 50).of([0, 0, 3]) is None


def test_percentile_of_each_block_once_is_that_of_all_values():
    rng = random.Random(1)
    values = [[rng.lognormvariate(0, 1) for _ in range(30)] for _ in range(12)]
    every = sorted(value for block in values for value in block)
    for percent in (5, 50, 90, 99):
        found = Percentile(Distribution(values), percent).of([1] * 12)
        assert found == pytest.approx(every[-(-len(every) * percent // 100) - 1], rel=0.01)


def test_ratio_is_of_sums_and_none_of_nothing():
    assert Ratio([1, 2], [2, 2]).of([1, 3]) == pytest.approx(7 / 8)
    assert Ratio([0, 0], [0, 0]).of([1, 1]) is None


@pytest.mark.parametrize("wander", [0.0, 0.3])
def test_interval_holds_the_true_difference_nearly_always(wander):
    """99 of 100 by its confidence: of 60 runs, 3 misses would come once in 47 tries."""
    rng = random.Random(7)
    pairs = [
        (means(blocks(rng, wander=wander)), means(blocks(rng, mean=1.1, wander=wander))) for _ in range(60)
    ]
    assert sum(not low <= 0.1 <= high for low, high in intervals(pairs)) < 4


def test_interval_is_wide_where_whole_blocks_are_slow():
    rng = random.Random(3)
    pairs = [means(blocks(rng, wander=wander)) for wander in (0.0, 0.0, 0.3, 0.3)]
    ((low, high),) = intervals([(pairs[0], pairs[1])])
    ((wide_low, wide_high),) = intervals([(pairs[2], pairs[3])])
    assert wide_high - wide_low > 5 * (high - low)


def test_same_runs_have_the_same_interval():
    rng = random.Random(4)
    values = blocks(rng), blocks(rng)
    first, second = (intervals([(means(values[0]), means(values[1]))]) for _ in range(2))
    assert first == second
    ((low, high),) = intervals([(means(values[0]), means(values[0]))])
    assert low < 0 < high


def test_figure_without_a_value_has_no_interval():
    nothing = Ratio([0] * 8, [0] * 8)
    assert intervals([(nothing, nothing)]) == [None]
    assert intervals([]) == []


def test_block_is_that_of_its_time():
    block = into_blocks(10.0, 20.0, 4)
    assert [block(at) for at in (9.0, 10.0, 14.9, 15.0, 29.9, 30.0, 99.0)] == [0, 0, 0, 1, 3, 3, 3]
